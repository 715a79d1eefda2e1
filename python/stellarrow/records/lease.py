"""A lease: what only one process does at a time, and by whom; a holder that was paused is found out.

Nobody's clock is compared with another's. The holder counts its time from before its last write; who waits
has to see the same version for as long, by its own clock, before it takes the lease over. Every write of the
holder, its notes too, replaces the version that it wrote last: one step that fails once another one has
taken over, whatever the holder still believes.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final
from uuid import uuid4

from stellarrow.errors import SinkError
from stellarrow.records.record import Record, Records

_POLL_SECONDS: Final = 0.5
_FOLDER: Final = "leases"


class LeaseLost(SinkError):
    """Somebody else holds the lease now: what was to be written under it was not."""


class LeaseHeld(SinkError):
    """Somebody else holds the lease and is alive."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as it is written: who holds it (empty: nobody), in which epoch, and what for.

    The epoch grows with every holder. `mark` makes each write another one.
    """

    holder: str = ""
    epoch: int = 0
    note: str = ""
    mark: str = ""

    def encode(self) -> bytes:
        return json.dumps(asdict(replace(self, mark=uuid4().hex))).encode()

    @classmethod
    def of(cls, record: Record | None, where: str) -> Held:
        """Read a lease; the first one has epoch 0 and no holder."""
        if record is None:
            return cls()
        try:
            held = json.loads(record.data)
            return cls(**{name: kind(held[name]) for name, kind in _FIELDS.items()})
        except (ValueError, TypeError, KeyError) as error:
            raise SinkError(f"{where} is no lease of stellarrow ({error}): remove it") from error


_FIELDS: Final = {"holder": str, "epoch": int, "note": str, "mark": str}


class Lease:
    """One process's share in a lease; `seconds` is how long it lasts without a sign of life."""

    def __init__(self, records: Records, name: str, *, seconds: float = 30.0, holder: str = "") -> None:
        self.holder = holder or f"process {os.getpid()} on {socket.gethostname()} ({uuid4().hex[:8]})"
        self.epoch = 0
        self._records = records
        self._key = f"{_FOLDER}/{name}.json"
        self._seconds = seconds
        self._lock = threading.Lock()
        self._version: str | None = None
        self._note = ""
        self._until = 0.0

    @property
    def where(self) -> str:
        return f"{self._records.where}/{self._key}"

    @property
    def is_held(self) -> bool:
        """Whether it is ours and cannot have been taken over; a later write may show that it was."""
        return self._version is not None and time.monotonic() < self._until

    @property
    def renewal_seconds(self) -> float:
        """How often it is to be renewed."""
        return self._seconds / 4

    def take(self, *, stopped: Callable[[float], bool]) -> Held:
        """Take the lease and return what the holder before left; LeaseHeld where that one is alive.

        A holder that gives no sign of life for the lease's time has lost it. `stopped` waits for so many
        seconds and tells whether to give up.
        """
        seen, since = self._records.get(self._key), time.monotonic()
        while True:
            held = Held.of(seen, self.where)
            if not held.holder or time.monotonic() - since >= self._seconds:
                if self._taken(seen, held):
                    return held
                seen = self._records.get(self._key)
                raise self._alive(Held.of(seen, self.where))
            if stopped(min(_POLL_SECONDS, self._seconds / 4)):
                raise self._alive(held)
            now = self._records.get(self._key)
            if now is None or Held.of(now, self.where).holder == "":
                seen = now
            elif seen is None or now.version != seen.version:
                raise self._alive(Held.of(now, self.where))

    def _taken(self, seen: Record | None, held: Held) -> bool:
        began = time.monotonic()
        mine = Held(self.holder, held.epoch + 1)
        version = self._records.replace(self._key, mine.encode(), of=seen.version if seen else None)
        if version is None:
            return False
        with self._lock:
            self.epoch, self._version, self._until, self._note = (
                mine.epoch,
                version,
                began + self._seconds,
                "",
            )
        return True

    def _alive(self, held: Held) -> LeaseHeld:
        return LeaseHeld(
            f"{held.holder or 'another process'} is at it just now ({self.where}): nothing was done"
        )

    def write(self, note: str | None = None) -> None:
        """Renew the lease, and write down what is about to be done; LeaseLost where it is another's now."""
        with self._lock:
            if self._version is None:
                raise LeaseLost(f"{self.where} is not held: nothing was done")
            began = time.monotonic()
            self._note = self._note if note is None else note
            mine = Held(self.holder, self.epoch, self._note)
            version = self._records.replace(self._key, mine.encode(), of=self._version)
            if version is None and (version := self._landed(mine)) is None:
                self._version = None
                raise LeaseLost(
                    f"another process has taken over {self.where}, as this one gave no sign of life for"
                    f" {self._seconds:g} s: nothing more is done here"
                )
            self._version, self._until = version, began + self._seconds

    def _landed(self, mine: Held) -> str | None:
        """Return the version of a write of ours whose answer was lost; None where another one's is there."""
        record = self._records.get(self._key)
        held = Held.of(record, self.where)
        is_ours = (held.holder, held.epoch) == (mine.holder, mine.epoch)
        if record is None or not is_ours:
            return None
        return self._records.replace(self._key, mine.encode(), of=record.version)

    def release(self) -> None:
        """Let the next one take it at once."""
        with self._lock:
            version, self._version = self._version, None
            if version is not None:
                self._records.replace(self._key, Held("", self.epoch).encode(), of=version)


class Renewed:
    """Renews a lease in a thread of its own while a block runs, and lets go of it at the end."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="stellarrow-lease", daemon=True)

    def __enter__(self) -> Lease:
        self._thread.start()
        return self._lease

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._lease.release()
        except SinkError:  # it runs out by itself
            return

    def _renew(self) -> None:
        while not self._ended.wait(self._lease.renewal_seconds):
            try:
                self._lease.write()
            except LeaseLost:
                return  # whoever writes next is told
            except SinkError:
                continue  # away for a moment; the next write tells
