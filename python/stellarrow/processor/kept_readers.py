"""Readers that have a name: what they have not acknowledged is kept for them, also while they are away.

Each has a place a table, written down before the spools may let go of what lies in front of it. A place
that is older than what was acknowledged last keeps more than is needed, never less.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from stellarrow.errors import (
    ConfigError,
    Damaged,
    PermissionDenied,
    SinkUnavailable,
    Unavailable,
    UnknownReader,
)
from stellarrow.net.redaction import shortened
from stellarrow.processor.reads.cursor import Cursor
from stellarrow.spool.spool import Spool
from stellarrow.storage.atomic import write_all, written_aside
from stellarrow.storage.os_errors import reason, remedy
from stellarrow.storage.private import private_file, private_folder

KEPT: Final = "kept"  # what ends a spool's name for such a reader
_MOST: Final = 100
_MOST_OF_ONE: Final = 20  # of those, one caller's: two readers of all tables
_REMEDY: Final = "restore a sound copy, or remove it, and named readers begin where they say"


@dataclass(frozen=True, slots=True)
class KeptReader:
    """A reader's place in a table: `resume` is a token, `seen_at` unix seconds of its last sign of life.

    `owner` is who made it, where callers are known.
    """

    name: str
    table: str
    resume: str
    seen_at: float
    owner: str = ""

    def is_open_to(self, caller: str) -> bool:
        """Tell whether a caller may go on with it; nobody is asked where callers are not known."""
        return not caller or self.owner in ("", caller)

    @property
    def in_spools(self) -> str:
        """What the spools call it."""
        return in_spools(self.name, self.table)


def in_spools(name: str, table: str) -> str:
    """Return what the spools call a named reader of a table."""
    return f"{name} {table} {KEPT}"


def is_read(spool: Spool) -> bool:
    """Tell whether a reader is at a spool, or a kept one still needs something of it."""
    return any(not name.endswith(f" {KEPT}") or after < spool.last for name, after in spool.readers.items())


class KeptReaders:
    """The named readers of a processor, in a file that is there whole or not at all. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._readers = _loaded(path)

    def every(self) -> list[KeptReader]:
        """Return all of them, by name and table."""
        with self._lock:
            return sorted(self._readers.values(), key=lambda one: (one.name, one.table))

    def find(self, name: str, table: str, *, owner: str = "") -> KeptReader | None:
        """Return a reader's place; PermissionDenied where it is another caller's."""
        with self._lock:
            return self._found(name, table, owner)

    def _found(self, name: str, table: str, owner: str) -> KeptReader | None:
        found = self._readers.get((name, table))
        if found and not found.is_open_to(owner):
            raise PermissionDenied(f"the reader {name} of {table} is another caller's: take another name")
        return found

    def put(self, name: str, table: str, resume: str, *, owner: str = "") -> KeptReader:
        """Write down where a reader is, before anything relies on it; who makes it owns it."""
        with self._lock:
            found = self._found(name, table, owner)
            if found is None:
                self._check_room(owner)
            made = KeptReader(name, table, resume, time.time(), (found.owner if found else "") or owner)
            self._write({**self._readers, (name, table): made})
        return made

    def _check_room(self, owner: str) -> None:
        own = sum(one.owner == owner for one in self._readers.values()) if owner else 0
        if own < _MOST_OF_ONE and len(self._readers) < _MOST:
            return
        many = f"{own} places of yours" if own >= _MOST_OF_ONE else f"{_MOST} readers"
        raise Unavailable(
            f"{many} are kept, which is the most: remove one that is not needed, by"
            " stellarrow processor remove-reader"
        )

    def remove(self, name: str, table: str = "") -> list[KeptReader]:
        """Forget a reader, of one table or all, and return what it was; UnknownReader where there is none."""
        with self._lock:
            gone = [one for one in self._readers.values() if one.name == name and table in ("", one.table)]
            if not gone:
                of_table = f" of {shortened(table)}" if table else ""
                known = ", ".join(sorted({one.name for one in self._readers.values()})) or "none"
                raise UnknownReader(f"no reader{of_table} is called {shortened(name)!r}: there are {known}")
            self._write({key: one for key, one in self._readers.items() if one not in gone})
        return gone

    def attach(self, session: str, spool: Spool, tables: Mapping[str, str]) -> None:
        """Let a session's spool keep what each of the readers of its tables still needs."""
        for reader in self.every():
            if reader.table in tables:
                register(reader, session, spool)

    def _write(self, readers: dict[tuple[str, str], KeptReader]) -> None:
        held = {"format": 1, "readers": [asdict(one) for one in readers.values()]}
        try:
            private_folder(self._path.parent)
            with written_aside(self._path) as aside, private_file(aside, "xb", buffering=0) as file:
                write_all(file, json.dumps(held, indent=1).encode())
        except OSError as error:
            raise SinkUnavailable(
                f"{self._path} cannot be written ({reason(error)}):"
                f" {remedy(error, 'choose another --state-dir')}"
            ) from error
        self._readers = readers


def register(reader: KeptReader, session: str, spool: Spool) -> None:
    """Let a spool keep what a reader needs of it: all, where it has not begun with the session.

    What is gone already, since the spool has lost patience with it, is waited for no more.
    """
    place = places_of(reader).get(session, 0)
    if place < spool.gone:
        spool.forget(reader.in_spools)
    else:
        spool.register(reader.in_spools, after=place, is_named=True)


def places_of(reader: KeptReader) -> dict[str, int]:
    """Return behind which ledger of each session a reader goes on."""
    return {session: place.after for session, place in Cursor.read(reader.resume).places.items()}


def _loaded(path: Path) -> dict[tuple[str, str], KeptReader]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Damaged(f"{path} cannot be read ({error}): {_REMEDY}") from error
    try:
        held = json.loads(text)
        if held["format"] != 1:
            raise ConfigError(f"{path} is of a newer version of stellarrow: update, or {_REMEDY}")
        return {(one["name"], one["table"]): _reader(one) for one in held["readers"]}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Damaged(f"{path} lists no readers ({error}): {_REMEDY}") from error


def _reader(held: dict[str, Any]) -> KeptReader:
    owner = str(held.get("owner", ""))  # versions before kept none
    made = KeptReader(
        str(held["name"]), str(held["table"]), str(held["resume"]), float(held["seen_at"]), owner
    )
    places_of(made)
    return made
