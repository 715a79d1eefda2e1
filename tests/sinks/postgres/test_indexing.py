"""The indexes of a loaded partition: made once, by two connections, whatever a process that died has left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg
import pytest

from sinks.postgres.made import asked, batch, folded, states
from sinks.postgres.test_writers import LEDGERS, ROWS, assert_whole, bring
from stellarrow.sinks.postgres import PostgresSink, indexing
from stellarrow.sinks.postgres.ddl import layout

PARTITION, LOADED = "contract_data.entries_0", 28  # of 32 ledgers
LOCKS = (
    "SELECT FROM pg_locks WHERE granted = %s AND locktype = %s"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def load(database: str) -> None:
    """Load ledgers bare, and leave them so, as a process that dies does."""
    sink = PostgresSink(
        database, ["contract_data"], network="synthetic", mode="backfill", partition_ledgers=32
    )
    for first in range(0, LOADED, 4):
        sink.write(batch(first, first + 3, ROWS))
    sink.commit()
    for writer in sink._writers:
        writer.close()
    await_locks(database, "advisory", granted=True, there=False)  # its sessions end a little later


def finish(database: str, **choices: Any) -> None:
    with closing(PostgresSink(database, ["contract_data"], network="synthetic", **choices)) as sink:
        sink.commit()


def indexes(database: str, place: str) -> list[str]:
    """Return what a table is indexed by, an index that is there twice twice."""
    rows = asked(
        database,
        "SELECT CASE WHEN indisprimary THEN 'key'"
        " ELSE substring(pg_get_indexdef(indexrelid) FROM ' USING .*') END AS body"
        " FROM pg_index WHERE indrelid = %s::regclass ORDER BY 1",
        [place],
    )
    return [row["body"] for row in rows]


def await_locks(database: str, kind: str, *, granted: bool, there: bool) -> None:
    """Return once someone holds, or waits for, a lock of a kind, or nobody does."""
    deadline = time.monotonic() + 60
    while bool(asked(database, LOCKS, [granted, kind])) is not there:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    "left",
    [
        ["CREATE UNIQUE INDEX ON {} (ledger_sequence, transaction_index, change_index)"],
        [
            "CREATE INDEX ON {} USING hash (ledger_key_hash)",
            "CREATE INDEX ON {} (contract_id, ledger_sequence)",
        ],
        ["ALTER TABLE {} ADD PRIMARY KEY (ledger_sequence, transaction_index, change_index)"],
        ["CREATE INDEX ON {} (deleted)"],  # of a profile that is no more
    ],
)
def test_indexes_that_a_dead_process_made_are_kept_and_the_others_made(
    database: str, left: list[str]
) -> None:
    load(database)
    with psycopg.connect(database) as connection:
        for statement in left:
            connection.execute(statement.format(PARTITION).encode())
    finish(database)
    assert indexes(database, PARTITION) == indexes(database, "contract_data.entries")
    assert states(database) == folded(row for row in ROWS if row["ledger_sequence"] < LOADED)


def test_a_spare_connection_makes_indexes_and_is_given_back(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    helped, real = list[str](), indexing._help

    def noted(*given: Any) -> None:
        helped.append(threading.current_thread().name)
        real(*given)

    monkeypatch.setattr(indexing, "_help", noted)
    load(database)
    finish(database, writers=2)
    assert len(helped) == 1
    assert indexes(database, PARTITION) == indexes(database, "contract_data.entries")
    bring(database, list(range(0, LEDGERS, 4)), mode="live")
    assert_whole(database)


def test_one_connection_alone_makes_all_indexes(database: str) -> None:
    bring(database, list(range(0, LEDGERS, 4)), mode="backfill", writers=1)
    assert indexes(database, PARTITION) == indexes(database, "contract_data.entries")
    assert_whole(database)


def test_who_waits_for_a_partition_keeps_no_one_from_finishing_it(database: str) -> None:
    load(database)
    kept, done = layout("contract_data"), list[str]()
    with (
        psycopg.connect(database) as finishing,
        psycopg.connect(database, autocommit=True) as other,
        psycopg.connect(database) as third,
        ThreadPoolExecutor(1) as threads,
    ):
        finishing.execute(f"LOCK TABLE {PARTITION} IN SHARE MODE".encode())
        writing = threads.submit(third.execute, f"LOCK TABLE {PARTITION} IN ROW EXCLUSIVE MODE".encode())
        await_locks(database, "relation", granted=False, there=True)

        def spare() -> tuple[psycopg.Connection, Callable[[], None]]:
            return other, lambda: done.append("given back")

        indexing.build(finishing, kept, 0, spare=spare, states=lambda: done.append("states"))
        finishing.commit()
        writing.result(60)
    assert sorted(done) == ["given back", "states"]
    assert indexes(database, PARTITION) == indexes(database, "contract_data.entries")


def test_an_index_that_a_dead_process_still_makes_is_waited_for(database: str) -> None:
    load(database)
    with psycopg.connect(database) as orphan, ThreadPoolExecutor(1) as threads:
        orphan.execute(
            "SELECT pg_advisory_xact_lock_shared(hashtextextended(%s, %s))", [PARTITION, indexing._MAKING]
        )
        orphan.execute(f"CREATE INDEX ON {PARTITION} (contract_id, ledger_sequence)".encode())
        finished = threads.submit(finish, database)
        await_locks(database, "advisory", granted=False, there=True)
        orphan.commit()
        finished.result(60)
    assert indexes(database, PARTITION) == indexes(database, "contract_data.entries")


def test_a_failure_while_states_are_brought_up_ends_what_the_other_connection_makes(database: str) -> None:
    load(database)
    with psycopg.connect(database) as finishing, psycopg.connect(database, autocommit=True) as other:

        def fail() -> None:
            raise ZeroDivisionError

        given_back = threading.Event()
        with pytest.raises(ZeroDivisionError):
            indexing.build(
                finishing,
                layout("contract_data"),
                0,
                spare=lambda: (other, given_back.set),
                states=fail,
            )
        assert given_back.is_set()
        finishing.rollback()
    finish(database)
    assert indexes(database, PARTITION) == indexes(database, "contract_data.entries")
