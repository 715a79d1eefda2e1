"""Rows that somebody deleted or added by hand: named, and written again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

import stellarrow as sa
from sinks.postgres.made import asked, batch, entry
from stellarrow.cli import invoke
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.reading import kept_tables

TABLES = "ledgers,contract_data,contract_events"
PLACES = (
    "stellar.ledgers",
    "contract_data.entries",
    "stellar.contract_events",
    "contract_data.current_states",
)
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def url(database: str) -> str:
    parts = psycopg.conninfo.conninfo_to_dict(database)
    return "postgresql:///{dbname}?host={host}&port={port}&user={user}".format(**parts)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: object) -> tuple[int, str]:
        code = invoke(list(map(str, words)))
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


@pytest.fixture(params=["live", "backfill"])
def extracted(
    request: pytest.FixtureRequest, command: Command, make_lake: Callable[..., Path], url: str
) -> tuple[object, ...]:
    """The line that brought forty ledgers, live or as a backfill."""
    line = ("extract", make_lake(), "--tables", TABLES, "--to", f"{url}&mode={request.param}")
    assert command(*line)[0] == 0
    return line


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """Return all rows, but for when they came."""
    found = {}
    for place in PLACES:
        rows = asked(url, f"SELECT * FROM {place}")
        for row in rows:
            for fresh in ("ingested_at", "batch_id"):
                row.pop(fresh, None)
        found[place] = sorted(rows, key=repr)
    return found


def harm(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0


HARM = (
    "DELETE FROM stellar.contract_events WHERE ledger_sequence = 105 AND event_index = 0",
    "DELETE FROM contract_data.entries WHERE ledger_sequence BETWEEN 110 AND 112",
    "DELETE FROM stellar.ledgers WHERE ledger_sequence = 131",
    """UPDATE stellar.contract_events SET ledger_sequence = 121, event_index = 999
    WHERE ctid = (SELECT ctid FROM stellar.contract_events WHERE ledger_sequence = 120 LIMIT 1)""",
)
# A row that was moved is one too few, and one too many.
WRONG = {"contract_data": "110:112", "contract_events": "105, 120:121", "ledgers": "131"}


def test_rows_changed_by_hand_are_named_and_extract_writes_them_again(
    extracted: tuple[object, ...], command: Command, url: str
) -> None:
    before = everything(url)
    assert command("check", url) == (
        0,
        f"3 tables of 3 sound, {sum(map(len, list(before.values())[:3]))} rows in all\n",
    )
    harm(url, *HARM)
    code, said = command("check", url, "--json")
    assert (code, {one["table"]: one["ledgers"] for one in json.loads(said)["faults"]}) == (1, WRONG)
    code, said = command("coverage", url, "--verify")
    assert (
        code,
        "contract_events does not have as many rows as were written of ledgers 105, 120:121" in said,
    ) == (
        1,
        True,
    )
    assert everything(url) != before  # nothing is changed unless asked
    code, said = command("check", url, "--repair")
    assert (
        code,
        "run the same extract again, which writes 105, 110 to 112, 120 to 121, 131 again" in said,
    ) == (
        0,
        True,
    )
    assert command(*extracted)[0] == 0
    assert everything(url) == before
    assert command("check", url)[0] == command("coverage", url, "--verify")[0] == 0
    assert command(*extracted, "--verify")[0] == 0


def test_the_lines_of_the_guide_repair_what_the_source_shows(
    extracted: tuple[object, ...], command: Command, url: str
) -> None:
    before = everything(url)
    harm(url, *HARM[:1], "DELETE FROM stellar.written_rows")  # as an earlier release left it
    assert command("check", url)[0] == 0
    assert command(*extracted, "--verify")[0] == 1
    page = Path(__file__).parents[3] / "docs" / "reliability.md"
    (block,) = re.findall(r"```sql\n(.*?)```", page.read_text(), re.DOTALL)
    harm(url, *(line.partition(";")[0] for line in block.splitlines()))
    assert command(*extracted)[0] == 0
    assert everything(url) == before
    assert command(*extracted, "--verify")[0] == 0


def test_ledgers_are_forgotten_out_of_the_middle_of_what_was_written_at_once(database: str) -> None:
    rows = [entry(ledger, f"{ledger}") for ledger in range(1, 2_101)]
    with closing(PostgresSink(database, ["contract_data"], network="pubnet", mode="live")) as sink:
        sink.write(batch(1, 2_100, rows))
        sink.commit()
    harm(database, "SELECT stellar.forget_ledgers('contract_data.entries', 999, 1003)")
    (table,) = kept_tables(database)
    assert str(table.ledgers) == "1:998, 1004:2100"
    written = asked(
        database, "SELECT first_ledger, cardinality(counts) AS n FROM stellar.written_rows ORDER BY 1"
    )
    assert [tuple(one.values()) for one in written] == [(1, 998), (1004, 997), (2001, 100)]
    harm(database, "DELETE FROM contract_data.entries WHERE ledger_sequence IN (998, 1004, 2100)")
    wrong = [counts.wrong for counts in table.row_counts(table.ledgers)]
    assert sa.LedgerSet(part for one in wrong for part in one) == sa.LedgerSet.parse("998,1004,2100")


def test_a_partition_that_was_dropped_lacks_nothing(database: str) -> None:
    rows = [entry(ledger, f"{ledger}") for ledger in range(1, 40)]
    sink = PostgresSink(database, ["contract_data"], network="pubnet", mode="live", partition_ledgers=10)
    with closing(sink):
        sink.write(batch(1, 39, rows))
        sink.commit()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP TABLE contract_data.entries_10")
    (table,) = kept_tables(database)
    assert [counts.error for counts in table.row_counts(table.ledgers)] == [None]


def test_a_table_that_is_not_kept_is_refused(database: str) -> None:
    with closing(PostgresSink(database, ["contract_data"], network="pubnet")) as sink:
        sink.write(batch(1, 1, []))
        sink.commit()
    with (
        psycopg.connect(database) as connection,
        pytest.raises(psycopg.Error, match="keeps no table pg_class"),
    ):
        connection.execute("SELECT stellar.forget_ledgers('pg_class', 1, 2)")


def test_a_database_with_nothing_in_it_is_not_sound(command: Command, url: str) -> None:
    code, said = command("check", url)
    assert (code, "holds no tables" in said) == (1, True)
