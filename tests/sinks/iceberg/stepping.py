"""Lets a process that is to die say before what PyIceberg does, and leaves a trace, that it is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO


def step_through(step: Callable[[], None]) -> None:
    commit, change = ("commit_table",), ("new_output", "delete")
    for kind, names in ((SqlCatalog, commit), (RestCatalog, commit), (PyArrowFileIO, change)):
        for name in names:
            setattr(kind, name, _stepping(getattr(kind, name), step))


def _stepping(does: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    def stepping(*given: Any, **named: Any) -> Any:
        step()
        return does(*given, **named)

    return stepping
