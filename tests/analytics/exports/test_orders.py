"""Exports: the rows of a table or of SQL as files, in the background, as of one ledger."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analytics.conftest import FIRST, Given, Serve, Served
from analytics.exports.ordering import SECONDS, content, ended, lines, made, ordered
from stellarrow.servers.analytics_exports import parts

Oracle = Callable[[str], list[tuple[Any, ...]]]


def test_an_export_has_the_rows_that_rest_answers_with(served: Served) -> None:
    asked = {"assets": ["native"], "columns": ["ledger_sequence", "amount_text"]}
    job = made(served, table="token_transfers", **asked)
    url = "/v1/tables/token_transfers/rows"
    expected = served.get(url, assets="native", columns="ledger_sequence,amount_text", format="ndjson")
    assert content(served, job) == [expected.content]
    assert job["rows"] == expected.text.count("\n") > 100
    assert job["as_of_ledger"] == int(expected.headers["x-as-of-ledger"])


def test_parquet_and_csv_have_the_same_rows_as_json_lines(served: Served) -> None:
    rows = lines(served, made(served, table="ledgers"))
    (data,) = content(served, made(served, table="ledgers", format="parquet"))
    assert pq.read_table(io.BytesIO(data)).num_rows == len(rows)
    (data,) = content(served, made(served, table="ledgers", format="csv"))
    found = [*csv.DictReader(io.StringIO(data.decode()))]
    assert [one["ledger_hash"] for one in found] == [one["ledger_hash"] for one in rows]


def test_an_export_of_sql_has_what_duckdb_says(served: Served, oracle: Oracle) -> None:
    sql = "select event_type, count(*)::integer as n from token_transfers group by 1 order by 1"
    job = made(served, sql=sql)
    assert [tuple(row.values()) for row in lines(served, job)] == oracle(sql)
    assert job["as_of_ledger"] == served.get("/v1/status").json()["as_of_ledger"]
    (data,) = content(served, made(served, sql=sql, format="csv"))
    assert data.startswith(b"event_type,n\n")
    (data,) = content(served, made(served, sql=f"{sql} limit ?", params=[1], format="parquet"))
    assert pq.read_table(io.BytesIO(data)).num_rows == 1


@pytest.mark.usefixtures("small_files")
def test_files_are_cut_between_ledgers_and_lose_and_repeat_nothing(served: Served) -> None:
    job = made(served, table="token_transfers")
    ranges = [(one["first_ledger"], one["last_ledger"]) for one in job["files"]]
    assert len(ranges) > 1
    assert all(first > last for (_, last), (first, _) in pairwise(ranges))
    expected = served.get("/v1/tables/token_transfers/rows", format="ndjson").content
    assert b"".join(content(served, job)) == expected
    for (first, last), data in zip(ranges, content(served, job), strict=True):
        assert all(first <= json.loads(one)["ledger_sequence"] <= last for one in data.splitlines())


def test_an_export_without_rows_is_one_file_with_a_header(served: Served) -> None:
    job = made(served, table="ledgers", where="transaction_count < 0", format="csv")
    (data,) = content(served, job)
    assert data.startswith(b'"ledger_sequence"')
    assert (job["rows"], data.count(b"\n")) == (0, 1)


@pytest.mark.usefixtures("small_files")
def test_an_export_is_as_of_the_ledger_of_its_order(
    serve_given: Callable[..., tuple[Served, Given]], live_rows: Any
) -> None:
    served, chain = serve_given()
    chain.give(120)
    served.wait_for(120)
    job = ordered(served, table="token_transfers")
    chain.give(150)
    served.wait_for(150)
    job = ended(served.client, job)
    assert {row["ledger_sequence"] for row in lines(served, job)} <= set(range(FIRST, 121))
    assert job["rows"] == sum(live_rows["token_transfers"][one].num_rows for one in range(FIRST, 121))


@pytest.mark.parametrize(
    ("asked", "field", "sentence"),
    [
        ({"table": "ledgers", "format": "xlsx"}, "format", "it must be parquet or ndjson or csv"),
        ({"table": "ledgers", "frmat": "csv"}, "frmat", "did you mean format?"),
        ({}, "table", "either a table, or sql"),
        ({"table": "ledgers", "sql": "select 1"}, "table", "either a table, or sql"),
        ({"sql": "select 1", "columns": ["a"]}, "columns", "cannot be asked of sql"),
        ({"table": "ledger"}, "table", "did you mean ledgers?"),
        ({"table": "ledgers", "columns": ["x"]}, "columns", "has no column 'x'"),
        ({"table": "ledgers", "columns": 7}, "columns", "it must be a list of texts"),
        ({"table": "ledgers", "where": "nothing = 1"}, "where", "nothing"),
        ({"table": "ledgers", "start": "yesterday-ish"}, "start", "it must be a ledger, or a time"),
        ({"sql": "select 1", "params": None}, "params", "is null"),
        ({"table": "ledgers", "where": ""}, "where", "is empty"),
        ({"table": "ledgers", "columns": [""]}, "columns", "is empty"),
        ({"table": "ledgers", "assets": ["x" * 257]}, "assets", "256 are read at most"),
        ({"table": "ledgers", "assets": ["x"] * 501}, "assets", "500 are read at most"),
        ({"table": "../../etc"}, "table", "there is no table"),
    ],
)
def test_an_order_that_cannot_be_meant_is_refused_with_the_field(
    served: Served, asked: dict[str, Any], field: str, sentence: str
) -> None:
    answer = served.client.post("/v1/exports", json={"format": "csv", **asked})
    assert answer.status_code in (400, 404), answer.text
    assert answer.json()["field"] == field
    assert sentence in answer.json()["detail"]
    assert served.get("/v1/exports").json() == {"exports": []}


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("select * from read_csv('/etc/passwd')", "read_csv"),
        ("selec 1", "syntax error"),
        ("select no_such from ledgers", "no_such"),
        ("select * from no_such_table", "no_such_table"),
        ("insert into ledgers values (1)", "select"),
    ],
)
def test_sql_that_is_refused_is_told_at_once_and_why(served: Served, sql: str, reason: str) -> None:
    answer = served.client.post("/v1/exports", json={"format": "csv", "sql": sql})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert (answer.json()["field"], reason in answer.json()["detail"].lower()) == ("sql", True), answer.text
    assert served.get("/v1/exports").json() == {"exports": []}


def test_sql_that_fails_only_where_there_are_rows_ends_as_failed_and_says_why(served: Served) -> None:
    sql = "select cast(ledger_hash as integer) as n from ledgers"
    job = ended(served.client, ordered(served, sql=sql))
    assert (job["state"], job["files"]) == ("failed", [])
    assert job["error"]
    counted = 'export_errors_total{error_type="ConfigError"'
    assert counted not in served.get("/metrics").text, "what a caller asks wrongly is no failure of writing"


def test_an_export_that_is_deleted_is_gone_with_its_files(served: Served, state: Path) -> None:
    job = made(served, table="ledgers")
    path = f"/v1/exports/{job['id']}"
    assert served.client.delete(path).status_code == 204
    assert served.get(path).status_code == 404
    assert served.get(job["files"][0]["path"]).status_code == 404
    assert served.client.delete(path).status_code == 404
    assert not (state / "exports" / job["id"]).exists()


def test_an_export_is_ended_while_it_is_written(
    served: Served, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = parts._rows

    def endless(*given: Any) -> Iterator[Any]:
        while True:
            yield from whole(*given)
            time.sleep(0.01)

    monkeypatch.setattr(parts, "_rows", endless)
    job = ordered(served, table="ledgers")
    folder = state / "exports" / job["id"]
    deadline = time.monotonic() + SECONDS
    while served.get(f"/v1/exports/{job['id']}").json()["state"] != "running":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert served.client.delete(f"/v1/exports/{job['id']}").status_code == 204
    while folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    monkeypatch.setattr(parts, "_rows", whole)
    made(served, table="ledgers")


def test_an_export_expires(serve: Serve, real_data: Path, tmp_path: Path) -> None:
    served = serve(data=real_data, export_age="10ms", export_path=tmp_path / "out")
    job = ordered(served, table="ledgers")
    deadline = time.monotonic() + SECONDS
    while served.get(f"/v1/exports/{job['id']}").status_code != 404:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    while [one for one in (tmp_path / "out").iterdir() if one.is_dir()]:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_exports_take_no_more_disk_than_they_may(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = served.service._exporter
    monkeypatch.setattr(exporter, "_settings", replace(exporter._settings, most_bytes=20_000))
    job = ended(served.client, ordered(served, table="token_transfers"))
    assert job["state"] == "failed"
    assert "exports would take more than" in job["error"]
    assert 'export_errors_total{error_type="SinkError",format="ndjson"} 1.0' in served.get("/metrics").text
    made(served, table="ledgers", columns=["ledger_sequence"])


def test_what_can_be_asked_of_a_path_is_in_the_header_allow(served: Served) -> None:
    told = {
        path: served.client.options(path).headers["allow"]
        for path in ("/v1/exports", f"/v1/exports/{'0' * 32}")
    }
    assert [set(one.split(", ")) for one in told.values()] == [
        {"GET", "HEAD", "POST"},
        {"GET", "HEAD", "DELETE"},
    ]


def test_too_many_orders_at_once_are_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stellarrow.servers.analytics_exports.exporter.MOST_OF_ONE", 0)
    answer = served.client.post("/v1/exports", json={"format": "csv", "table": "ledgers"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


def test_an_order_takes_ledgers_as_numbers_and_columns_as_a_url_has_them(served: Served) -> None:
    columns = "ledger_sequence, base_fee"
    first = served.get("/v1/ledgers", limit=1, order="asc").json()["rows"][0]["ledger_sequence"]
    job = made(served, format="ndjson", table="ledgers", start=first, end=first + 2, columns=columns)
    assert (job["query"]["start"], job["query"]["columns"]) == (str(first), columns.split(", "))
    assert {(*row,) for row in lines(served, job)} == {("ledger_sequence", "base_fee")}
    refused = served.client.post("/v1/exports", json={"format": "csv", "table": "ledgers", "start": True})
    assert (refused.status_code, refused.json()["field"]) == (400, "start")
