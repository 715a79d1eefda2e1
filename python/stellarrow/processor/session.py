"""A session: ledgers someone asked to have processed, and how far that is."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final

from stellarrow.errors import ConfigError, Damaged
from stellarrow.ledgers import LedgerRange


class Status(IntEnum):
    """Where a session stands; the numbers are those of contractdata.v1.ProcessingStatus."""

    UNKNOWN = 0
    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    STOPPED = 4
    ERROR = 5

    @property
    def is_final(self) -> bool:
        return self in (Status.STOPPED, Status.ERROR)


_NEXT: Final = {
    Status.UNKNOWN: Status.STARTING,
    Status.STARTING: Status.RUNNING,
    Status.RUNNING: Status.STOPPING,
    Status.STOPPING: Status.STOPPED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a session has made durable.

    `entries` are rows of contract data (of all tables where sessions do not keep that), `skipped` those the
    filter left out, `bytes` uncompressed XDR, `rows` those of each table as it is kept.
    """

    ledgers: int = 0
    entries: int = 0
    skipped: int = 0
    batches: int = 0
    bytes: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: Counts) -> Counts:
        names = {**self.rows, **other.rows}
        return Counts(
            ledgers=self.ledgers + other.ledgers,
            entries=self.entries + other.entries,
            skipped=self.skipped + other.skipped,
            batches=self.batches + other.batches,
            bytes=self.bytes + other.bytes,
            rows={name: self.rows.get(name, 0) + other.rows.get(name, 0) for name in names},
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a session is: its last durable ledger, 0 before the first, that one's hash, and all it made."""

    ledger: int = 0
    hash: str = ""
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session as it is remembered; times are unix seconds.

    `network` is a passphrase, empty until the source or the settings told it. `ahead` are the marks that the
    commit under way reaches, remembered before it: whatever a crash leaves of it, its counts are known.
    `message` says what is wrong, or what is being waited for, `damage` why nothing of this may be true.
    """

    id: str
    ledgers: LedgerRange
    batch_size: int
    tables: tuple[str, ...]
    network: str = ""
    status: Status = Status.UNKNOWN
    reached: Mark = field(default_factory=Mark)
    ahead: tuple[Mark, ...] = ()
    message: str = ""
    damage: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0

    @classmethod
    def new(cls, ledgers: LedgerRange, *, batch_size: int, tables: tuple[str, ...]) -> Session:
        now = time.time()
        return cls(
            id=str(uuid.uuid4()),
            ledgers=ledgers,
            batch_size=batch_size,
            tables=tables,
            created_at=now,
            updated_at=now,
        )

    @property
    def current(self) -> int:
        """The last durable ledger, 0 before the first."""
        return self.reached.ledger

    @property
    def is_done(self) -> bool:
        """Tell whether all that was asked for is committed."""
        return self.ledgers.last is not None and self.current >= self.ledgers.last

    @property
    def counts(self) -> Counts:
        return self.reached.counts

    @property
    def is_vain(self) -> bool:
        """Whether it failed before it kept anything."""
        return self.status is Status.ERROR and self.current == 0

    def became(self, status: Status, message: str = "") -> Session:
        """Take one step; any other than to the next status, or to ERROR, is refused."""
        if status is not Status.ERROR and _NEXT.get(self.status) is not status:
            raise ConfigError(f"session {self.id} is {self.status.name}, and cannot become {status.name}")
        if self.status.is_final:
            raise ConfigError(f"session {self.id} has ended: start another")
        return replace(self, status=status, message=message, updated_at=time.time())

    def at(self, mark: Mark) -> Session:
        return replace(self, reached=mark, updated_at=time.time())

    def settled(self, last: int) -> Session:
        """Return it with what is durable up to this ledger; Damaged where no commit was to end there."""
        marks = {mark.ledger: mark for mark in (self.reached, *self.ahead)}
        mark = marks.get(last)
        if mark is None and self._knows_marks:
            raise Damaged(
                f"session {self.id} is remembered to be at ledger {self.current}, but its spool ends with"
                f" {last}: the session database is older or damaged; nothing was changed; put a sound copy"
                " back, or start a new session"
            )
        mark = mark or Mark(last, counts=self.counts)
        return self if mark == self.reached else self.at(mark)

    @property
    def _knows_marks(self) -> bool:
        """Whether a version saved it that notes the marks of each commit beforehand."""
        return bool(self.ahead or self.reached.hash or not self.current)

    def telling(self, message: str) -> Session:
        return replace(self, message=message, updated_at=time.time())
