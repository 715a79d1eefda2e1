"""What a processor remembers: its sessions and their filter, in SQLite."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from stellarrow.core.tables import table
from stellarrow.errors import ConfigError, SinkError, SinkUnavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange
from stellarrow.processor.session import Counts, Mark, Session, Status

_FORMAT: Final = 1  # SQLite's user_version; files from before it was set have 0
_SCHEMA: Final = """
create table if not exists sessions (
    id text primary key, first integer not null, last integer, batch_size integer not null,
    tables text not null, network text not null, status text not null, current integer not null,
    message text not null, counts text not null, created_at real not null, updated_at real not null,
    hash text not null default '', ahead text not null default '[]'
) strict;
create table if not exists filter (only integer primary key check (only = 1), chosen text not null) strict;
"""
_COLUMNS: Final = (
    *("id", "first", "last", "batch_size", "tables", "network", "status", "current"),
    *("message", "counts", "created_at", "updated_at", "hash", "ahead"),
)
_ADDED: Final = """
alter table sessions add column hash text not null default '';
alter table sessions add column ahead text not null default '[]';
"""
_UNREADABLE: Final = "cannot be read, as by a newer version of stellarrow"
_REMEDY: Final = "update, or choose another --state-dir"


class Store:
    """Sessions on disk; what a call has saved survives a crash. Any thread may call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("pragma journal_mode = wal")
            self._database.execute("pragma synchronous = full")
            self._agree_format()

    def sessions(self) -> list[Session]:
        """Return every session, the oldest first."""
        with self._told():
            rows = self._database.execute(f"select {', '.join(_COLUMNS)} from sessions order by created_at")
            return [_session(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def save(self, session: Session) -> None:
        values = (
            *(session.id, session.ledgers.first, session.ledgers.last, session.batch_size),
            *(json.dumps(session.tables), session.network, session.status.name, session.current),
            *(session.message, json.dumps(asdict(session.counts)), session.created_at, session.updated_at),
            *(session.reached.hash, json.dumps([_told(mark) for mark in session.ahead])),
        )
        marks = ", ".join("?" * len(_COLUMNS))
        with self._told():
            self._database.execute(
                f"insert or replace into sessions ({', '.join(_COLUMNS)}) values ({marks})", values
            )

    def forget(self, session_id: str) -> None:
        with self._told():
            self._database.execute("delete from sessions where id = ?", (session_id,))

    def filter(self) -> Filter | None:
        """Return the filter that was configured last, if any was."""
        with self._told():
            row = self._database.execute("select chosen from filter").fetchone()
        try:
            return Filter(**json.loads(row[0])) if row else None
        except (TypeError, ValueError) as error:
            raise ConfigError(f"the filter in {self._path} {_UNREADABLE} ({error}): {_REMEDY}") from error

    def save_filter(self, where: Filter) -> None:
        chosen = json.dumps({one.name: getattr(where, one.name) for one in fields(where)})
        with self._told():
            self._database.execute("insert or replace into filter values (1, ?)", (chosen,))

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
        added = _ADDED if has_begun else ""
        self._database.executescript(f"begin; {added} {_SCHEMA} pragma user_version = {_FORMAT}; commit;")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            raise SinkUnavailable(
                f"{self._path} cannot be used ({error}): make room or mend its permissions, and it goes on"
            ) from error
        except (sqlite3.Error, OSError) as error:
            raise SinkError(
                f"{self._path} is no store of sessions ({error}): move it away to begin anew"
            ) from error


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


def _told(mark: Mark) -> list[Any]:
    counts = mark.counts
    return [
        *(mark.ledger, mark.hash),
        *(counts.ledgers, counts.entries, counts.skipped, counts.batches, counts.bytes),
    ]


def _mark(told: list[Any]) -> Mark:
    ledger, digest, ledgers, entries, skipped, batches, size = told
    counts = Counts(ledgers=ledgers, entries=entries, skipped=skipped, batches=batches, bytes=size)
    return Mark(ledger, digest, counts)
