"""Exports: the rows of a table or of SQL as files, in the background, over restarts, for who ordered them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from analytics.conftest import FIRST, PORTS, Given, Serve, Served
from stellarrow.config import Analytics, read
from stellarrow.security.key_store import FILE, KeyStore
from stellarrow.servers.analytics_exports import parts
from stellarrow.services.analytics import AnalyticsService

Oracle = Callable[[str], list[tuple[Any, ...]]]
SECONDS = 60.0


def ordered(served: Served, **asked: Any) -> dict[str, Any]:
    answer = served.client.post("/v1/exports", json={"format": "ndjson", **asked})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/v1/exports/{job['id']}"
    return job


def ended(client: httpx.Client, job: dict[str, Any], **named: Any) -> dict[str, Any]:
    """Wait until an export has ended."""
    deadline = time.monotonic() + SECONDS
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline, job
        time.sleep(0.02)
        answer = client.get(f"/v1/exports/{job['id']}", **named)
        assert answer.status_code == 200, answer.text
        job = answer.json()
    return job


def made(served: Served, **asked: Any) -> dict[str, Any]:
    job = ended(served.client, ordered(served, **asked))
    assert job["state"] == "done", job["error"]
    return job


def content(served: Served, job: dict[str, Any]) -> list[bytes]:
    """Download an export's files, each as its checksum says."""
    found = []
    for file in job["files"]:
        data = served.client.get(file["path"]).content
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        assert len(data) == file["bytes"]
        found.append(data)
    return found


def lines(served: Served, job: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for data in content(served, job) for line in data.splitlines()]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exports") / "state"


@pytest.fixture(scope="module")
def served(real_data: Path, state: Path) -> Iterator[Served]:
    """One service for tests that leave it as it was."""
    settings = read(Analytics, {**PORTS, "data": str(real_data), "state_dir": str(state)}, environ={})
    service = AnalyticsService(settings)
    with closing(Served(service)) as made:
        service.start()
        yield made


@pytest.fixture(autouse=True)
def no_exports(request: pytest.FixtureRequest) -> Iterator[None]:
    """Remove the exports of a test from the service that others use, too."""
    yield
    if "served" in request.fixturenames:
        shared: Served = request.getfixturevalue("served")
        for one in shared.get("/v1/exports").json()["exports"]:
            shared.client.delete(f"/v1/exports/{one['id']}")


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be full after some rows."""
    monkeypatch.setattr(parts, "MOST_ROWS", 50)


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
        ({"table": "ledgers", "columns": "x"}, "columns", "it must be a list of texts"),
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


def test_sql_that_is_refused_ends_as_failed_and_says_why(served: Served) -> None:
    job = ended(served.client, ordered(served, sql="select * from read_csv('/etc/passwd')"))
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


def test_a_download_goes_on_where_it_was_cut_off(served: Served) -> None:
    job = made(served, table="ledgers", format="parquet")
    (data,) = content(served, job)
    rest = served.client.get(job["files"][0]["path"], headers={"range": "bytes=100-"})
    assert (rest.status_code, rest.content) == (206, data[100:])
    assert rest.headers["etag"].strip('"') == job["files"][0]["sha256"]


def test_a_file_that_was_exchanged_for_a_link_is_not_followed(
    served: Served, state: Path, tmp_path: Path
) -> None:
    job = made(served, table="ledgers")
    secret = tmp_path / "secret"
    (file,) = (state / "exports" / job["id"]).glob("ledgers-*")
    secret.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(secret)
    answer = served.get(job["files"][0]["path"])
    assert answer.status_code == 500
    assert "is not what was written" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["export.json", "../export.json", "..%2f..%2fkeys.db", "%2fetc%2fpasswd"])
def test_nothing_but_an_exports_own_files_is_downloaded(served: Served, name: str) -> None:
    job = made(served, table="ledgers")
    assert served.get(f"/v1/exports/{job['id']}/files/{name}").status_code == 404


def test_links_and_strangers_in_the_folder_are_no_exports(
    serve: Serve, real_data: Path, tmp_path: Path
) -> None:
    served = serve(data=real_data)
    job = made(served, table="ledgers")
    served.close()
    folder = tmp_path / "state/exports"
    elsewhere = tmp_path / "elsewhere"
    (folder / job["id"]).rename(elsewhere)
    (folder / job["id"]).symlink_to(elsewhere)
    (folder / "notes").mkdir()
    (folder / ("0" * 32)).mkdir()
    (folder / ("0" * 32) / "export.json").write_text('{"id": "' + "0" * 32 + '", "files": 7}')
    served = serve(data=real_data)
    assert served.get("/v1/exports").json() == {"exports": []}
    assert (elsewhere / "export.json").exists()
    assert (folder / "notes").exists()
    assert not (folder / ("0" * 32)).exists(), "a damaged one is removed, so that its disk is free"


def test_an_export_outlives_a_restart(serve: Serve, real_data: Path) -> None:
    first = serve(data=real_data)
    job = made(first, table="ledgers")
    first.close()
    second = serve(data=real_data)
    assert second.get(f"/v1/exports/{job['id']}").json() == job
    content(second, job)


def test_one_process_at_a_time_has_the_folder(serve: Serve, real_data: Path) -> None:
    first, second = serve(data=real_data), serve(data=real_data)
    job = made(first, table="ledgers")
    answer = second.get("/v1/exports")
    assert answer.status_code == 503
    assert "EXPORT_PATH" in answer.json()["detail"]
    first.close()
    assert second.get(f"/v1/exports/{job['id']}").json()["state"] == "done"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(made, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: run the tests as root to try full disks")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S607


def test_a_full_disk_fails_the_export_and_leaves_nothing_of_it_halfway(
    serve: Serve, real_data: Path, full_disk: Path
) -> None:
    served = serve(data=real_data, export_path=full_disk / "exports")
    job = ended(served.client, ordered(served, table="token_transfers"))
    assert (job["state"], job["files"]) == ("failed", [])
    assert "No space left on device" in job["error"]
    assert str(full_disk) not in job["error"], "callers need not know the server's paths"
    assert 'error_type="OSError",format="ndjson"} 1.0' in served.get("/metrics").text
    folder = full_disk / "exports" / job["id"]
    assert {one.name for one in folder.iterdir()} <= {"export.json"}
    assert served.client.delete(f"/v1/exports/{job['id']}").status_code == 204
    made(served, table="ledgers", where="transaction_count < 0")


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "state").mkdir(mode=0o700)
    store = KeyStore(tmp_path / "state" / FILE)
    found = {
        name: store.create(name, [role], created_by="test")[1]
        for name, role in (("ann", "reader"), ("bob", "reader"), ("root", "admin"))
    }
    store.close()
    return found


def test_callers_see_their_own_exports_and_the_audit_log_says_what_they_did(
    serve: Serve, real_data: Path, tmp_path: Path, keys: dict[str, str]
) -> None:
    served = serve(data=real_data, auth="api_key", anonymous_role="reader", audit_log=tmp_path / "audit")

    def of(name: str) -> dict[str, Any]:
        return {"headers": {"authorization": f"Bearer {keys[name]}"}}

    order = {"format": "csv", "table": "ledgers"}
    answer = served.client.post("/v1/exports", json=order)
    assert answer.status_code == 401, "strangers may read, and take no disk"
    job = ended(served.client, served.client.post("/v1/exports", json=order, **of("ann")).json(), **of("ann"))
    path, file = f"/v1/exports/{job['id']}", job["files"][0]["path"]
    assert [one["id"] for one in served.client.get("/v1/exports", **of("ann")).json()["exports"]] == [
        job["id"]
    ]
    assert served.client.get("/v1/exports", **of("bob")).json() == {"exports": []}
    assert served.client.get("/v1/exports", **of("root")).json()["exports"] == [job]
    for one in (path, file):
        assert served.client.get(one, **of("bob")).status_code == 404
        assert served.client.get(one).status_code == 404
        assert served.client.get(one, **of("root")).status_code == 200
    assert served.client.delete(path, **of("bob")).status_code == 404
    assert served.client.get(file, **of("ann")).status_code == 200
    assert served.client.delete(path, **of("ann")).status_code == 204
    noted = [json.loads(one) for one in (tmp_path / "audit").read_text().splitlines()]
    told = [
        (one["event"], one["principal"], one["result"]) for one in noted if one["event"].startswith("export")
    ]
    assert ("export ordered", "ann", "ok") in told
    assert ("export downloaded", "ann", "ok") in told
    assert ("export deleted", "ann", "ok") in told
    assert any(event == "export deleted" and who == "bob" and "NotFound" in how for event, who, how in told)
    targets = {one["target"] for one in noted if one["event"].startswith("export") and one["result"] == "ok"}
    assert targets == {job["id"]}
