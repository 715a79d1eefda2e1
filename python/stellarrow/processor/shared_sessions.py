"""What the replicas of one processor share: which sessions there are, and the filter that was configured.

A session is its range, its tables and where it began, nothing of its rows: each replica decodes those from
the source itself, into a spool of its own, and a row has the same place in each. So a resume token, which
names a session and a row, is good at every replica.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Final, TypeVar

from stellarrow.errors import ConfigError, Damaged, NetworkMismatch
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, Network
from stellarrow.processor.session import Session, Status
from stellarrow.records.record import Records, amend

Result = TypeVar("Result")

_KEY: Final = "sessions.json"
_FORMAT: Final = 1
_ENDED: Final = 100  # sessions that have ended and are remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSession:
    """One session as replicas share it; `ended_at`, unix seconds, is 0 while it is worked on.

    One that was `stopped` ended before it had all.
    """

    id: str
    ledgers: LedgerRange
    batch_size: int
    tables: tuple[str, ...]
    created_at: float
    ended_at: float = 0.0
    stopped: bool = False

    @classmethod
    def of(cls, session: Session) -> SharedSession:
        """Return what others have to know of a session."""
        return cls(
            id=session.id,
            ledgers=session.ledgers,
            batch_size=session.batch_size,
            tables=session.tables,
            created_at=session.created_at,
            ended_at=session.updated_at if session.status is Status.STOPPED else 0.0,
            stopped=session.status is Status.STOPPED and not session.is_done,
        )

    def begun(self) -> Session:
        """Return it as a replica begins it."""
        return Session(
            id=self.id,
            ledgers=self.ledgers,
            batch_size=self.batch_size,
            tables=self.tables,
            status=Status.STARTING,
            created_at=self.created_at,
            updated_at=time.time(),
        )

    def encode(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        held = {one.name: getattr(self, one.name) for one in fields(self)}
        return {**held, "ledgers": [self.ledgers.first, self.ledgers.last]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """All that replicas share; `network` is a passphrase, empty before a replica knew it."""

    network: str = ""
    where: Filter | None = None
    sessions: tuple[SharedSession, ...] = ()

    def encode(self) -> bytes:
        """Return it as it is written."""
        where = None
        if self.where is not None:
            where = {one.name: getattr(self.where, one.name) for one in fields(self.where)}
        sessions = [one.encode() for one in self.sessions]
        held = {"format": _FORMAT, "network": self.network, "filter": where, "sessions": sessions}
        return json.dumps(held, indent=1).encode()

    @classmethod
    def decode(cls, data: bytes | None, where: str) -> Shared:
        """Read it; Damaged where it is none, and a ConfigError where a newer version wrote it."""
        if data is None:
            return cls()
        try:
            held = json.loads(data)
            if held["format"] != _FORMAT:
                raise ConfigError(f"{where} is of format {held['format']}, not {_FORMAT}: update stellarrow")
            chosen = held["filter"]
            return cls(
                network=str(held["network"]),
                where=None if chosen is None else Filter(**{name: _frozen(chosen[name]) for name in chosen}),
                sessions=tuple(map(_session, held["sessions"])),
            )
        except (ValueError, TypeError, KeyError) as error:
            if isinstance(error, ConfigError):
                raise
            raise Damaged(f"{where} is no record of sessions ({error}): put a sound copy back") from error

    def named(self, session_id: str) -> SharedSession | None:
        """Return a session by its id."""
        return next((one for one in self.sessions if one.id == session_id), None)


class SharedSessions:
    """The record of the sessions; what a call has changed is there for every replica."""

    def __init__(self, records: Records, *, network: Network | None) -> None:
        self.where = f"{records.where}/{_KEY}"
        self._records = records
        self._network = network

    def read(self) -> Shared:
        """Return what is shared now; NetworkMismatch where it is of another network than ours."""
        held = self._records.get(_KEY)
        return self._agreed(Shared.decode(held.data if held else None, self.where))

    def add(self, session: Session, *, once: bool = False) -> SharedSession:
        """Share a session; `once` returns the one that is of the same ledgers, where there is one."""
        added = SharedSession.of(session)

        def change(shared: Shared) -> tuple[Shared, SharedSession]:
            for known in shared.sessions:
                if known.id == added.id or (once and not known.stopped and known.ledgers == added.ledgers):
                    return shared, known
            return _bounded(replace(shared, sessions=(*shared.sessions, added))), added

        return self._amend(change)

    def end(self, session_id: str, *, stopped: bool) -> None:
        """Let a session have ended; one that has stays as it is."""

        def change(shared: Shared) -> tuple[Shared, None]:
            ended = tuple(
                replace(one, ended_at=time.time(), stopped=stopped)
                if one.id == session_id and not one.ended_at
                else one
                for one in shared.sessions
            )
            return _bounded(replace(shared, sessions=ended)), None

        self._amend(change)

    def configure(self, where: Filter, *, unless_set: bool = False) -> Filter:
        """Share a filter, and return the one that holds."""

        def change(shared: Shared) -> tuple[Shared, Filter]:
            if unless_set and shared.where is not None:
                return shared, shared.where
            return replace(shared, where=where), where

        return self._amend(change)

    def close(self) -> None:
        """Let go of what reaches the record."""
        self._records.close()

    def _amend(self, change: Callable[[Shared], tuple[Shared, Result]]) -> Result:
        def changed(data: bytes | None) -> tuple[bytes, Result]:
            shared = self._agreed(Shared.decode(data, self.where))
            network = self._network.passphrase if self._network else shared.network
            shared, result = change(replace(shared, network=network))
            return shared.encode(), result

        return amend(self._records, _KEY, changed)

    def _agreed(self, shared: Shared) -> Shared:
        if self._network and shared.network and shared.network != self._network.passphrase:
            raise NetworkMismatch(
                f"{self.where} is of {Network.from_passphrase(shared.network)}, and this processor of"
                f" {self._network}: name other shared records for it"
            )
        return shared


def _bounded(shared: Shared) -> Shared:
    """Forget the sessions that ended first, where there are too many."""
    ended = sorted((one for one in shared.sessions if one.ended_at), key=lambda one: one.ended_at)
    forgotten = {one.id for one in ended[:-_ENDED]}
    return replace(shared, sessions=tuple(one for one in shared.sessions if one.id not in forgotten))


def _session(held: dict[str, Any]) -> SharedSession:
    first, last = held["ledgers"]
    return SharedSession(
        id=str(held["id"]),
        ledgers=LedgerRange(first, last),
        batch_size=int(held["batch_size"]),
        tables=tuple(map(str, held["tables"])),
        created_at=float(held["created_at"]),
        ended_at=float(held["ended_at"]),
        stopped=bool(held["stopped"]),
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
