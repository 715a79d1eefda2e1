"""Which ledgers of a source a scan reads, and that none is missing between them."""

from __future__ import annotations

from typing import Final, Protocol, runtime_checkable

from stellarrow.errors import LedgerMissing
from stellarrow.ledgers import LedgerSet
from stellarrow.pipeline.loop import wanted_ledgers
from stellarrow.protocols import Source

_NAMED: Final = 3  # holes of a sentence


@runtime_checkable
class _MaybeLake(Protocol):
    """Files that may be a lake's; other files are whatever somebody put there, with holes or without."""

    name: str

    @property
    def is_lake(self) -> bool: ...


def unbroken_ledgers(source: Source, asked: LedgerSet | str | None) -> LedgerSet:
    """Return what is asked for; LedgerMissing where that is all a lake has, and it has holes."""
    wanted = wanted_ledgers(source, asked)
    if asked is None and isinstance(source, _MaybeLake) and (holes := wanted.holes) and source.is_lake:
        named = LedgerSet(holes.ranges[:_NAMED])
        more = "" if len(holes.ranges) <= _NAMED else f" and {holes.count - named.count} more"
        which = f"ledger {named} is" if holes.count == 1 else f"ledgers {named}{more} are"
        raise LedgerMissing(
            f"{which} missing in {source.name}, which has ledgers after: restore what is missing, or ask for"
            f" ranges that are there, such as {wanted.ranges[0].first}:{wanted.ranges[0].end}"
        )
    return wanted
