from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from fakes import raw_ledgers
from fakes.process import free_port
from fakes.rpc import RpcNode, html, serving, status
from fakes.versitygw import Bucket
from stellarrow.cli import production_findings
from stellarrow.sinks.postgres.server import Server

Run = Callable[..., Any]
MakeLake = Callable[..., Path]


@pytest.fixture
def node(ledgers: tuple[bytes, ...]) -> Iterator[RpcNode]:
    with serving(RpcNode(ledgers)) as node:
        yield node


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stand in an empty folder: settings of the machine are none of ours."""
    monkeypatch.chdir(tmp_path)
    for name in ("SOURCE", "NETWORK_PASSPHRASE", "STELLARROW_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def findings(done: Any) -> dict[str, list[dict[str, Any]]]:
    report: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(done.out)["findings"]:
        report.setdefault(finding["subject"], []).append(finding)
    return report


def test_what_is_well_is_measured(
    stellarrow: Run, make_lake: MakeLake, node: RpcNode, tmp_path: Path
) -> None:
    lake = make_lake()
    done = stellarrow("doctor", lake, "--rpc", node.url, "--to", f"parquet:{tmp_path}/out", "--json")
    assert done.code == 0
    assert json.loads(done.out)["healthy"]
    answer = findings(done)
    for place in (str(lake), node.url):
        reached, sampled, *_ = answer[place]
        assert reached["message"] == "synthetic, ledgers 100 to 139"
        assert reached["latency_ms"] >= 0
        assert sampled["message"].startswith("30 ledgers read and proven")
        assert sampled["mb_per_s"] > 0
    assert answer[f"parquet:{tmp_path}/out"][0]["mb_per_s"] > 0
    assert not (tmp_path / "out").exists()


def test_people_get_a_line_for_each(stellarrow: Run, make_lake: MakeLake) -> None:
    done = stellarrow("doctor", make_lake())
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[0] for line in lines] == ["ok"] * 5
    assert done.out.count("\n") == 5


def test_a_node_that_is_behind_is_looked_at(stellarrow: Run, node: RpcNode) -> None:
    done = stellarrow("doctor", "--rpc", node.url, "--json")
    behind = findings(done)[node.url][-1]
    assert (behind["state"], done.code) == ("warning", 0)
    assert behind["message"].endswith("it is behind, use another node")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (html, "answered getNetwork with HTML instead of JSON"),
        (status(403), "answered with HTTP 403 Forbidden: give a key"),
        (status(503), "answered with HTTP 503"),
    ],
)
def test_a_broken_node_is_named(stellarrow: Run, node: RpcNode, fault: Any, told: str) -> None:
    node.faults = [fault] * 9
    done = stellarrow("doctor", "--rpc", node.url, "--json")
    assert done.code == 1
    (finding,) = findings(done)[node.url]
    assert finding["state"] == "broken"
    assert told in finding["message"]


def test_two_networks_are_broken(stellarrow: Run, make_lake: MakeLake, node: RpcNode) -> None:
    node.passphrase = "Test SDF Network ; September 2015"
    lake = make_lake()
    done = stellarrow("doctor", f"{lake},rpc+{node.url}", "--json")
    assert done.code == 1
    said = [finding["message"] for finding in findings(done)[node.url]]
    assert f"is of testnet, but {lake} of synthetic: use sources of one network" in said


def test_another_network_than_the_one_named_is_broken(stellarrow: Run, make_lake: MakeLake) -> None:
    done = stellarrow("doctor", make_lake(), "--network", "pubnet")
    assert done.code == 1
    assert "BROKEN" in done.out
    assert "are of synthetic, not pubnet" in done.out


def test_a_corrupt_ledger_is_broken(stellarrow: Run, node: RpcNode) -> None:
    whole = node.metas[130]
    node.metas[130] = whole[:200] + ("A" if whole[200] != "A" else "B") + whole[201:]
    done = stellarrow("doctor", "--rpc", node.url, "--json")
    assert done.code == 1
    assert findings(done)[node.url][-1]["state"] == "broken"


def test_wrong_settings_are_broken(stellarrow: Run, tmp_path: Path) -> None:
    (tmp_path / "stellarrow.toml").write_text("[source]\ngrpc_address = 'nowhere'\n")
    done = stellarrow("doctor", "--json")
    assert done.code == 1
    (finding,) = findings(done)["settings of source"]
    assert "'nowhere'" in finding["message"]


def test_without_any_named_it_looks_at_those_of_the_settings(
    stellarrow: Run, make_lake: MakeLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = make_lake()
    monkeypatch.setenv("SOURCE", str(lake))
    done = stellarrow("doctor", "--json")
    assert (done.code, str(lake) in findings(done)) == (0, True)


def test_a_service_is_reached_or_not(stellarrow: Run) -> None:
    pytest.importorskip("stellarrow.proto.raw_ledger_service_pb2", reason="make builds it")
    with raw_ledgers.serving(raw_ledgers.RawLedgers([])) as port:
        done = stellarrow("doctor", f"grpc://127.0.0.1:{port}", "--json")
        assert done.code == 0
        assert findings(done)[f"grpc://127.0.0.1:{port}"][0]["message"] == "answers"


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        ("parquet:/proc/out", "/proc cannot be written to"),
        ("ftp:x", "is no sink: start it with one of parquet:"),
        ("postgres://nobody@127.0.0.1:1/none", "start the server or check the address"),
    ],
)
def test_a_sink_that_cannot_be_written_to_is_broken(stellarrow: Run, sink: str, told: str) -> None:
    done = stellarrow("doctor", "--to", sink, "--json")
    assert done.code == 1
    assert told in json.loads(done.out)["findings"][-1]["message"]


@pytest.mark.parametrize(
    "sink", ["parquet:./x", "jsonl:./x", "csv:./x?codec=gzip", "parquet:x?partition=date"]
)
def test_a_folder_of_any_format_is_a_place_to_write_to_and_is_not_made(
    stellarrow: Run, tmp_path: Path, sink: str
) -> None:
    done = stellarrow("doctor", "--to", sink, "--json")
    finding = json.loads(done.out)["findings"][-1]
    assert (done.code, finding["state"]) == (0, "ok"), finding
    assert " GB free" in finding["message"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("sink", "told"),
    [
        ("parquet:./x?partition=nonsense", "partition 'nonsense' is unknown"),
        ("csv:./x?codec=snappy", "CSV files have no codec 'snappy'"),
        ("parquet:./x?codec=zst", "Parquet files have no codec 'zst': did you mean zstd?"),
        ("jsonl:./x?ledger=5", "did you mean ledgers?"),
        ("postgres://u@127.0.0.1/x?mode=fast", "the mode 'fast' is not known"),
    ],
)
def test_wrong_options_of_a_sink_are_broken(stellarrow: Run, sink: str, told: str) -> None:
    done = stellarrow("doctor", "--to", sink, "--json")
    finding = json.loads(done.out)["findings"][-1]
    assert (done.code, finding["state"]) == (1, "broken")
    assert told in finding["message"]


def test_an_object_store_is_asked_and_no_folder_measured_in_its_place(
    stellarrow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("obstore")
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_REGION", "eu-west-1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    done = stellarrow("doctor", "--to", "parquet:s3://bucket/out", "--json")
    finding = json.loads(done.out)["findings"][-1]
    assert (done.code, finding["state"]) == (1, "broken")
    assert "the server does not answer" in finding["message"]


def test_an_object_store_that_answers_is_well(
    stellarrow: Run, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.server.environment.items():
        monkeypatch.setenv(name, value)
    done = stellarrow("doctor", "--to", f"jsonl:s3://{bucket.name}/out", "--json")
    finding = json.loads(done.out)["findings"][-1]
    assert (done.code, finding["state"]) == (0, "ok"), finding
    assert finding["latency_ms"] > 0
    assert list(bucket.folder.iterdir()) == []


def test_a_server_older_than_the_sink_takes_is_broken(database: str) -> None:
    found = Server(database).health(oldest=990_000)
    assert (found.state, found.message.rpartition(": ")[2]) == ("broken", "update it to 99 or newer")


def test_a_database_is_measured_and_left_as_it_is(stellarrow: Run, database: str) -> None:
    done = stellarrow("doctor", "--to", as_url(database), "--json")
    finding = json.loads(done.out)["findings"][-1]
    assert (done.code, finding["state"]) == (0, "ok"), finding
    assert finding["latency_ms"] > 0
    with psycopg.connect(database) as connection:
        schemas = connection.execute("SELECT nspname FROM pg_namespace").fetchall()
    assert ("contract_data",) not in schemas


def test_a_place_for_shared_state_that_compares_before_it_writes_is_well(
    stellarrow: Run, tmp_path: Path
) -> None:
    place = tmp_path / "shared"
    done = stellarrow("doctor", "--shared-state", place, "--json")
    finding = json.loads(done.out)["findings"][-1]
    assert (done.code, finding["state"]) == (0, "ok"), finding
    assert [one for one in place.rglob("*") if one.is_file()] == []


def test_a_place_for_shared_state_that_is_away_is_broken(
    stellarrow: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED_STATE", f"postgres://someone@127.0.0.1:{free_port()}/none")
    done = stellarrow("doctor", "--json")
    finding = json.loads(done.out)["findings"][-1]
    assert (done.code, finding["state"]) == (1, "broken"), finding
    assert "cannot be used" in finding["message"]


def as_url(database: str) -> str:
    parts = conninfo.conninfo_to_dict(database)
    return (
        f"postgres://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts.get('port', 5432)}"
    )


PRODUCTION = """
[processor]
source = "{lake}"
log_format = "console"
max_memory_mb = 100000000
spool_mb = 1000000000
cors_origins = ["*"]
state_dir = "{state}"
auth = ["api_key"]
audit_log = "off"
"""


def test_what_should_be_before_it_serves_others_is_told(
    stellarrow: Run, make_lake: MakeLake, tmp_path: Path
) -> None:
    file = tmp_path / "stellarrow.toml"
    lake = make_lake(3)
    file.write_text(PRODUCTION.format(lake=lake, state=tmp_path / "state"))
    found = findings(stellarrow("doctor", str(lake), "--config", file, "--production", "--json"))[
        "production"
    ]
    said = " ".join(one["message"] for one in found)
    for part in (
        *("processor speaks no TLS", "keeps no record", "set rate_limit", "name the pages in cors_origins"),
        *("set log_format = json", "lower max_memory_mb", "lower spool_mb", "set network"),
    ):
        assert part in said
    assert "production" not in findings(stellarrow("doctor", str(lake), "--config", file, "--json"))


def test_services_that_nobody_set_up_are_not_judged(stellarrow: Run) -> None:
    told = [one["message"] for one in findings(stellarrow("doctor", "--production", "--json"))["production"]]
    assert sum(one.startswith("no service is set up here: ") for one in told) == 1
    assert not any("speaks no TLS" in one for one in told)


def test_a_database_that_may_forget_is_broken_for_production(stellarrow: Run, database: str) -> None:
    done = stellarrow("doctor", "--to", as_url(database), "--production", "--json")
    said = [one["message"] for one in findings(done)["production"] if one["state"] == "broken"]
    assert any("set fsync = on there" in one for one in said)
    assert done.code == 1


def test_every_check_of_production_is_in_the_docs() -> None:
    source = Path(production_findings.__file__).read_text()
    page = (Path(__file__).parents[2] / "docs" / "production.md").read_text()
    settings = set(re.findall(r"(?:set|lower|in) ([a-z]+_[a-z_]+)", source))
    assert {"tls_certificate", "rate_limit", "spool_mb"} <= settings
    assert [name for name in settings if f"`{name}`" not in page] == []
