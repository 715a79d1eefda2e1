"""What a place for shared records does: read one, and replace it unless somebody else has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from stellarrow.errors import SinkUnavailable

Result = TypeVar("Result")

_TRIES: Final = 50  # replacements that others were faster with, before we say that the record is busy


@dataclass(frozen=True, slots=True)
class Record:
    """A record's bytes, and the version that a replacement has to name."""

    data: bytes
    version: str


class Records(Protocol):
    """Records under keys, shared by processes; any thread may call.

    What may work later is raised as Unavailable. After a replacement that failed that way nobody knows
    whether it holds: read the record.
    """

    where: str  # for people

    def get(self, key: str) -> Record | None:
        """Return the newest version of a record; None where there is none."""

    def replace(self, key: str, data: bytes, *, of: str | None) -> str | None:
        """Write a record in the place of a version, None for none; None where another one is there now.

        Comparing and writing are one step, whoever else writes. Return the new version.
        """

    def remove(self, key: str) -> None:
        """Remove a record, whatever its version; one that is not there is no error."""

    def close(self) -> None:
        """Let go of what reaches the place."""


def amend(
    records: Records, key: str, change: Callable[[bytes | None], tuple[bytes | None, Result]]
) -> Result:
    """Replace a record by what `change` makes of it, which is asked again where another one was faster.

    Where it answers None instead of bytes, nothing is written.
    """
    for _ in range(_TRIES):
        held = records.get(key)
        data, result = change(held.data if held else None)
        if data is None or data == (held.data if held else None):
            return result
        if records.replace(key, data, of=held.version if held else None) is not None:
            return result
    raise SinkUnavailable(f"{records.where}/{key} is replaced by others all the time: try again later")
