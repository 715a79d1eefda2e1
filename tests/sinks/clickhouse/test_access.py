"""How a server is reached, and what is said where it refuses."""

from __future__ import annotations

from contextlib import closing
from secrets import token_hex

import pytest

import stellarrow as sa
from fakes.clickhouse import PASSWORD, READER, ClickHouse
from fakes.process import free_port
from sinks.clickhouse.test_faults import TABLES, Database
from stellarrow.net.resilience import Policy
from stellarrow.sinks.clickhouse import ClickHouseSink

ONCE = Policy(attempts=1)


def bring(database: Database, url: str) -> sa.LedgerSet:
    with closing(ClickHouseSink(url, TABLES, network="synthetic", policy=ONCE)) as opened:
        opened.write(database.batch(100, 104))
        opened.commit()
        return opened.coverage()


def test_a_user_with_a_password_writes_over_tls(database: Database, clickhouse: ClickHouse) -> None:
    host = f"ann:{PASSWORD}@127.0.0.1:{clickhouse.secure}"
    assert str(bring(database, f"clickhouse://{host}/{database.name}?ca={clickhouse.ca}")) == "100:104"
    database.assert_right()


@pytest.mark.parametrize(
    ("login", "way", "told"),
    [
        ("ann:wrong@", "plain", "set the right user and password"),
        (f"{READER}@", "plain", "grant what is missing"),
        ("", "untrusted", "give the right CA in ca=FILE"),
        ("", "nobody", "start the server or check the address"),
    ],
)
def test_a_refusal_is_one_sentence_that_says_what_to_do_and_no_password(
    database: Database, clickhouse: ClickHouse, login: str, way: str, told: str
) -> None:
    port = {"plain": clickhouse.port, "untrusted": clickhouse.secure, "nobody": free_port()}[way]
    tls = "?tls=yes" if way == "untrusted" else ""
    with pytest.raises(sa.SinkError, match=told) as raised:
        bring(database, f"clickhouse://{login}127.0.0.1:{port}/{database.name}{tls}")
    assert len(str(raised.value).splitlines()) == 1
    assert "wrong@" not in str(raised.value)


def test_health_tells_version_and_database_and_changes_nothing(database: Database) -> None:
    with closing(ClickHouseSink(database.url(), TABLES, network="synthetic")) as opened:
        assert f"no database '{database.name}' yet" in opened.health().message
        opened.write(database.batch(100, 100))
        opened.commit()
        assert (opened.health().state, f"database '{database.name}'" in opened.health().message) == (
            "ok",
            True,
        )
    gone = f"clickhouse://127.0.0.1:{free_port()}/d{token_hex(2)}"
    nobody = ClickHouseSink(gone, TABLES, network="synthetic")
    with pytest.raises(sa.SinkUnavailable, match="start the server"):
        nobody.health()
    nobody.close()


def test_a_table_made_otherwise_is_refused_with_what_is_different(database: Database) -> None:
    bring(database, database.url())
    other = ClickHouseSink(database.url(), TABLES, network="testnet", policy=ONCE)
    with pytest.raises(sa.SchemaMismatch, match="was written with network"):
        other.coverage()
    other.close()
    other = ClickHouseSink(database.url(), TABLES, network="synthetic", decoded=True)
    other.write(database.batch(105, 105))
    with pytest.raises(sa.SchemaMismatch, match="was written with decoded"):
        other.commit()
    other.close()
    assert str(database.covered()) == "100:104"
