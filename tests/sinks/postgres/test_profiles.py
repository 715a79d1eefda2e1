"""Which indexes tables have: all, or few; chosen when a database is made, and changed later."""

from __future__ import annotations

import concurrent.futures
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest

import stellarrow as sa
from fakes.postgres import url_of
from sinks.postgres.made import asked
from sinks.postgres.test_writers import assert_whole, bring, together
from stellarrow.sinks.postgres import PostgresSink, catalog
from stellarrow.sinks.postgres.ddl import layouts
from stellarrow.sinks.postgres.embedded import PrivateServer
from stellarrow.sinks.postgres.migrations import LOCK

PARTS = list(range(0, 96, 4))
LEAN = {
    "contract_data.entries": {"entries_pkey", "entries_contract", "entries_closed_at"},
    "contract_data.current_states": {"current_states_pkey", "current_states_lean"},
    "stellar.transactions": {"transactions_ledger_sequence_transaction_index_idx"},
}


def indexes(database: str) -> dict[str, set[str]]:
    """Return what each table and partition is indexed by, the names of their indexes left out."""
    found: dict[str, set[str]] = {}
    for row in asked(
        database,
        "SELECT schemaname || '.' || tablename AS place, substring(indexdef FROM ' USING .*') AS body"
        " FROM pg_indexes WHERE schemaname IN ('contract_data', 'stellar') AND tablename !~ '(_idx|_pkey)$'",
    ):
        found.setdefault(row["place"], set()).add(row["body"])
    return found


def named(database: str, place: str) -> set[str]:
    rows = asked(
        database, "SELECT indexname FROM pg_indexes WHERE schemaname || '.' || tablename = %s", [place]
    )
    return {row["indexname"] for row in rows}


def call(database: str, profile: str, *, wait: str = "50s") -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"SET lock_timeout = '{wait}'".encode())
        connection.execute(f"CALL stellar.use_profile('{profile}')".encode())


def left_out(database: str) -> int:
    return int(asked(database, "SELECT count(*) AS n FROM stellar.left_out_indexes")[0]["n"])


def make(database: str, *tables: str, **choices: Any) -> None:
    """Make tables, and write nothing to them."""
    with closing(PostgresSink(database, tables, network="synthetic", **choices)) as sink:
        sink._writers[0].writing()


@pytest.fixture
def another(postgres: PrivateServer) -> Iterator[str]:
    """A second database, to compare with."""
    name = f"full_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield url_of(postgres.url, dbname=name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_a_lean_database_has_the_same_rows_and_states_and_few_indexes(database: str, mode: str) -> None:
    make(database, "contract_data", "transactions", profile="lean", partition_ledgers=32)
    bring(database, PARTS, mode=mode)
    assert_whole(database, "stellar.transactions")
    for place, expected in LEAN.items():
        assert named(database, place) == expected
    found = indexes(database)
    for first in (0, 32, 64):
        assert found[f"contract_data.entries_{first}"] == found["contract_data.entries"]


def test_the_url_may_say_the_profile_and_a_database_stays_as_it_was_made(database: str) -> None:
    parts = psycopg.conninfo.conninfo_to_dict(database)
    url = "postgresql:///{dbname}?host={host}&port={port}&user={user}".format(**parts)
    make(f"{url}&profile=lean&mode=live", "contract_data")
    make(url, "contract_data", "transactions")
    assert named(database, "stellar.transactions") == LEAN["stellar.transactions"]
    with pytest.raises(
        sa.SchemaMismatch,
        match=r"have the profile lean, not full: leave profile=full .* CALL stellar.use_profile\('full'\)",
    ):
        make(f"{url}&profile=full", "contract_data")


def test_a_database_has_all_indexes_unless_told(database: str) -> None:
    make(database, "contract_data")
    assert named(database, "contract_data.entries") > LEAN["contract_data.entries"]
    with pytest.raises(sa.SchemaMismatch, match="have the profile full, not lean"):
        make(database, "transactions", profile="lean")


def test_an_unknown_profile_is_told(database: str) -> None:
    with pytest.raises(sa.ConfigError, match="the profile 'learn' is not known: did you mean lean"):
        make(database, "contract_data", profile="learn")
    make(database, "contract_data")
    with pytest.raises(psycopg.Error, match="the profile learn is not known"):
        call(database, "learn")


@pytest.mark.parametrize("first", ["full", "lean"])
def test_a_profile_is_changed_there_and_back_and_indexes_are_those_of_a_new_database(
    database: str, another: str, first: str
) -> None:
    tables = ("contract_data", "transactions", "token_transfers", "contract_events")
    second = "full" if first == "lean" else "lean"
    for place, profile in ((database, first), (another, second)):
        make(place, *tables, profile=profile, partition_ledgers=32)
        bring(place, PARTS)
    for profile in (second, first, second):
        call(database, profile)
    assert indexes(database) == indexes(another)
    assert left_out(database) == left_out(another)
    make(database, *tables, profile=second)
    assert_whole(database, *(f"stellar.{name}" for name in tables[1:]))


def test_a_change_that_was_interrupted_is_known_and_goes_on_when_called_again(
    database: str, another: str
) -> None:
    make(another, "contract_data", partition_ledgers=32)
    bring(another, PARTS)
    make(database, "contract_data", profile="lean", partition_ledgers=32)
    bring(database, PARTS)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE contract_data.entries_32 IN ROW EXCLUSIVE MODE")  # as a writer does
        with pytest.raises(psycopg.Error, match="lock timeout"):
            call(database, "full", wait="300ms")
    assert asked(database, "SELECT profile FROM stellar.kept_tables") == [{"profile": "lean"}]
    assert left_out(database) > 0
    call(database, "full")
    assert indexes(database) == indexes(another)
    assert asked(database, "SELECT profile FROM stellar.kept_tables") == [{"profile": "full"}]
    assert left_out(database) == 0


def test_a_change_that_was_interrupted_is_taken_back_without_a_trace(database: str) -> None:
    make(database, "contract_data", profile="lean", partition_ledgers=32)
    bring(database, PARTS)
    before = indexes(database)
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE contract_data.entries_64 IN ROW EXCLUSIVE MODE")
        with pytest.raises(psycopg.Error, match="lock timeout"):
            call(database, "full", wait="300ms")
    assert indexes(database) != before
    call(database, "lean")
    assert indexes(database) == before


@pytest.mark.parametrize(
    "made", ["INDEX {name} ON {place}", "INDEX {name} ON ONLY {place}", "INDEX mine ON {place}"]
)
def test_indexes_that_somebody_made_again_by_hand_are_no_hindrance(
    database: str, another: str, made: str
) -> None:
    for place in (database, another):
        make(place, "contract_data", partition_ledgers=32)
        bring(place, PARTS)
    call(database, "lean")
    with psycopg.connect(database, autocommit=True) as connection:
        for place, name, body in (
            ("contract_data.entries", "entries_key", "hash (ledger_key_hash)"),
            (
                "contract_data.current_states",
                "current_states_contract",
                "btree (contract_id, balance DESC NULLS LAST)",
            ),
        ):
            begun = made.format(name=name, place=place)
            connection.execute(f"CREATE {begun} USING {body}".replace("mine", f"mine_{name}").encode())
    call(database, "full")
    assert indexes(database) == indexes(another)
    assert left_out(database) == 0
    assert not asked(database, "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")


@pytest.mark.parametrize("profile", ["full", "lean"])
def test_a_table_that_is_made_while_the_profile_changes_is_as_the_others(
    database: str, another: str, profile: str
) -> None:
    before = "lean" if profile == "full" else "full"
    make(another, "transactions", profile=profile)
    make(database, "contract_data", profile=before)
    (layout,) = layouts(["transactions"])
    with psycopg.connect(database) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        catalog._make(other, layout, catalog.Making("synthetic", "", False, "derive"), 32)
        if before == "lean":
            other.execute("SELECT stellar.make_lean(%s)", [layout.place])
        changing = threading.Thread(target=call, args=(database, profile))
        changing.start()
        while changing.is_alive() and not waiting(database):
            changing.join(0.01)
        other.commit()
    changing.join(60)
    assert indexes(database)["stellar.transactions"] == indexes(another)["stellar.transactions"]
    found = asked(database, "SELECT DISTINCT profile FROM stellar.kept_tables")
    assert found == [{"profile": profile}]


def waiting(database: str) -> bool:
    """Tell whether somebody waits for a lock that makers of tables hold."""
    return bool(asked(database, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_writers_go_on_while_the_profile_changes(database: str, another: str, mode: str) -> None:
    make(another, "contract_data", partition_ledgers=32)
    bring(another, PARTS)
    make(database, "contract_data", partition_ledgers=32)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            call(database, "lean")
            call(database, "full")
            done.wait(0.1)

    def write() -> None:
        try:
            bring(database, PARTS, mode=mode, policy=None)
        finally:
            done.set()

    together(write, change)
    assert_whole(database)
    assert indexes(database) == indexes(another)


@pytest.mark.parametrize("mode", ["live", "backfill"])
def test_a_writer_that_waits_for_a_table_holds_none_of_its_partitions(database: str, mode: str) -> None:
    make(database, "contract_data", partition_ledgers=32)
    bring(database, PARTS[:2], mode="live")
    with psycopg.connect(database) as changer, concurrent.futures.ThreadPoolExecutor(1) as threads:
        changer.execute("LOCK TABLE ONLY contract_data.entries IN ACCESS EXCLUSIVE MODE")
        writing = threads.submit(bring, database, PARTS[2:], mode=mode)
        while not (waits := waiters(database)) and not writing.done():
            time.sleep(0.01)
        changer.rollback()
        writing.result(60)
    assert {waited for waited, _ in waits} == {"contract_data.entries"}
    held = [place for _, places in waits for place in places]
    assert not [place for place in held if place.startswith("contract_data.entries_")]
    assert_whole(database)


def waiters(database: str) -> list[tuple[str, list[str]]]:
    """Return the tables that sessions wait for, each with those the session has locked."""
    return [
        (row["waited"], row["held"])
        for row in asked(
            database,
            "SELECT waiter.relation::regclass::text AS waited, array("
            "  SELECT h.relation::regclass::text FROM pg_locks h JOIN pg_class c ON c.oid = h.relation"
            "  WHERE h.pid = waiter.pid AND h.granted AND c.relkind IN ('r', 'p') ORDER BY 1) AS held"
            " FROM pg_locks waiter WHERE NOT waiter.granted AND waiter.locktype = 'relation'"
            " AND waiter.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
    ]


def test_states_have_room_in_their_pages_whatever_the_profile(database: str) -> None:
    make(database, "contract_data")
    for profile in ("full", "lean", "full"):
        call(database, profile)
        found = asked(database, "SELECT reloptions FROM pg_class WHERE relname = 'current_states'")
        assert found == [{"reloptions": ["fillfactor=80"]}]
