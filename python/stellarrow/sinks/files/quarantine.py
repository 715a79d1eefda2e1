"""Files set aside: no reader sees them, they cover nothing, and nobody but people removes them.

`_quarantine/<moment>/` holds what one repair moved there, each file under the path it had.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from stellarrow.storage.files import FileStore, Found, Gone

QUARANTINE: Final = "_quarantine"


@dataclass(frozen=True, slots=True)
class Moved:
    """Files by the paths they had, and the folder that has them now under the same."""

    folder: str
    paths: tuple[str, ...]


def quarantine_file(store: FileStore, paths: Iterable[str]) -> Moved:
    """Move files out of the way of readers, in this order; one that is not there is passed over."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%f")
    folder = f"{QUARANTINE}/{moment}Z"
    moved = []
    for path in paths:
        with suppress(Gone):
            store.move(path, f"{folder}/{path}")
            moved.append(path)
    return Moved(folder, tuple(moved))


def is_quarantined(path: str) -> bool:
    return f"/{QUARANTINE}/" in f"/{path}"


def quarantined(store: FileStore) -> list[Found]:
    """Return the files that repairs have set aside."""
    return store.list(QUARANTINE, deep=True)
