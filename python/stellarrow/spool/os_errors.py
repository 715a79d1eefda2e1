"""What the disk of a spool refuses, as an error that waits for someone to repair it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stellarrow.errors import SinkUnavailable
from stellarrow.storage.os_errors import reason, remedy


@contextmanager
def translate_os_errors(folder: Path, undo: Callable[[], None] | None = None) -> Iterator[None]:
    """Translate what the file system refuses, after undoing what is half done."""
    try:
        yield
    except OSError as error:
        if undo:
            undo()
        raise SinkUnavailable(
            f"the spool in {folder} cannot be written ({reason(error)}):"
            f" {remedy(error, 'repair it')}, and it continues"
        ) from error
