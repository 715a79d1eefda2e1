"""Amounts of 39 digits, which a number of a column cannot hold: SQL and conditions have them all the same."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from analytics.conftest import Serve, Served
from sinks.postgres.made import batch
from sinks.test_amounts_elsewhere import transfer
from stellarrow.cli import invoke
from stellarrow.cli.query.database import Database
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink

WIDE = 10**38
AMOUNTS = [WIDE, -WIDE - 1, 7, 10_000_001]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of transfers, two of them of 39 digits."""
    sink = FileSink(tmp_path / "data", ["token_transfers"], format=format_of("parquet"), network="pubnet")
    sink.write(batch(100, 100, [transfer(100, at, one) for at, one in enumerate(AMOUNTS)], "token_transfers"))
    sink.commit()
    sink.close()
    return tmp_path / "data"


@pytest.fixture
def served(serve: Serve, folder: Path) -> Iterator[Served]:
    with closing(serve(data=folder)) as made:
        yield made


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select sum(amount_raw) as n from token_transfers", sum(AMOUNTS)),
        ("select max(amount_raw) as n from stellarrow.main.token_transfers", WIDE),
        ("select count(*)::integer as n from token_transfers where amount_raw > 9", 2),
        ("select amount_raw as n from token_transfers where amount_raw < 0", -WIDE - 1),
    ],
)
def test_sql_of_the_service_gives_the_number_that_stellarrow_sql_gives(
    served: Served, folder: Path, sql: str, expected: int
) -> None:
    answer = served.client.post("/v1/query", json={"sql": sql})
    assert answer.status_code == 200, answer.text
    assert [int(row["n"]) for row in answer.json()["rows"]] == [expected]
    stored = Database(folder).rows(sql.replace("stellarrow.main.", "")).read_all().to_pylist()
    assert [int(row["n"]) for row in stored] == [expected]


def test_parquet_of_a_query_has_the_digits_in_the_text_as_stored_files_have(served: Served) -> None:
    sql = "select amount_raw, amount_text from token_transfers order by event_index"
    answer = served.client.post("/v1/query", json={"sql": sql}, params={"format": "parquet"})
    rows = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    assert [row["amount_text"] for row in rows] == [*map(str, AMOUNTS)]
    assert [row["amount_raw"] for row in rows] == [None, None, *AMOUNTS[2:]]
    refused = served.client.post(
        "/v1/query", json={"sql": "select amount_raw from token_transfers"}, params={"format": "parquet"}
    )
    assert (refused.status_code, refused.json()["field"]) == (400, "sql")


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("amount_raw > 9", [WIDE, 10_000_001]),
        (f"amount_raw in (7, {WIDE})", [WIDE, 7]),
        (f"amount_raw between {-WIDE - 1} and 7", [-WIDE - 1, 7]),
        ("abs(amount_raw) > 10000001", [WIDE, -WIDE - 1]),
        ("amount_raw is null", []),
        ("token_transfers.amount_raw <> 7", [WIDE, -WIDE - 1, 10_000_001]),
    ],
)
def test_a_condition_compares_amounts_of_39_digits(
    served: Served, folder: Path, where: str, expected: list[int]
) -> None:
    rows = served.rows("/v1/tables/token_transfers/rows", where=where)
    assert [int(row["amount_text"]) for row in rows] == expected
    table = sa.scan(folder, table="token_transfers", where=where).to_table()
    assert [int(one) for one in table["amount_text"].to_pylist()] == expected


def test_a_mistake_in_a_condition_is_told_as_it_was_written(folder: Path) -> None:
    with pytest.raises(sa.ConfigError, match=r"LEAST\(amount_raw, 5\)"):
        sa.scan(folder, table="token_transfers", where="least(amount_raw, 5) = 5").to_table()


@pytest.mark.parametrize("form", ["--csv", "--json"])
def test_a_named_filter_shows_amounts_whole(
    folder: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    assert invoke(["sql", "@large_amounts", "--data", str(folder), form]) == 0
    said: Any = capsys.readouterr().out
    lines = csv.DictReader(io.StringIO(said)) if form == "--csv" else map(json.loads, said.splitlines())
    assert [int(row["amount_raw"]) for row in lines] == [WIDE, 10_000_001]


@pytest.mark.parametrize(("start", "rows"), [("2026-01-01", 4), ("2026-01-01T00:00:00Z", 4)])
def test_a_scan_takes_a_date_as_text(folder: Path, start: str, rows: int) -> None:
    assert len(sa.scan(folder, table="token_transfers", start=start, end="2026-01-02").to_table()) == rows
    with pytest.raises(sa.ConfigError, match="start"):
        sa.scan(folder, table="token_transfers", start="soon")
