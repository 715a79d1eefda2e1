"""Which ledgers a query reads, and how they are cut into partitions."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Final

from stellarrow import registry
from stellarrow.backfilling.plan import Weight, cut, weights
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.pipeline.contract_specs import ending
from stellarrow.pipeline.loop import is_open, wanted_ledgers
from stellarrow.protocols import Measured
from stellarrow.scanning.reading import find_stored
from stellarrow.spark.options import ReadOptions

_BYTES: Final = 64 << 20  # stored, of a partition, where the source tells
_LEDGERS: Final = 10_000  # of a partition, where it does not
_FEWEST: Final = 16  # partitions, where there are as many ledgers: so that every processor has some
_MOST: Final = 10_000
_PARTS: Final = 16  # of a partition, at whose ends it may be cut

Narrow = Callable[[LedgerSet], LedgerSet]


def partitions(options: ReadOptions, narrow: Narrow) -> list[LedgerSet]:
    """Return the ledgers of each partition; `narrow` leaves out what the query's conditions rule out."""
    if stored := find_stored(options.path, options.table):
        wanted = stored.read_ledgers(options.ledgers) if options.ledgers else stored.ledgers
        if is_open(wanted):
            wanted &= LedgerSet([LedgerRange(0, stored.ledgers.last)])
        return _cut(narrow(wanted), options.count(), lambda part: part.count, _LEDGERS)
    with closing(registry.open_source(options.path, network=options.network or None)) as source:
        due = narrow(ending(wanted_ledgers(source, options.ledgers or None), source))
        if is_open(due):
            raise ConfigError('the source does not tell where its ledgers end: give ledgers as "A:B"')
        weight = weights(source, due, _size(due, options.count() or _FEWEST))
        return _cut(due, options.count(), weight, _BYTES if isinstance(source, Measured) else _LEDGERS)


def _cut(due: LedgerSet, count: int | None, weight: Weight, heavy: int) -> list[LedgerSet]:
    if not due:
        return []
    count = count or min(_MOST, max(_FEWEST, sum(map(weight, due)) // heavy))
    count = min(count, due.count)
    return [part for part in cut(due, count, _size(due, count), weight) if part]


def _size(due: LedgerSet, count: int) -> int:
    return max(1, due.count // (count * _PARTS))
