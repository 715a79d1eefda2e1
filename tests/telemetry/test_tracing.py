"""Traces: configured by OpenTelemetry's variables, sent in OTLP; a collector that is away hurts nothing."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

import stellarrow as sa
from fakes.otlp import Collector
from fakes.process import free_port
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.errors import ConfigError
from stellarrow.protocols import Sink
from stellarrow.sources.files import FileSource
from stellarrow.telemetry import logs, otel, tracing
from stellarrow.telemetry.trace_export import exported

FIRST, LAST = "stellarrow.first_ledger", "stellarrow.last_ledger"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@pytest.fixture
def telling(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """A collector that this process is told of, and nothing else of OpenTelemetry in the environment."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in collector.environment().items():
        monkeypatch.setenv(name, value)
    return collector


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    chain = synthetic(5, first=100, ledger_bytes=4_000)
    for first in (100, 110, 120):
        (folder / f"{first}.xdr").write_bytes(frame([*islice(chain, 10)], "record-marked"))
    return folder


def extract(lake: Path, location: str) -> sa.Report:
    return sa.run(lake, tables=["ledgers"], sinks=[location], network="synthetic")


def test_each_chunk_is_one_trace_from_its_fetch_to_its_commit(
    telling: Collector, lake: Path, tmp_path: Path
) -> None:
    with exported("stellarrow-test"):
        extract(lake, f"parquet:{tmp_path / 'out'}")
        telling.wait_for(lambda: len(telling.named("commit")) == 3)
    fetched = telling.named("fetch")
    assert [(one.attributes[FIRST], one.attributes[LAST]) for one in fetched] == [
        (100, 109),
        (110, 119),
        (120, 129),
    ]
    assert {one.service for one in telling.spans} == {"stellarrow-test"}
    for one in fetched:
        assert not one.parent
        of_chunk = [span for span in telling.spans if span.trace == one.trace]
        assert sorted(span.name for span in of_chunk) == ["commit", "decode", "fetch", "write"]
        assert {span.parent for span in of_chunk if span is not one} == {one.span}
        (commit,) = (span for span in of_chunk if span.name == "commit")
        assert commit.attributes[FIRST] <= one.attributes[FIRST]
        assert commit.attributes[LAST] >= one.attributes[LAST]
        assert one.began <= one.ended <= commit.ended


def test_without_variables_nothing_is_recorded_and_nothing_of_opentelemetry_is_loaded(
    lake: Path, tmp_path: Path
) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    words = (
        str(lake),
        "--tables",
        "ledgers",
        "--network",
        "synthetic",
        "--to",
        f"parquet:{tmp_path / 'out'}",
    )
    code = (
        "import sys; from stellarrow.cli import invoke; code = invoke(sys.argv[1:]);"
        "sys.exit(code or sum(name.startswith('opentelemetry') for name in sys.modules))"
    )
    argv = [sys.executable, "-c", code, "extract", *words]
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "said",
    [
        {"OTEL_SDK_DISABLED": "true"},
        {"OTEL_TRACES_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
    ],
)
@pytest.mark.usefixtures("telling")
def test_what_turns_opentelemetry_off_turns_traces_off(
    said: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    with exported("stellarrow-test"):
        assert not tracing.is_on()


def test_names_and_attributes_are_those_of_the_variables(
    telling: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    with exported("stellarrow-test"):
        tracing.record("fetch", "", time.time_ns())
        telling.wait_for(lambda: telling.spans)
    assert telling.spans[0].service == "mine"


def test_a_sampler_that_takes_nothing_leaves_nothing_to_send(
    telling: Collector, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with exported("stellarrow-test"):
        assert extract(lake, f"parquet:{tmp_path / 'out'}").ledgers == 30
    assert telling.spans == []


def test_traces_go_over_grpc_where_the_protocol_says_so(
    telling: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", telling.grpc_url)
    with exported("stellarrow-test"):
        tracing.record("fetch", "", time.time_ns())
        telling.wait_for(lambda: telling.spans)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        (
            "OTEL_TRACES_EXPORTER",
            "jaeger",
            "OTEL_TRACES_EXPORTER is 'jaeger': it must be otlp, console or none",
        ),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "is 'http/json': it must be http/protobuf or grpc"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0", "a variable OTEL_… has a value that cannot be meant"),
    ],
)
@pytest.mark.usefixtures("telling")
def test_a_value_that_cannot_be_meant_is_told(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=told), exported("stellarrow-test"):
        pass


def test_lines_of_the_log_tell_the_trace_they_belong_to(
    telling: Collector, capsys: pytest.CaptureFixture[str]
) -> None:
    log = logging.getLogger("stellarrow.test")
    with logs.written("info", "json"), exported("stellarrow-test"):
        trace = tracing.record("fetch", "", time.time_ns())
        with tracing.span("commit", trace):
            log.info("inside")
        log.info("outside")
        telling.wait_for(lambda: len(telling.named("commit")) == 1)
    with logs.written("info", "console"), exported("stellarrow-test"):
        with tracing.span("commit", trace):
            log.info("plain")
        telling.wait_for(lambda: len(telling.named("commit")) == 2)
    inside, outside, plain = capsys.readouterr().err.splitlines()
    first, second = telling.named("commit")
    told = json.loads(inside)
    assert (told["trace_id"], told["span_id"]) == (first.trace, first.span)
    assert "trace_id" not in json.loads(outside)
    assert plain.endswith(f"plain trace_id={second.trace} span_id={second.span}")
    assert first.trace == trace[3:35]


class Refusing:
    """A sink that takes nothing."""

    def write(self, _: sa.LedgerBatch) -> None:
        raise sa.SinkError("postgres://user:secret@host is full")

    def commit(self) -> None:
        """Have nothing."""

    def coverage(self) -> sa.LedgerSet:
        return sa.LedgerSet()

    def close(self) -> None:
        """Have nothing."""


def test_a_step_that_fails_is_an_error_of_its_trace_without_secrets(telling: Collector, lake: Path) -> None:
    sink: Sink = Refusing()
    with exported("stellarrow-test"), closing(FileSource(lake)) as source:
        with pytest.raises(sa.SinkError):
            sa.run(source, tables=["ledgers"], sinks=[sink], network="synthetic")
        telling.wait_for(lambda: telling.named("write"))
    (written,) = telling.named("write")
    assert "is full" in written.error
    assert "secret" not in written.error


def test_of_many_chunks_a_second_some_are_traced_and_the_rest_by_nobody(telling: Collector) -> None:
    with exported("stellarrow-test"):
        traces = [tracing.record("fetch", "", time.time_ns()) for _ in range(2_000)]
        taken = [trace for trace in traces if tracing.is_recorded(trace)]
        assert 0 < len(taken) < 1_000
        assert {*traces} - {*taken} == {tracing.NOT_RECORDED}
        with tracing.span("write", tracing.NOT_RECORDED):
            assert tracing.current() == ""
        assert tracing.record("receive", tracing.NOT_RECORDED, time.time_ns()) == tracing.NOT_RECORDED
        telling.wait_for(lambda: len(telling.spans) == len(taken))


def test_what_others_send_as_a_trace_and_is_none_begins_one_or_is_left_out(telling: Collector) -> None:
    with exported("stellarrow-test"):
        for wrong in ("x", "00-zz-zz-01", f"00-{'0' * 32}-{'0' * 16}-01", "00-1-2"):
            assert tracing.record("receive", wrong, time.time_ns())
        assert tracing.of_message({"100": "x", "y": "z", "5": 5}) == {}
        assert tracing.of_message("no") is None
        telling.wait_for(lambda: len(telling.spans) == 4)
    assert {one.parent for one in telling.spans} == {""}


def run(lake: Path, out: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "stellarrow.cli", "extract", str(lake), "--tables", "ledgers"]
    argv += ["--network", "synthetic", "--to", f"parquet:{out}"]
    return subprocess.run(
        argv, env={**os.environ, **environ}, capture_output=True, text=True, check=False, timeout=120
    )


def test_a_collector_that_is_away_is_told_once_and_hurts_nothing(lake: Path, tmp_path: Path) -> None:
    port = free_port()
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    done = run(lake, tmp_path / "out", environ)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("traces are not taken") <= 1
    assert "opentelemetry" not in done.stderr


def test_a_collector_that_takes_connections_and_answers_nothing_keeps_nobody_from_ending(
    lake: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        environ["OTEL_EXPORTER_OTLP_TIMEOUT"] = "600"
        done = run(lake, tmp_path / "out", environ)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


class Flaky(SpanExporter):
    """Takes traces now and then."""

    def __init__(self, *results: SpanExportResult) -> None:
        self._results = iter(results)

    def export(self, _: object) -> SpanExportResult:
        return next(self._results)


def test_a_failure_is_told_once_and_so_is_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    bad, good = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    flaky = Flaky(bad, bad, good, good, bad)
    with logs.written("info", "json"), otel._quiet() as last:
        told = otel._Told(flaky, last)
        logging.getLogger("opentelemetry.sdk").error("no route to http://user:secret@collector")
        for _ in range(5):
            told.export([])
    lines = [json.loads(line)["message"] for line in capsys.readouterr().err.splitlines()]
    assert [line.partition("(")[0].strip() for line in lines] == [
        "traces are not taken",
        "traces are taken again",
        "traces are not taken",
    ]
    assert "no route" in lines[0]
    assert "secret" not in lines[0]
