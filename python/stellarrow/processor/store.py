"""What a processor remembers: its sessions and their filter, in SQLite."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Final

from stellarrow.errors import SinkError, SinkUnavailable
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange
from stellarrow.processor.session import Counts, Session, Status

_SCHEMA: Final = """
create table if not exists sessions (
    id text primary key, first integer not null, last integer, batch_size integer not null,
    tables text not null, network text not null, status text not null, current integer not null,
    message text not null, counts text not null, created_at real not null, updated_at real not null
) strict;
create table if not exists filter (only integer primary key check (only = 1), chosen text not null) strict;
"""
_COLUMNS: Final = (
    *("id", "first", "last", "batch_size", "tables", "network", "status", "current"),
    *("message", "counts", "created_at", "updated_at"),
)


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
            self._database.executescript(_SCHEMA)

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
        )
        marks = ", ".join("?" * len(_COLUMNS))
        with self._told():
            self._database.execute(
                f"insert or replace into sessions ({', '.join(_COLUMNS)}) values ({marks})", values
            )

    def filter(self) -> Filter | None:
        """Return the filter that was configured last, if any was."""
        with self._told():
            row = self._database.execute("select chosen from filter").fetchone()
        return Filter(**json.loads(row[0])) if row else None

    def save_filter(self, where: Filter) -> None:
        chosen = json.dumps({one.name: getattr(where, one.name) for one in fields(where)})
        with self._told():
            self._database.execute("insert or replace into filter values (1, ?)", (chosen,))

    def close(self) -> None:
        with self._lock:
            self._database.close()

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


def _session(row: dict[str, object]) -> Session:
    counts = Counts(**json.loads(str(row.pop("counts"))))
    ledgers = LedgerRange(row.pop("first"), row.pop("last"))  # type: ignore[arg-type]
    tables = tuple(json.loads(str(row.pop("tables"))))
    status = Status[str(row.pop("status"))]
    return Session(ledgers=ledgers, counts=counts, tables=tables, status=status, **row)  # type: ignore[arg-type]
