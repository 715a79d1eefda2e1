"""Lets a process that is to die say before what PyIceberg does, and leaves a trace, that it is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import PyArrowFileIO


def step_through(step: Callable[[], None]) -> None:
    for kind in (SqlCatalog, RestCatalog):
        kind.commit_table = _stepping(kind.commit_table, step)  # type: ignore[method-assign]
    for name in ("new_output", "delete"):
        setattr(PyArrowFileIO, name, _stepping(getattr(PyArrowFileIO, name), step))


def _stepping(does: Callable[..., Any], step: Callable[[], None]) -> Callable[..., Any]:
    def stepping(*given: Any, **named: Any) -> Any:
        step()
        return does(*given, **named)

    return stepping
