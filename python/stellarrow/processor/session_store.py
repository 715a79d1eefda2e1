"""What a processor remembers: its sessions and their filter, in SQLite.

SQLite finds damage of its own structure, not of what is stored in it: each row has a digest of itself. The
log ahead of the file (-wal) ends for SQLite where it is damaged: what must not be forgotten is moved from
there into the file at once, and of marks the spool knows what they must be (Session.settled).
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from stellarrow.core.tables import table
from stellarrow.errors import ConfigError, Damaged, SinkUnavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange
from stellarrow.processor.session import Counts, Mark, Session, Status
from stellarrow.storage.private import private_file, private_folder

_FORMAT: Final = 2  # SQLite's user_version; 1 has no digests, files from before it was set have 0
_SCHEMA: Final = """
create table if not exists sessions (
    id text primary key, first integer not null, last integer, batch_size integer not null,
    tables text not null, network text not null, status text not null, current integer not null,
    message text not null, counts text not null, created_at real not null, updated_at real not null,
    hash text not null default '', ahead text not null default '[]', digest text not null default ''
) strict;
create table if not exists filter (
    only integer primary key check (only = 1), chosen text not null, digest text not null default ''
) strict;
"""
_COLUMNS: Final = (
    *("id", "first", "last", "batch_size", "tables", "network", "status", "current"),
    *("message", "counts", "created_at", "updated_at", "hash", "ahead"),
)
_ADDED: Final = {  # by the format that lacks it
    0: """
alter table sessions add column hash text not null default '';
alter table sessions add column ahead text not null default '[]';
""",
    1: """
alter table sessions add column digest text not null default '';
alter table filter add column digest text not null default '';
""",
}
# Of SQLite's errors those that pass, or whose cause is to be mended outside of the file.
_PASSING: Final = frozenset(
    (
        *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
        *(sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY),
    )
)
_ROW: Final = ", ".join(_COLUMNS)
_UNREADABLE: Final = "cannot be read, as by a newer version of stellarrow"
_REMEDY: Final = "update, or choose another --state-dir"
_SOUND_COPY: Final = (
    "nothing was changed; restore a sound copy, or move it and the folder sessions away to start again"
)
_log: Final = logging.getLogger(__name__)


class Store:
    """Sessions on disk; what a call has saved survives a crash. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._translate_errors():
            private_folder(path.parent)
            private_file(path, "ab").close()  # those beside it get its mode
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.text_factory = _text
            self._check()
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._agree_format()

    def sessions(self) -> list[Session]:
        """Return every session, the oldest first."""
        with self._translate_errors():
            rows = self._database.execute(f"select {_ROW}, digest from sessions order by created_at")
            return [self._session(row[:-1], row[-1]) for row in rows]

    def save(self, session: Session) -> None:
        """Remember a session, and all that was before."""
        self.save_marks(session)
        self._fold_in()

    def save_marks(self, session: Session) -> None:
        """Remember a session of which only the marks are new."""
        values = (
            *(session.id, session.ledgers.first, session.ledgers.last, session.batch_size),
            *(json.dumps(session.tables), session.network, session.status.name, session.current),
            *(session.message, json.dumps(asdict(session.counts)), session.created_at, session.updated_at),
            *(session.reached.hash, json.dumps([_saved(mark) for mark in session.ahead])),
        )
        marks = ", ".join("?" * (len(_COLUMNS) + 1))
        with self._translate_errors():
            self._database.execute(
                f"insert or replace into sessions ({_ROW}, digest) values ({marks})",
                (*values, digest(values)),
            )

    def forget(self, session_id: str) -> None:
        with self._translate_errors():
            self._database.execute("delete from sessions where id = ?", (session_id,))
        self._fold_in()

    def filter(self) -> Filter | None:
        """Return the filter that was configured last, if any was."""
        with self._translate_errors():
            row = self._database.execute("select chosen, digest from filter").fetchone()
        if row and row[1] != digest(row[:1]):
            raise Damaged(f"the filter in {self._path} is damaged: {_SOUND_COPY}")
        try:
            return Filter(**json.loads(row[0])) if row else None
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the filter in {self._path} {_UNREADABLE} ({error}): {_REMEDY}") from error

    def save_filter(self, where: Filter) -> None:
        chosen = json.dumps({one.name: getattr(where, one.name) for one in fields(where)})
        with self._translate_errors():
            self._database.execute(
                "insert or replace into filter (only, chosen, digest) values (1, ?, ?)",
                (chosen, digest([chosen])),
            )
        self._fold_in()

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _agree_format(self) -> None:
        """Bring the file to this format; a newer one is not touched."""
        (held,) = self._database.execute("pragma user_version").fetchone()
        if held > _FORMAT:
            raise ConfigError(f"{self._path} {_UNREADABLE} (format {held}, not {_FORMAT}): {_REMEDY}")
        if held == _FORMAT:
            return  # and write nothing: there may be no room
        has_begun = self._database.execute("select 1 from sqlite_schema where name = 'sessions'").fetchone()
        added = "".join(_ADDED[one] for one in range(held, _FORMAT)) if has_begun else ""
        self._database.execute("begin")
        try:
            for statement in f"{added}{_SCHEMA}".split(";")[:-1]:
                self._database.execute(statement)
            for row in self._database.execute(f"select {_ROW} from sessions").fetchall():
                self._database.execute("update sessions set digest = ? where id = ?", (digest(row), row[0]))
            for row in self._database.execute("select chosen from filter").fetchall():
                self._database.execute("update filter set digest = ?", (digest(row),))
            self._database.execute(f"pragma user_version = {_FORMAT}")
            self._database.execute("commit")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                self._database.execute("rollback")
            raise

    def _check(self) -> None:
        """Let SQLite look whether its structure is whole."""
        wrong = [str(found) for (found,) in self._database.execute("pragma integrity_check(3)")]
        if wrong != ["ok"]:
            raise Damaged(f"{self._path} is damaged ({'; '.join(wrong)}): {_SOUND_COPY}")

    def _fold_in(self) -> None:
        """Move what was saved into the file, if there is room; it is durable also where it was."""
        with suppress(SinkUnavailable), self._translate_errors():
            self._database.execute("pragma wal_checkpoint(truncate)").fetchall()

    def _session(self, row: Sequence[Any], told: str) -> Session:
        held = dict(zip(_COLUMNS, row, strict=True))
        if told == digest(row):
            return _session(held)
        message = f"what is remembered of it in {self._path} is damaged: {_SOUND_COPY}"
        _log.error("session %s: %s", held["id"], message)
        return Session(
            id=str(held["id"]),
            ledgers=LedgerRange(1),
            batch_size=1,
            tables=(),
            status=Status.ERROR,
            message=message,
            damage=message,
        )

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # the last of SQLite's own messages
            # The lower byte is the kind. A bug here has no code.
            if isinstance(error, OSError) or getattr(error, "sqlite_errorcode", 0) & 0xFF in _PASSING:
                raise SinkUnavailable(
                    f"{self._path} cannot be used ({error}): make room or fix its permissions"
                ) from error
            raise Damaged(f"{self._path} is no store of sessions ({error}): {_SOUND_COPY}") from error


def _text(data: bytes) -> str:
    """Read a text that may be damaged: what fits no digest is told of then."""
    return data.decode("utf-8", "backslashreplace")


def digest(row: Sequence[Any]) -> str:
    """Return what a row's values must add up to."""
    return hashlib.sha256(json.dumps(list(row), default=repr).encode()).hexdigest()


def _session(row: dict[str, Any]) -> Session:
    """Return what was saved; where that means nothing here, a session that has failed, never to be saved."""
    known = {name: row[name] for name in ("id", "batch_size", "created_at", "updated_at")}
    ledgers = LedgerRange(row["first"], row["last"])
    try:
        tables = tuple(str(name) for name in json.loads(row["tables"]))
        for name in tables:
            table(name)
        return Session(
            ledgers=ledgers,
            tables=tables,
            network=row["network"],
            status=Status[row["status"]],
            reached=Mark(row["current"], row["hash"], Counts(**json.loads(row["counts"]))),
            ahead=tuple(map(_mark, json.loads(row["ahead"]))),
            message=row["message"],
            **known,
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"what is remembered of it {_UNREADABLE} ({error}): {_REMEDY}"
        return Session(ledgers=ledgers, tables=(), status=Status.ERROR, message=message, **known)


def _saved(mark: Mark) -> list[Any]:
    counts = mark.counts
    return [
        *(mark.ledger, mark.hash),
        *(counts.ledgers, counts.entries, counts.skipped, counts.batches, counts.bytes, dict(counts.rows)),
    ]


def _mark(saved: list[Any]) -> Mark:
    ledger, digest, ledgers, entries, skipped, batches, size, *rows = saved
    counts = Counts(
        ledgers=ledgers,
        entries=entries,
        skipped=skipped,
        batches=batches,
        bytes=size,
        rows=rows[0] if rows else {},  # earlier versions did not count them
    )
    return Mark(ledger, digest, counts)
