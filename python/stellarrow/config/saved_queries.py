"""Queries that users save in section [queries] of the settings file, checked as they are read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from stellarrow.config.reading import QUERIES, is_yaml, parsed
from stellarrow.core.named_queries import Catalogue
from stellarrow.errors import ConfigError, nearest
from stellarrow.net.redaction import shortened
from stellarrow.sql.named import NamedQuery

_KEYS: Final = ("table", "kind", "expression", "description")


def catalogue(file: str | os.PathLike[str] | None) -> Catalogue:
    """Return the ready-made queries and those that a settings file saves; None saves none."""
    saves = file is not None and not is_yaml(Path(file))  # the older components save none
    held = parsed(Path(file)).get(QUERIES, {}) if file and saves else {}
    if not isinstance(held, dict):
        raise ConfigError(f"{file} has {QUERIES!r}, which is no section: write [{QUERIES}.NAME]")
    return Catalogue(_query(name, content, f"{file} [{QUERIES}.{name}]") for name, content in held.items())


def _query(name: str, content: Any, origin: str) -> NamedQuery:
    if not isinstance(content, dict):
        raise ConfigError(
            f"{origin} is no section: write table, kind and expression below [{QUERIES}.{name}]"
        )
    for key, value in content.items():
        if key not in _KEYS:
            remedy = nearest(key, _KEYS, f"choose among {', '.join(_KEYS)}")
            raise ConfigError(f"{origin} has {shortened(key)!r}, which a query has not: {remedy}")
        if not isinstance(value, str):
            raise ConfigError(f"{origin}: {key} is {shortened(repr(value))}: write text")
    for key in _KEYS[:3]:
        if key not in content:
            raise ConfigError(f"{origin} has no {key}: add it")
    try:
        return NamedQuery(name=name, origin=origin, **content)
    except ConfigError as error:
        raise ConfigError(f"{origin}: {error}") from error
