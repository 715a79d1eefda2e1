"""Several sinks at once, over the same ledgers or not: rows once, no deadlock, nothing shown to the user."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
import pytest

import stellarrow as sa
from sinks.postgres.made import Row, asked, batch, entry, folded, states
from stellarrow.net.resilience import Policy
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.migrations import known

LEDGERS = 96
ONCE = Policy(attempts=1)  # what is harmless must not even need another try


def rows() -> list[Row]:
    dice = random.Random(3)  # noqa: S311
    return [
        entry(ledger, f"k{dice.randrange(30)}", place=place, deleted=dice.random() < 0.2)
        for ledger in range(LEDGERS)
        for place in range(20)
    ]


ROWS = rows()


def bring(database: str, order: list[int], **choices: Any) -> None:
    """Bring ledgers, four at a time, in some order."""
    chosen = {"network": "synthetic", "batch_rows": 60, "partition_ledgers": 32, "policy": ONCE, **choices}
    with closing(PostgresSink(database, ["contract_data"], **chosen)) as sink:
        for first in order:
            sink.write(batch(first, first + 3, ROWS))
        sink.commit()


def made(database: str, *more: str, **choices: Any) -> None:
    """Make the tables, and write nothing to them."""
    with closing(PostgresSink(database, ["contract_data", *more], network="synthetic", **choices)) as sink:
        sink._writers[0].writing()


def together(*works: Callable[[], None]) -> None:
    failed: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "they wait for each other"
    if failed:
        raise failed[0]


def assert_whole(database: str, *empty: str) -> None:
    found = asked(database, "SELECT ledger_sequence, change_index FROM contract_data.entries ORDER BY 1, 2")
    assert found == [{name: row[name] for name in ("ledger_sequence", "change_index")} for row in ROWS]
    assert states(database) == folded(ROWS)
    covered = asked(database, "SELECT table_name, ledgers::text FROM contract_data.ledger_coverage")
    held = {row["table_name"]: row["ledgers"] for row in covered}
    assert held == {"contract_data.entries": f"{{[0,{LEDGERS})}}", **dict.fromkeys(empty, "{}")}
    assert asked(database, "SELECT count(*) FROM stellar.loading") == [{"count": 0}]
    failed = asked(database, "SELECT * FROM contract_data.ingestion_progress WHERE status <> 'completed'")
    assert failed == []
    noted = asked(database, "SELECT sum(entries_processed) FROM contract_data.ingestion_progress")
    assert int(noted[0]["sum"]) == len(ROWS)


@pytest.mark.parametrize(
    "modes", [("live", "live"), ("backfill", "backfill"), ("live", "backfill"), ("backfill", "live", "live")]
)
def test_sinks_on_the_same_ledgers_leave_rows_once(database: str, modes: tuple[str, ...]) -> None:
    order = list(range(0, LEDGERS, 4))
    made(database, partition_ledgers=32)
    together(*(lambda mode=mode: bring(database, order, mode=mode) for mode in modes))
    assert_whole(database)


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_sinks_in_any_order_leave_rows_once(database: str, mode: str) -> None:
    orders = [random.Random(seed).sample(range(0, LEDGERS, 4), LEDGERS // 4) for seed in range(3)]  # noqa: S311
    together(*(lambda order=order: bring(database, order, mode=mode) for order in orders))
    assert_whole(database)


def test_sinks_whose_flushes_begin_and_end_elsewhere_do_not_wait_in_a_ring(database: str) -> None:
    orders = [random.Random(seed).sample(range(0, LEDGERS, 4), LEDGERS // 4) for seed in range(3)]  # noqa: S311
    made(database)
    together(
        *(
            lambda order=order, rows=rows: bring(database, order, mode="live", batch_rows=rows)
            for order, rows in zip(orders, (240, 400, 640), strict=True)
        )
    )
    assert_whole(database)


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_ranges_in_parallel_make_the_whole(database: str, mode: str) -> None:
    quarter = LEDGERS // 4
    orders = [list(range(at, at + quarter, 4)) for at in range(0, LEDGERS, quarter)]
    together(*(lambda order=order: bring(database, order, mode=mode) for order in orders))
    assert_whole(database)


def test_a_replay_and_a_range_that_overlaps_half_change_nothing_twice(database: str) -> None:
    bring(database, list(range(0, 48, 4)), mode="backfill")
    bring(database, list(range(0, 48, 4)), mode="live")
    bring(database, list(range(24, LEDGERS, 4)), mode="backfill")
    assert_whole(database)


def test_a_live_sink_shows_what_another_is_loading(database: str) -> None:
    with closing(
        PostgresSink(database, ["contract_data"], network="synthetic", mode="backfill", partition_ledgers=32)
    ) as loader:
        loader.write(batch(0, 3, ROWS))
        loader.commit()
        assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": 0}]
        assert str(loader.coverage()) == "0:3"
        bring(database, [4], mode="live")
        assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": 160}]
        loader.write(batch(8, 11, ROWS))
        loader.commit()
    assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": 240}]


def test_what_a_dead_loader_left_is_attached_by_the_next(database: str) -> None:
    script = """
import os, sys
sys.path.insert(0, "tests")
from sinks.postgres.test_writers import ROWS, batch
from stellarrow.sinks.postgres import PostgresSink
choices = {"network": "synthetic", "mode": "backfill", "partition_ledgers": 32}
sink = PostgresSink(sys.argv[1], ["contract_data"], **choices)
sink.write(batch(0, 3, ROWS))
sink.commit()
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", script, database], check=False).returncode == 9
    assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": 0}]
    with closing(PostgresSink(database, ["contract_data"], network="synthetic")) as sink:
        assert str(sink.coverage()) == "0:3"
    assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": 0}]  # only asked
    with closing(PostgresSink(database, ["contract_data"], network="synthetic")) as sink:
        sink.commit()
    assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": 80}]
    assert asked(database, "SELECT DISTINCT status FROM contract_data.ingestion_progress") == [
        {"status": "completed"}
    ]


def test_what_is_stored_is_not_held_until_the_next_flush(database: str) -> None:
    with closing(PostgresSink(database, ["contract_data"], network="synthetic", batch_rows=60)) as sink:
        sink.write(batch(0, 3, ROWS))
        flush, held = sink._flushes[0]
        flush.result(60)
        assert held == []


def test_a_loaded_partition_has_statistics_of_what_is_searched(database: str) -> None:
    bring(database, list(range(0, 32, 4)), mode="backfill")
    found = asked(database, "SELECT attname FROM pg_stats WHERE tablename = 'entries_0'")
    named = {row["attname"] for row in found}
    assert {"ledger_sequence", "contract_id", "ledger_key_hash", "change_type"} <= named
    assert not {"val_xdr", "key_xdr"} & named


def test_many_starters_migrate_once(database: str) -> None:
    together(*(lambda: made(database, "ledgers") for _ in range(6)))
    assert asked(database, "SELECT count(*) FROM stellar.migrations") == [{"count": len(known())}]


def test_a_newer_schema_is_refused(database: str) -> None:
    made(database)
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO stellar.migrations VALUES (99, 'of the future')")
    with pytest.raises(sa.SchemaMismatch, match="schema version 99, and this stellarrow knows"):
        PostgresSink(database, ["contract_data"], network="synthetic").coverage()


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"network": "pubnet"}, "with network 'Stellarrow Synthetic.*', not 'Public"),
        ({"where": sa.Filter(contract_ids=["C" + "A" * 55])}, "with filter 'none', not"),
        ({"decoded": True}, "with decoded 'none', not True"),
    ],
)
def test_what_was_made_otherwise_is_refused(database: str, choices: dict[str, Any], told: str) -> None:
    made(database)
    with pytest.raises(sa.SchemaMismatch, match=told):
        PostgresSink(database, ["contract_data"], **{"network": "synthetic", **choices}).coverage()
