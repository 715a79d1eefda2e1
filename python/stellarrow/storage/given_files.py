"""Files that somebody names in a setting or an address: passwords, certificates, settings of a client."""

from __future__ import annotations

from pathlib import Path

from stellarrow.errors import ConfigError
from stellarrow.storage.paths import given_text, local_path


def readable_file(name: str, what: str) -> Path:
    """Return the path of a file that can be read; ConfigError says which setting names one that cannot."""
    path = local_path(name)
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read ({error.strerror}): name a file that can") from error
    return path


def text_of(path: Path) -> str:
    """Return a file's text, without the mark that editors of Windows begin it with."""
    try:
        return given_text(path)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: save it as UTF-8") from error
