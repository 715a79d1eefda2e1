"""Behind a pooler: no lock stays behind, and no partition stays unseen."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.pgbouncer import pooled
from sinks.postgres.made import asked, batch, entry
from stellarrow.sinks.postgres import PostgresSink

LEDGERS = 64
ROWS = [entry(ledger, f"k{place}", place=place) for ledger in range(LEDGERS) for place in range(3)]


def write(url: str, **choices: Any) -> None:
    expected = sa.LedgerSet([sa.LedgerRange(0, LEDGERS - 1)])
    chosen = {
        "network": "synthetic",
        "batch_rows": 30,
        "partition_ledgers": 32,
        "expected": expected,
        **choices,
    }
    with closing(PostgresSink(url, ["contract_data"], **chosen)) as sink:
        for first in range(0, LEDGERS, 4):
            sink.write(batch(first, first + 3, ROWS))
        sink.commit()


def check_whole(database: str) -> None:
    locks = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    assert asked(database, locks) == []
    assert asked(database, "SELECT first_ledger FROM stellar.loading") == []
    assert asked(database, "SELECT count(*) FROM contract_data.entries") == [{"count": len(ROWS)}]


def test_a_backfill_through_shared_sessions_is_refused_before_anything_is_made(
    database: str, tmp_path: Path
) -> None:
    with (
        pooled(database, tmp_path, mode="transaction") as url,
        pytest.raises(sa.ConfigError, match=r"behind a pooler .* connect to the server itself"),
    ):
        write(url, mode="backfill")
    assert asked(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'stellar'") == []


@pytest.mark.parametrize("mode", ["auto", "live"])
def test_shared_sessions_are_written_to_as_if_live(database: str, tmp_path: Path, mode: str) -> None:
    with pooled(database, tmp_path, mode="transaction") as url:
        write(url, mode=mode)
    check_whole(database)


def test_sessions_of_ones_own_behind_a_pooler_may_backfill(database: str, tmp_path: Path) -> None:
    with pooled(database, tmp_path, mode="session") as url:
        write(url, mode="backfill")
    check_whole(database)
