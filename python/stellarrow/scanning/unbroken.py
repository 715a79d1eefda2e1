"""Which ledgers of a source a scan reads, and that none is missing between them."""

from __future__ import annotations

import warnings
from typing import Final, Protocol, runtime_checkable

from stellarrow.errors import LedgerMissing
from stellarrow.ledgers import LedgerSet
from stellarrow.pipeline.contract_specs import ending
from stellarrow.pipeline.loop import is_open, wanted_ledgers
from stellarrow.protocols import Named, Source
from stellarrow.scanning.result import LedgersAbsent

_NAMED: Final = 3  # holes of a sentence


@runtime_checkable
class _MaybeLake(Protocol):
    """Files that may be a lake's; other files are whatever somebody put there, with holes or without."""

    name: str

    @property
    def is_lake(self) -> bool: ...


def ledgers_there(source: Source, asked: LedgerSet | str | None) -> LedgerSet:
    """Return what is asked for as far as it is there: a warning says that nothing of an open range is."""
    wanted = _unbroken(source, asked)
    due = ending(wanted, source)
    if is_open(wanted) and not is_open(due):
        from stellarrow.sinks.files.lacking import beyond  # noqa: PLC0415  loads Arrow's datasets

        name = source.name if isinstance(source, Named) else type(source).__name__
        if said := beyond(name, source.available(), wanted.ranges[-1]):
            warnings.warn(said, LedgersAbsent, stacklevel=2)
    return due


def _unbroken(source: Source, asked: LedgerSet | str | None) -> LedgerSet:
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
