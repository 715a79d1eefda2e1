"""REST over stored tables says what DuckDB says of the same files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from analytics.conftest import NAMES, Serve, Served
from stellarrow.core.tables import keys

Oracle = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def served(serve: Serve, real_data: Path) -> Served:
    return serve(data=real_data)


def test_status_says_network_last_ledger_and_which_ledgers_each_table_has(served: Served) -> None:
    told = served.get("/v1/status").json()
    assert (told["network"], told["as_of_ledger"]) == ("pubnet", 58752000)
    assert told["closed_at"] == "2025-09-03T00:10:28Z"
    assert sorted(told["tables"]) == sorted(NAMES)
    assert told["tables"]["ledgers"]["coverage"] == [[53312000, 53312000], [58752000, 58752000]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_every_row_comes_once_page_by_page_in_the_order_of_the_key(
    served: Served, oracle: Oracle, name: str, order: str
) -> None:
    columns = keys(name)
    found = served.rows(f"/v1/tables/{name}/rows", columns=",".join(columns), order=order, limit=97)
    by = ", ".join(f"{one} nulls last" for one in columns)
    known = oracle(f"select {', '.join(columns)} from {name} order by {by}")
    expected = [list(row) for row in (known if order == "asc" else reversed(known))]
    assert [[row[one] for one in columns] for row in found] == expected


CASES = [
    ("token_transfers", {"event_types": "payment"}, "operation_type = 'payment'"),
    ("token_transfers", {"event_types": "mint,burn"}, "event_type in ('mint', 'burn')"),
    ("token_transfers", {"assets": "native"}, "asset_type = 'native'"),
    ("token_transfers", {"assets": "USDC"}, "asset_code = 'USDC'"),
    ("token_transfers", {"where": "amount_raw > 10000000"}, "amount_raw > 10000000"),
    (
        "token_transfers",
        {"where": '"from" is null', "event_types": "mint"},
        "\"from\" is null and event_type = 'mint'",
    ),
    ("token_transfers", {"start": "58752000"}, "ledger_sequence >= 58752000"),
    ("token_transfers", {"end": "2024-09-02"}, "ledger_sequence = 53312000"),
    ("token_transfers", {"start": "2024-09-03"}, "ledger_sequence = 58752000"),
    ("token_transfers", {"start": "2030-01-01"}, "false"),
    ("transactions", {"where": "is_soroban and not successful"}, "is_soroban and not successful"),
    ("contract_data", {"where": "deleted"}, "deleted"),
    ("contract_events", {"event_names": "mint"}, "event_name = 'mint'"),
]


@pytest.mark.parametrize(("name", "parameters", "where"), CASES)
def test_filters_keep_the_rows_that_sql_keeps(
    served: Served, oracle: Oracle, name: str, parameters: dict[str, str], where: str
) -> None:
    columns = keys(name)
    asked = {"columns": ",".join(columns), "limit": 10_000, **parameters}
    found = served.rows(f"/v1/tables/{name}/rows", **asked)
    by = ", ".join(f"{one} nulls last" for one in columns)
    known = oracle(f"select {', '.join(columns)} from {name} where {where} order by {by}")
    assert [tuple(row[one] for one in columns) for row in found] == known


def test_an_account_is_whoever_pays_or_is_paid(served: Served, oracle: Oracle) -> None:
    ((account, _),) = oracle(
        'select "from", count(*) from token_transfers group by all order by 2 desc, 1 limit 1'
    )
    found = served.rows("/v1/tables/token_transfers/rows", accounts=account)
    known = oracle(
        f"""select count(*) from token_transfers where "from" = '{account}' or "to" = '{account}'"""
    )
    assert [(len(found),)] == known


def test_all_formats_have_the_same_rows(served: Served, oracle: Oracle) -> None:
    path = "/v1/tables/token_transfers/rows"
    asked = {"columns": "ledger_sequence,event_index,amount_raw,closed_at"}
    query = "select ledger_sequence, event_index, amount_raw from token_transfers order by 1, 2"
    known = [(ledger, event, str(amount)) for ledger, event, amount in oracle(query)]
    table = pa.ipc.open_stream(served.get(path, format="arrow", **asked).content).read_all()
    assert table.schema.field("amount_raw").type == pa.decimal128(38, 0)
    held = pq.read_table(io.BytesIO(served.get(path, format="parquet", **asked).content))
    lines = [json.loads(line) for line in served.get(path, format="ndjson", **asked).text.splitlines()]
    text = pa.csv.read_csv(
        io.BytesIO(served.get(path, format="csv", **asked).content),
        convert_options=pa.csv.ConvertOptions(column_types={"amount_raw": pa.string()}),
    )
    for found in (table.to_pylist(), held.to_pylist(), lines, text.to_pylist()):
        assert [
            (row["ledger_sequence"], row["event_index"], str(row["amount_raw"])) for row in found
        ] == known


@pytest.mark.parametrize("coding", ["gzip", "zstd", "br"])
@pytest.mark.parametrize("limit", [{}, {"limit": 500}])
def test_an_answer_is_packed_as_the_client_asks(served: Served, coding: str, limit: dict[str, int]) -> None:
    path = "/v1/tables/transactions/rows"
    plain = served.get(path, format="ndjson", **limit)
    with served.client.stream(
        "GET", path, params={"format": "ndjson", **limit}, headers={"accept-encoding": coding}
    ) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == coding
    assert len(packed) < len(plain.content) / 2
    name = {"br": "brotli"}.get(coding, coding)
    assert pa.CompressedInputStream(pa.BufferReader(packed), name).read() == plain.content


def test_the_header_accept_chooses_the_format(served: Served) -> None:
    for accept, kind in (
        ("application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream"),
        ("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("text/html, */*;q=0.1", "application/json"),
    ):
        answer = served.client.get("/v1/ledgers", headers={"accept": accept})
        assert answer.headers["content-type"].partition(";")[0] == kind
    refused = served.client.get("/v1/ledgers", headers={"accept": "image/png"})
    assert (refused.status_code, refused.headers["content-type"]) == (406, "application/problem+json")


def test_an_answer_that_did_not_change_is_not_sent_again(served: Served) -> None:
    first = served.get("/v1/ledgers")
    again = served.client.get("/v1/ledgers", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["cache-control"] == "no-cache"


ALL_HERE = (
    ("/v1/ledgers/58752000", True),
    ("/v1/ledgers/latest", False),
    ("/v1/tables/transactions/rows?start=58752000&end=58752000", True),
    ("/v1/tables/transactions/rows?start=58752000&end=58752000&format=arrow", True),
    ("/v1/tables/transactions/rows?start=58751999&end=58752000", False),
    ("/v1/tables/transactions/rows?start=58752000", False),
)


@pytest.mark.parametrize(("path", "is_final"), ALL_HERE)
def test_caches_keep_what_is_all_here_and_ask_each_time(served: Served, path: str, is_final: bool) -> None:
    first = served.get(path)
    assert first.headers["cache-control"] == ("public, no-cache" if is_final else "no-cache")
    again = served.client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_stream_is_another_one_in_another_format(served: Served) -> None:
    path = "/v1/tables/transactions/rows?start=58752000&end=58752000"
    kinds = ("application/vnd.apache.arrow.stream", "text/csv")
    tags = {served.client.get(path, headers={"accept": one}).headers["etag"] for one in kinds}
    assert len(tags) == len(kinds)


@pytest.mark.parametrize(
    ("asked", "as_of"),
    [
        ({"start": 1, "end": 50}, 58752000),
        ({"start": 58752001, "end": 58752005}, 58752000),
        ({"end": 58752000}, 58752000),
        ({"end": 58751999}, 53312000),
        ({"start": 58751999, "end": 58752000, "order": "desc", "limit": 1}, 58752000),
    ],
)
@pytest.mark.parametrize("path", ["/v1/tables/transactions/rows", "/v1/assets"])
def test_an_answer_is_as_of_a_ledger_that_was_here(
    served: Served, path: str, asked: dict[str, Any], as_of: int
) -> None:
    given = {name: one for name, one in asked.items() if name != "order" or "rows" in path}
    assert served.get(path, **given).json()["as_of_ledger"] == as_of


REFUSED = [
    ("/v1/tables/nothing/rows", 404, "table"),
    ("/v1/tables/ledgers/rows?colums=a", 400, "colums"),
    ("/v1/tables/ledgers/rows?columns=nothing", 400, "columns"),
    ("/v1/tables/ledgers/rows?columns=base_fee,base_fee", 400, "columns"),
    ("/v1/tables/ledgers/rows?limit=0", 400, "limit"),
    ("/v1/tables/ledgers/rows?limit=1&limit=2", 400, "limit"),
    ("/v1/tables/ledgers/rows?limit=10001", 400, "limit"),
    ("/v1/tables/ledgers/rows?order=up", 400, "order"),
    ("/v1/tables/ledgers/rows?format=xml", 400, "format"),
    ("/v1/tables/ledgers/rows?start=yesterdy", 400, "start"),
    ("/v1/tables/ledgers/rows?start=2024-13-01", 400, "start"),
    ("/v1/tables/ledgers/rows?start=9&end=8", 400, "end"),
    ("/v1/tables/ledgers/rows?start=" + "9" * 250, 400, "start"),
    ("/v1/tables/ledgers/rows?start=" + "9" * 5_000, 400, "start"),
    ("/v1/tables/ledgers/rows?where=" + "1" * 9_000, 400, "where"),
    ("/v1/tables/ledgers/rows?end=4294967296", 400, "end"),
    ("/v1/tables/ledgers/rows?contract_ids=C", 400, "contract_ids"),
    ("/v1/tables/ledgers/rows?where=nothing%3D1", 400, "where"),
    ("/v1/tables/ledgers/rows?where=base_fee", 400, "where"),
    ("/v1/tables/ledgers/rows?where=1%3B%20drop%20table%20ledgers", 400, "where"),
    ("/v1/tables/ledgers/rows?where=" + "(" * 200, 400, "where"),
    ("/v1/tables/ledgers/rows?cursor=abc", 400, "cursor"),
    ("/v1/tables/ledgers/rows?cursor=%F0%9F%98%80", 400, "cursor"),
    ("/v1/ledgers/0", 404, "ledger"),
    ("/v1/ledgers/abc", 400, "ledger"),
    ("/v1/ledgers/99999999999", 400, "ledger"),
    ("/v1/nothing", 404, None),
]


@pytest.mark.parametrize(("path", "status", "field"), REFUSED)
def test_a_question_that_makes_no_sense_is_told_which_part_of_it(
    served: Served, path: str, status: int, field: str | None
) -> None:
    answer = served.get(path)
    told = answer.json()
    assert (answer.status_code, told["status"], told.get("field")) == (status, status, field), told
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text


def test_a_cursor_of_another_query_is_refused(served: Served) -> None:
    cursor = served.get("/v1/tables/transactions/rows", limit=1).json()["next_cursor"]
    for other in ({"order": "desc"}, {"where": "successful"}, {"start": "5"}):
        answer = served.get("/v1/tables/transactions/rows", limit=1, cursor=cursor, **other)
        assert (answer.status_code, answer.json()["field"]) == (400, "cursor")
    assert served.get("/v1/tables/ledgers/rows", cursor=cursor).status_code == 400
    assert served.get("/v1/tables/transactions/rows", limit=5, cursor=cursor).status_code == 200


def test_only_get_and_head_are_answered(served: Served) -> None:
    assert served.client.post("/v1/ledgers").status_code == 405
    head = served.client.head("/v1/ledgers")
    assert (head.status_code, head.content) == (200, b"")


def test_many_ask_at_once_and_each_is_answered(served: Served) -> None:
    def ask(number: int) -> set[int]:
        with httpx.Client(base_url=served.url, timeout=30) as client:
            path = "/v1/tables/transactions/rows"
            pages = [client.get(path, params={"limit": limit}).json() for limit in range(number, number + 20)]
        return {len(page["rows"]) - limit for limit, page in enumerate(pages, number)}

    with ThreadPoolExecutor(8) as threads:
        assert set().union(*threads.map(ask, range(1, 9))) == {0}
