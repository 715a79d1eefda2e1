"""An older component's settings written as TOML, which read back says the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from stellarrow.config.older import Given, likeness
from stellarrow.config.reading import OLDER_COMPONENTS, read, translated
from stellarrow.config.services import SERVICES
from stellarrow.errors import ConfigError

_CONTROL: Final = re.compile("[\x7f-\x9f]")  # those that JSON has bare


def service_of(path: Path) -> str:
    """Return the service whose older file this is, by its words; ConfigError where they fit several."""
    from stellarrow.config.yaml_file import parse  # noqa: PLC0415  an extra

    held = parse(path)
    likely = {
        name: likeness(component, SERVICES[name], held)
        for name, component in OLDER_COMPONENTS.items()
        if name in SERVICES
    }
    most = max(likely.values())
    found = [name for name, count in likely.items() if count == most]
    if len({OLDER_COMPONENTS[name] for name in found}) > 1:
        raise ConfigError(
            f"{path} could be the file of several components: say which by --service {'|'.join(likely)}"
        )
    return found[0]


def converted(path: Path, service: str) -> str:
    """Return an older file's settings as a section of TOML; what needs no setting is a comment."""
    read(SERVICES[service], environ={}, file=path)  # a value that cannot be meant is told now
    found = translated(path, service)
    lines = [
        f"# {path.name}, in words of now: `stellarrow config show {service} --config FILE` reads it.",
        "",
    ]
    lines += [f"[{service}]", *(f"{name} = {_written(value)}" for name, (value, _) in found.given.items())]
    if found.silent:
        lines += ["", "# Without effect here:"]
        lines += [f"# {key}: {why}" for key, why in found.silent.items()]
    return "\n".join(lines) + "\n"


def _written(value: Given) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return (
        value
        if value in ("true", "false") or (value.isdecimal() and value.isascii() and str(int(value)) == value)
        else _quoted(value)
    )


def _quoted(text: str) -> str:
    """Write a basic string of TOML, of which JSON's are nearly all; a terminal may be given it as it is."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
