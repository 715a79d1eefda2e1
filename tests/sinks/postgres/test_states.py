"""current_states is the fold of entries, in whatever order ledgers come."""

from __future__ import annotations

import secrets
from contextlib import closing

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.postgres import url_of
from sinks.postgres.made import Row, asked, batch, entry, folded, states
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.embedded import PrivateServer

LEDGERS = 24
CHANGES = st.lists(
    st.tuples(st.integers(0, LEDGERS - 1), st.sampled_from("abcd"), st.booleans()), max_size=40
)


def made(changes: list[tuple[int, str, bool]]) -> list[Row]:
    """Give each change its place, so that no two are the same."""
    rows = [
        entry(ledger, key, place=place, deleted=deleted)
        for place, (ledger, key, deleted) in enumerate(changes)
    ]
    return sorted(rows, key=lambda row: (row["ledger_sequence"], row["change_index"]))


@pytest.fixture(scope="module")
def emptied(postgres: PrivateServer) -> str:
    """A database that the examples of one property share: making one for each takes too long."""
    name = f"states_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return url_of(postgres.url, dbname=name)


def empty(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("DROP SCHEMA IF EXISTS contract_data CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS stellar CASCADE")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(CHANGES, st.permutations(range(6)), st.sampled_from(["live", "backfill"]), st.integers(1, 2))
def test_states_are_the_fold_of_entries_in_any_order(
    emptied: str, changes: list[tuple[int, str, bool]], order: list[int], mode: str, writers: int
) -> None:
    empty(emptied)
    rows = made(changes)
    with closing(
        PostgresSink(
            emptied,
            ["contract_data"],
            network="synthetic",
            mode=mode,
            partition_ledgers=8,
            batch_rows=3,
            writers=writers,
        )
    ) as sink:
        for part in order:
            sink.write(batch(4 * part, 4 * part + 3, rows))
        sink.commit()
        assert str(sink.coverage()) == "0:23"
    assert states(emptied) == folded(rows)
    assert asked(emptied, "SELECT count(*) FROM contract_data.entries") == [{"count": len(rows)}]
    asked(emptied, "SELECT contract_data.refresh_current_states()")
    assert states(emptied) == folded(rows)


def keep(database: str, rows: list[Row], *parts: tuple[int, int], mode: str = "live") -> None:
    with closing(PostgresSink(database, ["contract_data"], network="synthetic", mode=mode)) as sink:
        for first, last in parts:
            sink.write(batch(first, last, rows))
            sink.commit()


def test_an_older_state_that_comes_late_does_not_overwrite_a_newer_one(database: str) -> None:
    keep(database, [entry(5, "k"), entry(2, "k")], (5, 5), (2, 2))
    assert states(database) == {"k": "value 5.0"}


def test_an_older_state_that_comes_late_does_not_bring_back_a_removed_key(database: str) -> None:
    keep(database, [entry(5, "k", deleted=True), entry(2, "k"), entry(3, "k")], (5, 5), (2, 2), (3, 3))
    assert states(database) == {}


def test_a_removal_that_comes_late_does_not_remove_what_came_after_it(database: str) -> None:
    keep(database, [entry(5, "k"), entry(2, "k", deleted=True)], (5, 5), (2, 2))
    assert states(database) == {"k": "value 5.0"}


def test_a_key_removed_and_written_again_is_there(database: str) -> None:
    rows = [entry(2, "k", place=0, deleted=True), entry(2, "k", place=1, change_type="restored")]
    keep(database, rows, (2, 2))
    assert states(database) == {"k": "value 2.1"}


def test_refreshing_mends_what_was_changed_by_hand(database: str) -> None:
    keep(database, [entry(1, "a"), entry(2, "b"), entry(3, "b", deleted=True)], (1, 3))
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE contract_data.current_states SET val_xdr = 'forged'")
        connection.execute("DELETE FROM contract_data.removed_states")
        connection.execute("SELECT contract_data.refresh_current_states()")
    assert states(database) == {"a": "value 1.0"}
    assert asked(database, "SELECT ledger_key_hash FROM contract_data.removed_states") == [
        {"ledger_key_hash": "b"}
    ]
