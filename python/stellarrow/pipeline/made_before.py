"""Typed tables that a place keeps since before the interface of their contract was known.

All rows lie in `_other` there. Writing the tables that the interface declares beside them would bring the
same rows a second time, so it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from stellarrow.core.typed import Knowledge, target_of
from stellarrow.core.typed_columns import interfaces_of
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.net.redaction import redacted_url
from stellarrow.protocols import Growing, Readable

_END: Final = 1 << 32  # no ledger has this number


def refuse(known: Knowledge, made: Iterable[str], places: Iterable[object], wanted: LedgerSet) -> None:
    """Raise ConfigError where a place has ledgers of a contract without the interface that is known now.

    `made` are the tables that are known now.
    """
    from stellarrow.registry import sink_entry  # noqa: PLC0415  loads sources and sinks

    for place in places:
        kind = sink_entry(place).load() if isinstance(place, str) else None
        if not (isinstance(place, str) and isinstance(kind, Growing) and isinstance(kind, Readable)):
            continue
        columns = kind.typed_columns(place)
        growing = {target_of(name) for name in made if name not in columns}
        bare = {
            name for name, held in columns.items() if target_of(name) in growing and not interfaces_of(held)
        }
        for one in kind.held(place) if bare else ():
            if one.name in bare and any(part & one.ledgers & wanted for part in _readable(known, one.name)):
                raise ConfigError(
                    f"{redacted_url(place)} keeps {one.name} of these ledgers from when the interface of the"
                    " contract was not known, and it is known now: its own tables would bring the same rows"
                    " again. Write to another place, or remove the contract's tables there first"
                )


def _readable(known: Knowledge, name: str) -> Iterator[LedgerSet]:
    """Yield the ledgers in which the contract of a table ran code whose interface is known."""
    target, missing = target_of(name), {*known.missing()}
    ran = known.history(target) if target.startswith("C") else [(None, target)]
    begins = [first or 0 for first, _ in ran]
    for (_, hash), first, end in zip(ran, begins, [*begins[1:], _END], strict=True):
        if hash not in missing and first < end:
            yield LedgerSet([LedgerRange(first, end - 1)])
