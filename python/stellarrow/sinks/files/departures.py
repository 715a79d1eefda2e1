"""Ledgers that left a stored table: which were archived, and where, and which were deleted.

Names of records tell which ledgers; a record itself is read once somebody asks where its ledgers are.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stellarrow.errors import SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.sinks.files.departed import ARCHIVED, DELETED, Departed
from stellarrow.sinks.files.listing import Listing

_REMEMBERED: Final = 10_000  # records
_SECONDS_EACH: Final = 60  # of a ledger, at most, on the whole
_PAUSE_SECONDS: Final = 86_400
_TOLD: Final = 5  # absences in a sentence

_Told = tuple[str, int]  # an archive, and by when the last ledger had closed
_Key = tuple[str, LedgerRange, str]


UNCOUNTED: Final = "uncounted"
MISSING: Final = "missing"


@dataclass(frozen=True, slots=True)
class Absence:
    """Consecutive ledgers of a table that an answer lacks; `archive` is where archived ones are.

    They are not here any more, or never were, or, of figures, they are here and not counted yet.
    """

    table: str
    first: int
    last: int
    state: str
    archive: str = ""

    @property
    def went(self) -> str:
        """Where they went, in a few words."""
        if self.state == UNCOUNTED:
            is_one = self.first == self.last
            return f"{'is' if is_one else 'are'} here and {'is' if is_one else 'are'} not counted yet"
        if self.state == MISSING:
            return f"{'is' if self.first == self.last else 'are'} not here"
        were = "was" if self.first == self.last else "were"
        if self.state == DELETED:
            return f"{were} deleted"
        return f"{were} archived to {self.archive}" if self.archive else f"{were} archived"

    @property
    def which(self) -> str:
        """The ledgers, in words."""
        if self.first == self.last:
            return f"ledger {self.first} of {self.table}"
        return f"ledgers {self.first} to {self.last} of {self.table}"

    @property
    def remedy(self) -> str:
        """How to have their rows."""
        if self.state == UNCOUNTED:
            return "ask again in a moment"
        if self.state == MISSING:
            return "extract what is missing from a source"
        if self.state == DELETED:
            return "to have them again, extract them from a source into another place"
        if not self.archive:
            return "stellarrow lifecycle status names the archive"
        return f"read them there, such as with stellarrow sql --data {self.archive}"

    @property
    def why(self) -> str:
        """A sentence for who asked for them."""
        return f"{self.which} {self.went}: {self.remedy}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        where = {"archive": self.archive} if self.archive else {}
        return {
            "table": self.table,
            "first_ledger": self.first,
            "last_ledger": self.last,
            "state": self.state,
            **where,
            "why": self.why,
        }


def sentence(absences: Sequence[Absence]) -> str:
    """Say what left, where it is, and what was never here, each with how to have it."""
    found: dict[str, list[str]] = {}
    for one in absences[:_TOLD]:
        found.setdefault(one.remedy, []).append(f"{one.which} {one.went}")
    parts = [f"{', '.join(told)}: {remedy}" for remedy, told in found.items()]
    if len(absences) > _TOLD:
        parts.append(f"and {len(absences) - _TOLD} more ranges")
    return "; ".join(parts)


class KnownRecords:
    """What records said that were read before; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[_Key, _Told] = OrderedDict()

    def read(self, listing: Listing, ledgers: LedgerRange, state: str) -> _Told:
        """Return where a range went, and by when it had closed; SinkError where its record cannot be read."""
        key = listing.shape.folder, ledgers, state
        with self._lock:
            found = self._known.get(key)
        if found is None:
            record = listing.record(ledgers, state)
            found = record.archive, record.closed_by
            with self._lock:
                self._known[key] = found
                if len(self._known) > _REMEMBERED:
                    self._known.popitem(last=False)
        return found


@dataclass(frozen=True, slots=True)
class Departures:
    """What left a table, as it was when somebody looked; `gone` has none of the ledgers that are here."""

    listing: Listing | None = None
    departed: Departed = field(default_factory=Departed)
    gone: LedgerSet = field(default_factory=LedgerSet)
    archived: tuple[LedgerRange, ...] = ()
    records: KnownRecords = field(default_factory=KnownRecords, repr=False, compare=False)

    @classmethod
    def of(cls, listing: Listing, departed: Departed, here: LedgerSet, records: KnownRecords) -> Departures:
        gone = departed.ledgers - here
        return cls(listing, departed, gone, tuple(sorted(departed.archived)), records)

    @classmethod
    def look(cls, listing: Listing) -> Departures:
        """Look at what left a table: after its files, so that what leaves meanwhile is in both."""
        here = listing.ranges()
        return cls.of(listing, listing.departed(), here, KnownRecords())

    def said(self, asked: LedgerSet | str | None = None, wanted: LedgerSet | None = None) -> str:
        """Say what left of the ledgers that were asked for, and where it is; empty where all are here.

        `wanted` are the ledgers that `asked` means of what is here; its open beginning means all before, too.
        """
        due = self.gone if wanted is None else self.gone & wanted
        if wanted and isinstance(asked, str) and asked.lstrip().startswith(":"):
            due = self.gone & LedgerSet([LedgerRange(0, wanted.last)])
        return sentence([*self.absences(due)]) if due else ""

    def absences(self, ledgers: LedgerSet) -> Iterator[Absence]:
        """Yield, in order, which of the ledgers left, and where they are."""
        wanted = self.gone & ledgers
        if not wanted or self.listing is None:
            return
        table = self.listing.shape.facts["table"]
        deleted = LedgerSet(self.departed.deleted)
        found = [Absence(table, one.first, one.end, DELETED) for one in wanted & deleted]
        for part in wanted - deleted:
            for first, last, archive in self._archives(part):
                found.append(Absence(table, first, last, ARCHIVED, archive))
        yield from sorted(found, key=lambda one: one.first)

    def closed_from(self, second: int) -> LedgerRange | None:
        """Return the first range that left of which the last ledger closed at a second or later."""
        ranges = sorted(self.departed.archived | self.departed.deleted) if self.gone else []
        try:
            at = bisect_left(ranges, second, key=self._closed_by)
        except SinkError:
            return None  # a record that cannot be read: stellarrow lifecycle status tells of it
        return ranges[at] if at < len(ranges) else None

    def began_by(self, ledgers: LedgerRange) -> int:
        """Return a second before which none of a range that left closed: its records tell of the last alone.

        Ledgers close every few seconds; a minute each and a day more are allowed for times without any.
        """
        try:
            return self._closed_by(ledgers) - _SECONDS_EACH * ledgers.count - _PAUSE_SECONDS
        except SinkError:
            return 0

    def _archives(self, part: LedgerRange) -> Iterator[tuple[int, int, str]]:
        """Yield the ledgers of a part by archive, neighbours of one together."""
        begun = max(0, bisect_right(self.archived, part.first, key=lambda one: one.first) - 1)
        end = bisect_right(self.archived, part.end, lo=begun, key=lambda one: one.first)
        held: tuple[int, int, str] | None = None
        for one in self._told(self.archived[begun:end]):
            first, last = max(one[0], part.first), min(one[1], part.end)
            if first > last:
                continue
            if held and held[2] == one[2]:
                held = held[0], max(held[1], last), one[2]
                continue
            if held:
                yield held
            held = first, last, one[2]
        if held:
            yield held

    def _told(self, ranges: Sequence[LedgerRange]) -> Iterable[tuple[int, int, str]]:
        """Tell the archive of ranges; where the first and the last are in one, those between are, too."""
        if not ranges:
            return
        first, last = self._archive(ranges[0]), self._archive(ranges[-1])
        if first == last:
            yield ranges[0].first, ranges[-1].end, first
            return
        middle = len(ranges) // 2
        yield from self._told(ranges[:middle])
        yield from self._told(ranges[middle:])

    def _archive(self, ledgers: LedgerRange) -> str:
        if self.listing is None:
            return ""
        try:
            return self.records.read(self.listing, ledgers, ARCHIVED)[0]
        except SinkError:
            return ""

    def _closed_by(self, ledgers: LedgerRange) -> int:
        if self.listing is None:
            return 0
        state = ARCHIVED if ledgers in self.departed.archived else DELETED
        return self.records.read(self.listing, ledgers, state)[1]
