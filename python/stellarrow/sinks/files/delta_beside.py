"""Delta tables where files are meant, and the other way round: told before either is harmed."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from stellarrow.core.tables import folder_of, is_typed
from stellarrow.errors import ConfigError
from stellarrow.sinks.files.layout import MANIFEST

_DELTA_LOG: Final = "_delta_log"
_TYPED: Final = "typed"  # the folder of contracts' own tables
_DUCKDB: Final = (b"DUCK", 8)  # what a DuckDB database has, and at which byte


def refuse_delta(root: str, tables: Iterable[str] = ()) -> None:
    """Raise a ConfigError if a folder has Delta tables: any, or some of these. URLs are not looked at."""
    if "://" in root:
        return
    found = [Path(root, _folder(name)) for name in tables] or _folders(Path(root))
    if delta := next((one for one in found if is_delta(one)), None):
        raise ConfigError(f"{delta} is a Delta table: name delta:{root}, or another folder for files")


def refuse_other_sinks(place: Path) -> None:
    """Raise a ConfigError if a path is what another sink made: a DuckDB file, or Delta tables alone."""
    refuse_database(place)
    if is_delta(place):
        raise ConfigError(f"{place} is a Delta table: name delta:{place_of(place)}")
    if not any(place.glob(f"*/{MANIFEST}")):
        refuse_delta(str(place))


def refuse_database(place: Path) -> None:
    """Raise a ConfigError if a path is a DuckDB database."""
    if not place.is_file():
        return
    word, at = _DUCKDB
    with suppress(OSError), place.open("rb") as file:
        if file.read(at + len(word))[at:] == word:
            raise ConfigError(f"{place} is a DuckDB database: name duckdb:{place}")


def is_delta(folder: Path) -> bool:
    """Tell whether a folder is a Delta table."""
    return (folder / _DELTA_LOG).is_dir()


def place_of(delta: Path) -> Path:
    """Return the folder that a Delta table is a table of: a contract's own one lies deeper."""
    above = [*delta.parents]
    is_typed_one = len(above) > 3 and above[2].name == _TYPED
    return above[3] if is_typed_one else delta.parent


def _folder(name: str) -> str:
    return folder_of(name) if is_typed(name) else name.partition("@")[0]


def _folders(root: Path) -> list[Path]:
    return [*sorted(root.glob("*")), *sorted(root.glob(f"{_TYPED}/*/*/*"))]


def refuse_files(root: str, tables: Iterable[str]) -> None:
    """Raise a ConfigError if a folder has files where one of these is to be a Delta table."""
    if "://" in root:
        return
    for folder in (Path(root, _folder(name)) for name in tables):
        if (folder / MANIFEST).is_dir():
            raise ConfigError(
                f"{folder} is a table of plain files: name parquet:{root} (or jsonl:, csv:), or another"
                " folder for Delta tables"
            )
