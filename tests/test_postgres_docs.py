"""Every query of docs/postgres.md, asked of loaded ledgers."""

from __future__ import annotations

import re
import secrets
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import pytest

import stellarrow as sa
from fakes.postgres import url_of
from sinks.postgres.made import asked
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.embedded import PrivateServer

PAGE = Path(__file__).parents[1] / "docs" / "postgres.md"
TABLES = ("contract_data", "contract_events", "token_transfers", "ledgers", "evictions", "ttl")
SECTIONS = dict(part.split("\n", 1) for part in PAGE.read_text().split("\n### ")[1:])
QUERIES = [
    (title, query)
    for title, text in SECTIONS.items()
    for query in re.findall(r"```sql\n(.*?)```", text, re.DOTALL)
]
PROSE = {"current_states", "Which asset a balance is of"}
EMPTY = {"What is archived or expired", "Balance history of a holder"}  # may be, of so few ledgers


@pytest.fixture(scope="module")
def loaded(postgres: PrivateServer) -> str:
    """A database of thirty synthetic ledgers."""
    name = f"docs_{secrets.token_hex(6)}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    url = url_of(postgres.url, dbname=name)
    data = frame(list(islice(synthetic(20, first=100, ledger_bytes=60_000), 30)), "record-marked")
    decoder = sa.Decoder(TABLES, network="synthetic")
    with closing(PostgresSink(url, TABLES, network="synthetic")) as sink:
        sink.write(decoder(sa.LedgerChunk(data, "record-marked", 100, 129, "memory")))
        sink.commit()
    return url


@pytest.fixture(scope="module")
def names(loaded: str) -> dict[str, Any]:
    """What the queries ask for, found in what is loaded."""
    asset = asked(
        loaded,
        "SELECT * FROM contract_data.asset_summary WHERE holder_count > 1 AND asset_issuer > '' LIMIT 1",
    )[0]
    held = asked(
        loaded,
        "SELECT contract_id, balance_holder FROM contract_data.entries WHERE balance > 0"
        " ORDER BY balance DESC LIMIT 1",
    )[0]
    moved = asked(
        loaded,
        "SELECT contract_id FROM stellar.token_transfers JOIN contract_data.entries USING (contract_id)"
        " WHERE event_type = 'mint' AND balance IS NOT NULL ORDER BY contract_id LIMIT 1",
    )
    paid = asked(loaded, """SELECT "to" FROM stellar.token_transfers WHERE "to" IS NOT NULL LIMIT 1""")[0]
    busy = asked(
        loaded,
        "SELECT contract_id FROM stellar.contract_events JOIN contract_data.entries USING (contract_id)"
        " LIMIT 1",
    )[0]
    return {
        "asset_code": asset["asset_code"],
        "asset_issuer": asset["asset_issuer"],
        "token": moved[0]["contract_id"] if moved else held["contract_id"],
        "holder": held["balance_holder"],
        "contract": busy["contract_id"],
        "account": paid["to"],
    }


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_of_the_page_answers(loaded: str, names: dict[str, Any], title: str, query: str) -> None:
    prepared = re.sub(r":'(\w+)'", r"%(\1)s", query.replace("%", "%%"))
    with psycopg.connect(loaded) as connection:
        found = connection.execute(prepared.encode(), names).fetchall()
    assert found or title in EMPTY


def test_every_question_of_the_page_has_a_query() -> None:
    assert set(SECTIONS) - {title for title, _ in QUERIES} == PROSE


def test_the_supply_is_what_was_minted_less_what_was_burned(loaded: str, names: dict[str, Any]) -> None:
    rows = asked(
        loaded,
        "SELECT event_type, amount_text FROM stellar.token_transfers WHERE contract_id = %s",
        [names["token"]],
    )
    signs = {"mint": 1, "burn": -1, "clawback": -1}
    supply = sum(signs.get(row["event_type"], 0) * int(row["amount_text"]) for row in rows)
    query = dict(QUERIES)["Supply over time"].replace(":'token'", "%s")
    assert int(asked(loaded, query, [names["token"]])[-1]["supply_change"]) == supply
