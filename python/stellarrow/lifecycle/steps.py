"""Steps carried out: nothing goes before it is verified elsewhere, or its time is proven from its own rows.

Each writes the record first and removes second. Who dies in between leaves files that count twice as there
and as archived, and the next run finishes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.ledgers.dates import shown
from stellarrow.lifecycle.aging import AgingTable, moments
from stellarrow.lifecycle.archive import Archive, holds, proven_files, remove_range
from stellarrow.lifecycle.compressing import Busy, Merged, compress, remove_doubled, write_record
from stellarrow.lifecycle.plan import (
    ARCHIVE,
    COMPRESS,
    DELETE_ARCHIVED,
    FINISH,
    Step,
    left_behind,
    left_record,
)
from stellarrow.records.singleton import Confirm, unconfirmed
from stellarrow.sinks.files.departed import ARCHIVED, COMPRESSED, DELETED, Record, record_path
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.location import open_files
from stellarrow.sinks.files.manifest import Entry
from stellarrow.sinks.files.proof import held_files
from stellarrow.sinks.files.superseding import Contradicted, remove_replaced, replaced
from stellarrow.storage.files import Gone

_FIRST_WAIT: Final = 0.1  # seconds between looks whether somebody reads still
_LONGEST_WAIT: Final = 2.0


class ArchiveOpener:
    """Opens archives that records name, each once."""

    def __init__(self) -> None:
        self._opened: dict[str, Archive] = {}

    def open(self, location: str) -> Archive:
        """Return the archive of a location, as a folder or a URL such as s3://BUCKET/PREFIX."""
        if location not in self._opened:
            self._opened[location] = Archive(open_files(location), location)
        return self._opened[location]

    def close(self) -> None:
        """Let go of all of them."""
        for one in self._opened.values():
            one.store.close()


@dataclass(frozen=True, slots=True)
class Steps:
    """Takes steps of a plan; `archive` is where ranges go, `archives` opens where others went before.

    `confirm` is told of each write beforehand, and raises where it is another process's turn.

    Until `patient_until`, by the monotonic clock, it waits for those who read a table, unless `stopped`.
    """

    archives: ArchiveOpener
    archive: Archive | None = None
    patient_until: float = 0.0
    stopped: Callable[[], bool] = lambda: False
    confirm: Confirm = unconfirmed

    def take(self, step: Step, table: AgingTable) -> Step:
        """Take a step, return it with the bytes it freed; a SinkError where it could not be loses nothing."""
        wait = _FIRST_WAIT
        while True:
            try:
                return self._take(step, table)
            except Busy:
                if self.stopped() or time.monotonic() + wait > self.patient_until:
                    raise
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _take(self, step: Step, table: AgingTable) -> Step:
        if step.action == COMPRESS:
            is_anew = compress(table.listing, step.ledgers, closed_by=step.closed_by, confirm=self.confirm)
            after = held_files(table.listing, step.ledgers)
            freed = max(0, step.bytes - sum(kept.bytes for kept in after))
            return replace(step, bytes=freed, stays=not is_anew)
        if step.action == FINISH:
            self.confirm(f"{step.action} {step.table} {step.ledgers}")
            if step.ledgers in table.parts:
                _clear_replaced(table, step.ledgers, self.confirm)
            _finish(table, step.ledgers)
        elif step.action == DELETE_ARCHIVED:
            self._delete_archived(table.listing, step.ledgers)
        else:
            _check_unread(table.listing)
            _clear_replaced(table, step.ledgers, self.confirm)
            self._leave(table.listing, step)
        return step

    def _leave(self, listing: Listing, step: Step) -> None:
        entry = Entry(step.ledgers, listing.shape.facts, proven_files(listing, step.ledgers))
        closed = _closed_by(listing, step)
        if step.action != ARCHIVE:
            _depart(listing, Record(DELETED, entry, closed), self.confirm)
            return
        if self.archive is None:
            raise SinkError(f"{listing}: there is no archive: name one with --archive")
        self.archive.keep(listing, step.ledgers, entry.files)
        _depart(listing, Record(ARCHIVED, entry, closed, self.archive.location), self.confirm)

    def _delete_archived(self, listing: Listing, ledgers: LedgerRange) -> None:
        record = listing.record(ledgers, ARCHIVED)
        if self.archive and self.archive.location == record.archive:
            archive = self.archive
        else:
            archive = self.archives.open(record.archive)
        self.confirm(f"{DELETED} {listing.shape.folder} {ledgers}")
        write_record(listing, Record(DELETED, record.entry, record.closed_by))
        archive.forget(listing, ledgers, record.entry.files)
        listing.store.remove([record_path(listing.shape.folder, ledgers, ARCHIVED)])


def _check_unread(listing: Listing) -> None:
    """Say before files are read and copied that it would be for nothing."""
    with listing.store.unread(listing.entries_folder) as free:
        _require(listing, free)


def _require(listing: Listing, free: bool) -> None:
    if not free:
        raise Busy(f"{listing} is being read just now: the next run continues")


def _clear_replaced(table: AgingTable, ledgers: LedgerRange, confirm: Confirm) -> None:
    """Remove what a range was made of, if it lies beside it still: it would count again without it."""
    if any(path for path, held in table.listing.doubled().items() if held == ledgers):
        confirm(f"remove {table.name} {ledgers} as it was written")
        remove_doubled(table.listing, ledgers)
    if not _within(table.replaced, ledgers):
        return
    listing = table.listing
    confirm(f"remove what {listing.shape.folder} {ledgers} was merged of")
    remove_replaced(listing)
    there = {*listing.parts(), *listing.entered()}
    if left := _within(there, ledgers):
        _require(listing, not {*left} <= {*replaced(listing, there)})
        raise Contradicted(
            f"{listing} holds ledgers {left[0]} within those of {ledgers}, and is not proven to have the same"
            " rows there: run stellarrow check --repair, then the same again"
        )


def _within(ranges: Iterable[LedgerRange], ledgers: LedgerRange) -> list[LedgerRange]:
    return sorted(one for one in ranges if one != ledgers and not LedgerSet([one]) - LedgerSet([ledgers]))


def _closed_by(listing: Listing, step: Step) -> int:
    """Return when the newest row of a range closed, which must be as long ago as the plan says."""
    newest = None
    for rows in moments(listing, step.ledgers, step.ledgers):
        for moment in set(rows.column("closed_at").to_pylist()) - {None}:
            newest = max(newest or 0, int(moment.timestamp()))
    if newest is not None and newest > step.closed_by:
        raise SinkError(
            f"{listing}: ledgers {step.ledgers} have rows that closed at {shown(newest)}, later than ledgers"
            " after them: nothing was done to them; run stellarrow check"
        )
    return step.closed_by if newest is None else newest


def _depart(listing: Listing, record: Record, confirm: Confirm) -> None:
    """Record where a range goes and remove it here, unless somebody reads it or it is not the same now."""
    ledgers = record.entry.ledgers
    with listing.store.alone(listing.shape.folder):
        if not _is_there(listing, record):
            raise Merged(f"{listing}: ledgers {ledgers} were merged just now: the next run looks again")
        with listing.store.unread(listing.entries_folder) as free:
            _require(listing, free)
            confirm(f"{record.state} {listing.shape.folder} {ledgers}")
            write_record(listing, record)
            remove_range(listing, ledgers, record.entry.files)
            listing.store.remove([record_path(listing.shape.folder, ledgers, COMPRESSED)])


def _is_there(listing: Listing, record: Record) -> bool:
    try:
        return proven_files(listing, record.entry.ledgers) == record.entry.files
    except Gone:
        return False


def _finish(table: AgingTable, ledgers: LedgerRange) -> None:
    """Remove what is left of a range that departed, if it is what departed."""
    listing, files = table.listing, left_record(table, ledgers).entry.files
    with listing.store.alone(listing.shape.folder):
        for kept in files:
            if holds(listing, kept) is False:
                raise SinkError(
                    f"{listing}/{kept.path} is not what was archived or deleted before under its name: move"
                    " the record of these ledgers away to keep it, or the file"
                )
        with listing.store.unread(listing.entries_folder) as free:
            _require(listing, free)
            remove_range(listing, ledgers, files)


def merge_deleted(table: AgingTable) -> None:
    """Make one record of neighbouring ranges that are deleted: it names no files, as none is left."""
    listing, folder = table.listing, table.name
    ranges = sorted(table.departed.deleted - table.departed.archived - left_behind(table))
    for whole in LedgerSet(ranges):
        within = [one for one in ranges if one.first in whole]
        if len(within) > 1:
            last = listing.record(max(within, key=lambda one: one.end), DELETED)
            entry = Entry(whole, last.entry.facts, ())
            write_record(listing, Record(DELETED, entry, last.closed_by))
            gone = [record_path(folder, one, DELETED) for one in within if one != whole]
            listing.store.remove(gone)
