"""The indexes of a loaded partition: those of its table, made through two connections where two are free.

Whoever finishes a load holds the partition in SHARE MODE: both can make indexes, and nobody can write. What
the other connection makes is committed at once: after a crash, whoever finishes makes what is missing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg.errors import LockNotAvailable

from stellarrow.sinks.postgres import partitions
from stellarrow.sinks.postgres.ddl import Layout

# A connection that is free, with what gives it back.
Spare = Callable[[], tuple[psycopg.Connection, Callable[[], None]] | None]

_FINISHING, _MAKING = 1, 2  # seeds, so that each has locks of its own
_MEMORY: Final = 256 << 10  # kB
_HASHED: Final = 40 << 10  # bytes of a table for each kB that is less than its hash index will take


@dataclass(frozen=True, slots=True)
class _Index:
    """An index but for its name: `body` is its method, columns and condition."""

    body: str
    unique: bool


def reserve(connection: psycopg.Connection, name: str) -> None:
    """Let nobody else finish a partition until the transaction ends; wait for what a dead process makes."""
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [name, _FINISHING])
    # A session's lock, since it must not stay: our own second connection takes it, too.
    connection.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", [name, _MAKING])
    connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", [name, _MAKING])


def build(
    connection: psycopg.Connection, kept: Layout, first: int, *, spare: Spare, states: Callable[[], None]
) -> None:
    """Give a partition its table's indexes, and bring states up: meanwhile, where a connection is spare.

    Nobody may change the table's indexes until the transaction ends.
    """
    name = kept.partition(first)
    partitions.hold_tables(connection, [kept.place])
    wanted, there = _indexes(connection, kept.place), _indexes(connection, name)
    for unwanted in there.keys() - wanted.keys():  # the table's profile has changed since
        connection.execute(f"DROP INDEX {there[unwanted]}".encode())
    todo = deque(_statement(name, index) for index in wanted if index not in there)
    with ThreadPoolExecutor(1, thread_name_prefix="stellarrow-index") as threads:
        try:
            other = _make_until_helped(connection, name, todo, spare=spare, threads=threads)
            states()
            _make_all(connection, name, todo)
            if other:
                other.result()
                _make_all(connection, name, todo)  # what it was not let to
        except BaseException:
            todo.clear()  # or the other would go on
            raise
    _add_key(connection, kept.place, name)


def _make_until_helped(
    connection: psycopg.Connection, name: str, todo: deque[str], *, spare: Spare, threads: ThreadPoolExecutor
) -> Future[None] | None:
    """Make indexes until there is a spare connection, by which the others are made."""
    while todo:
        if lent := spare():
            return threads.submit(_help, *lent, name, todo)
        _make(connection, name, todo.popleft())
    return None


def _help(connection: psycopg.Connection, give_back: Callable[[], None], name: str, todo: deque[str]) -> None:
    try:
        _make_all(connection, name, todo, apart=True)
    finally:
        give_back()


def _make_all(connection: psycopg.Connection, name: str, todo: deque[str], *, apart: bool = False) -> None:
    while True:
        try:
            statement = todo.popleft()
        except IndexError:
            return
        try:
            _make(connection, name, statement, apart=apart)
        except LockNotAvailable:  # who waits for the one that finishes would let us wait, too
            todo.append(statement)
            return


def _make(connection: psycopg.Connection, name: str, statement: str, *, apart: bool = False) -> None:
    with connection.transaction():
        if apart:
            connection.execute(
                "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, %s))", [name, _MAKING]
            )
            connection.execute(f"LOCK TABLE {name} IN SHARE MODE NOWAIT".encode())
        # A hash index that is larger than its memory is made of sorted rows, which takes a fifth less time.
        memory = f"least({_MEMORY}, greatest(1024, pg_relation_size(%s::regclass) / %s)) || 'kB'"
        share = _HASHED if " USING hash " in statement else 1
        setting = f"SELECT set_config('maintenance_work_mem', {memory}, true)"
        connection.execute(setting.encode(), [name, share])
        # Below, parallel workers cost more CPU to come and go than they save; other writers have use for it.
        connection.execute("SET LOCAL min_parallel_table_scan_size = '1GB'")
        connection.execute(statement.encode())


def _indexes(connection: psycopg.Connection, place: str) -> dict[_Index, str]:
    """Return a table's indexes in the order they were made, with their names."""
    found = connection.execute(
        "SELECT substring(pg_get_indexdef(indexrelid) FROM ' USING .*'), indisunique,"
        " indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass ORDER BY indexrelid",
        [place],
    )
    return {_Index(body, unique): name for body, unique, name in found}


def _statement(name: str, index: _Index) -> str:
    return f"CREATE {'UNIQUE ' if index.unique else ''}INDEX ON {name}{index.body}"


def _add_key(connection: psycopg.Connection, place: str, name: str) -> None:
    """Make a partition's unique index its primary key, where its table has one."""
    found = connection.execute(
        "SELECT substring(pg_get_indexdef(indexrelid) FROM ' USING .*') FROM pg_index"
        " WHERE indrelid = ANY(ARRAY[%s, %s]::regclass[]) AND indisprimary",
        [place, name],
    ).fetchall()
    if len(found) != 1:
        return
    index = _indexes(connection, name)[_Index(found[0][0], unique=True)].rpartition(".")[2]
    key = f"{name.rpartition('.')[2]}_pkey"
    connection.execute(f"ALTER TABLE {name} ADD CONSTRAINT {key} PRIMARY KEY USING INDEX {index}".encode())
