"""What makes a range count: files that are placed, proven to be whole, and entered in the manifest."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import KeptFile
from stellarrow.sinks.files.proof import held_files, measured
from stellarrow.sinks.files.range_writer import RangeFiles, enter
from stellarrow.sinks.files.superseding import Contradicted
from stellarrow.storage.files import Gone

_DIED_WITH: Final = 8  # files at most that a writer had placed but not entered


def proven_rest(listing: Listing, entered: set[LedgerRange]) -> list[tuple[LedgerRange, KeptFile]]:
    """Read files whose writer died before it entered them; where it is many, an older stellarrow made them.

    One that does not hold what its name says would count as those ledgers: Damaged.
    """
    if listing.shape.partition or not (rest := set(listing.parts()) - entered) or len(rest) > _DIED_WITH:
        return []
    found = []
    for ledgers in sorted(rest):
        with suppress(Gone):  # another writer's compaction, just now
            found.append((ledgers, measured(listing, ledgers, _unknown(listing, ledgers))))
    return found


def enter_rest(listing: Listing, rest: Iterable[tuple[LedgerRange, KeptFile]]) -> None:
    """Enter files that were proven, those of them that are still there."""
    with listing.store.alone(listing.shape.folder):
        there = set(listing.parts())
        for ledgers, found in rest:
            if ledgers in there:
                with suppress(SinkError):  # where one may only read, the next writer enters it
                    enter(listing.store, listing.shape, ledgers, [found], new=True)


def place_or_prove(listing: Listing, files: RangeFiles, ledgers: LedgerRange) -> None:
    """Place a range; where a file of its name has come first, prove that it holds as much, and enter that."""
    if files.place(ledgers):
        return
    found = measured(listing, ledgers, _unknown(listing, ledgers))
    if found.rows != sum(ours.rows for ours in files.kept(ledgers)):
        raise Contradicted(
            f"{listing}/{found.path} came from elsewhere and holds {found.rows} rows, not those of these"
            " ledgers: remove it, then run the same again"
        )
    enter(listing.store, listing.shape, ledgers, [found], new=True)


def prove_all(listing: Listing, ranges: Iterable[LedgerRange]) -> None:
    """Read every file of these ranges, and raise Damaged at the first that is not what was written."""
    for ledgers in ranges:
        for kept in held_files(listing, ledgers):
            measured(listing, ledgers, kept)


def _unknown(listing: Listing, ledgers: LedgerRange) -> KeptFile:
    return KeptFile(listing.shape.path(ledgers), -1, -1, "")
