"""A service starts with what it needs, waits for what is away, or says in a sentence what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

import stellarrow as sa
from fakes.process import free_port
from fakes.raw_ledgers import RawLedgers, serving
from fakes.rpc import RpcNode, status
from processor.serving import Serving
from stellarrow.consumer.flight_client import FlightTable
from stellarrow.net.address import Address
from stellarrow.sources.grpc import GrpcSource

MakeLake = Callable[..., Path]
PROGRAM = (sys.executable, "-m", "stellarrow.cli")
ANYWHERE = ("--grpc-address=:0", "--flight-address=:0", "--health-port=0")


class Started:
    """A service in a process of its own, its log on a pipe or a terminal."""

    def __init__(self, *words: str, cwd: Path, environ: Mapping[str, str] | None = None) -> None:
        self.log = cwd / f"{words[0]}.log"
        self.port = free_port()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, *words], cwd=cwd, stdout=log, stderr=log, env={**os.environ, **(environ or {})}
            )

    def await_said(self, text: str, *, within: float = 30.0) -> None:
        deadline = time.monotonic() + within
        while text not in self.log.read_text():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def run(
    *words: str | Path, cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def asked(port: int, path: str) -> tuple[int, Any]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        with error:
            return error.code, json.load(error)


def until(true: Callable[[], object], *, within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def last_line(text: str) -> str:
    return text.strip().splitlines()[-1]


@pytest.mark.slow
def test_each_service_learns_the_network_from_the_one_before(make_lake: MakeLake, tmp_path: Path) -> None:
    lake = make_lake()
    ports = {name: free_port() for name in ("raw", "control", "flight")}
    with ExitStack() as stack:
        source = Started(
            *("source", "serve", f"--source={lake}", f"--grpc-address=:{ports['raw']}"),
            *("--flight-address=:0", "--health-port=0"),
            cwd=tmp_path,
        )
        stack.enter_context(closing(source))
        source.await_said("serving ledgers of synthetic")
        processor = Started(
            *("processor", "serve", f"--source-endpoint=localhost:{ports['raw']}", "--start-ledger=100"),
            *("--end-ledger=139", f"--grpc-address=:{ports['control']}"),
            *(f"--flight-address=:{ports['flight']}", "--health-port=0"),
            cwd=tmp_path,
        )
        stack.enter_context(closing(processor))
        processor.await_said("STOPPED")
        told = FlightTable(Address.parse(f":{ports['flight']}"), "ledgers").network()
        assert told == sa.Network.of("synthetic")
        with closing(GrpcSource(f"grpc://127.0.0.1:{ports['control']}")) as control:
            assert control.network() == sa.Network.of("synthetic")


def test_a_service_of_others_does_not_tell_its_network(ledgers: tuple[bytes, ...]) -> None:
    with serving(RawLedgers(ledgers)) as port, closing(GrpcSource(f"grpc://127.0.0.1:{port}")) as source:
        assert source.network() is None


@pytest.mark.parametrize("verb", ["source", "processor"])
def test_a_network_that_nobody_tells_is_refused_at_the_start(
    tmp_path: Path, ledgers: tuple[bytes, ...], verb: str
) -> None:
    with serving(RawLedgers(ledgers)) as port:
        done = run(verb, "serve", "--source", f"grpc://127.0.0.1:{port}", *ANYWHERE, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the network is not set, and grpc://127.0.0.1:{port} does not tell it: give --network, such"
        " as pubnet, or NETWORK_PASSPHRASE\n"
    )


@pytest.mark.parametrize(
    ("words", "environ", "named"),
    [
        (("--network", "pubnet"), {}, "--network"),
        ((), {"NETWORK_PASSPHRASE": "pubnet"}, "NETWORK_PASSPHRASE in the environment"),
    ],
)
def test_a_network_that_the_source_contradicts_is_refused_by_the_name_it_was_given_with(
    make_lake: MakeLake, tmp_path: Path, words: tuple[str, ...], environ: dict[str, str], named: str
) -> None:
    lake = make_lake()
    done = run("processor", "serve", "--source", lake, *words, *ANYWHERE, cwd=tmp_path, environ=environ)
    assert (done.returncode, done.stderr) == (
        2,
        f"error: the ledgers of {lake} are of synthetic, not pubnet, as {named} says: fix one of the two\n",
    )


@pytest.mark.parametrize(
    ("verb", "rest"), [("processor serve", ANYWHERE), ("sink postgres serve", ("--metrics-port=0",))]
)
def test_a_server_that_is_away_while_no_network_is_named_is_refused(
    tmp_path: Path, verb: str, rest: tuple[str, ...]
) -> None:
    flag = "--source-endpoint" if verb.startswith("processor") else "--flight-endpoint"
    done = run(*verb.split(), flag, f"localhost:{free_port()}", *rest, cwd=tmp_path)
    assert done.returncode == 2
    assert last_line(done.stderr).startswith("error: the network is not set, and ")
    assert "does not answer" in last_line(done.stderr)
    assert "give --network, such as pubnet, or NETWORK_PASSPHRASE" in last_line(done.stderr)


@pytest.mark.slow
def test_a_source_that_is_down_degrades_and_one_that_is_back_clears_it(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    port = free_port()
    with closing(
        Serving(f"grpc://127.0.0.1:{port}", tmp_path / "state", "--network=synthetic", "--start-ledger=100")
    ) as service:
        web = service.addresses["health-port"].port
        until(lambda: asked(web, "/ready")[0] == 503)  # after some seconds: it has not answered yet
        status, health = asked(web, "/health")
        assert (status, health["status"]) == (200, "degraded")
        assert "does not answer" in json.dumps(health["components"])
        chain = RawLedgers(ledgers[:20])
        for _ in range(2):
            with serving(chain, port=port):
                until(lambda: asked(web, "/health")[1]["status"] == "healthy")
                until(lambda: asked(web, "/ready")[0] == 200)
                health = asked(web, "/health")[1]
                assert [one["message"] for one in health["components"].values() if one["message"]] == []
            until(lambda: asked(web, "/health")[1]["status"] == "degraded")
            assert asked(web, "/sessions")[1][0]["status"] == "RUNNING"


@pytest.mark.slow
def test_a_node_that_is_down_degrades_the_source_and_one_that_is_back_clears_it(
    tmp_path: Path, rpc: RpcNode
) -> None:
    web = free_port()
    words = (f"--rpc={rpc.url}", "--grpc-address=:0", "--flight-address=:0", f"--health-port=:{web}")
    with closing(Started("source", "serve", *words, cwd=tmp_path)) as service:
        service.await_said("serving ledgers of synthetic")
        until(lambda: asked(web, "/ready")[0] == 200)
        rpc.faults = [status(503)] * 100_000
        until(lambda: asked(web, "/health")[1]["status"] == "degraded")
        until(lambda: asked(web, "/ready")[0] == 503, within=60)
        assert asked(web, "/health")[0] == 200
        rpc.faults = []
        until(lambda: asked(web, "/health")[1]["status"] == "healthy", within=60)
        until(lambda: asked(web, "/ready")[0] == 200)
        health = asked(web, "/health")[1]
        assert [one["message"] for one in health["components"].values() if one["message"]] == []


@pytest.mark.slow
def test_a_processor_that_is_down_degrades_the_consumer_and_one_that_is_back_clears_it(
    make_lake: MakeLake, tmp_path: Path, database: str
) -> None:
    web = free_port()
    flags = ("--start-ledger=100", "--end-ledger=139")
    with closing(Serving(make_lake(), tmp_path / "state", *flags)) as processor, ExitStack() as stack:
        words = (f"--flight-endpoint={processor.flight}", f"--database-url={database}")
        service = stack.enter_context(
            closing(Started("sink", "postgres", "serve", *words, f"--metrics-port=:{web}", cwd=tmp_path))
        )
        service.await_said("consuming contract_data")
        until(lambda: asked(web, "/health")[1]["status"] == "healthy")
        processor.kill()
        until(lambda: asked(web, "/health")[1]["status"] == "degraded")
        until(lambda: asked(web, "/ready")[0] == 503, within=60)
        processor.start()
        until(lambda: asked(web, "/health")[1]["status"] == "healthy", within=60)
        until(lambda: asked(web, "/ready")[0] == 200)
        assert asked(web, "/health")[1]["components"]["consumer"]["message"] == ""


@pytest.mark.parametrize("flag", ["--grpc-address", "--flight-address", "--health-port"])
@pytest.mark.parametrize("verb", ["source", "processor"])
def test_a_taken_port_is_named_by_its_flag(make_lake: MakeLake, tmp_path: Path, verb: str, flag: str) -> None:
    lake = make_lake()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = [one for one in ANYWHERE if not one.startswith(flag)]
        done = run(verb, "serve", "--source", lake, *free, f"{flag}=:{port}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: cannot listen on 127.0.0.1:{port} (Address already in use): choose another with {flag}, or"
        " stop what is there\n"
    )


def test_a_taken_port_is_named_by_the_variable_that_chose_it(make_lake: MakeLake, tmp_path: Path) -> None:
    lake = make_lake()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {"GRPC_ADDRESS": f":{taken.getsockname()[1]}"}
        done = run("source", "serve", "--source", lake, *ANYWHERE[1:], cwd=tmp_path, environ=environ)
    assert "choose another with GRPC_ADDRESS in the environment" in done.stderr


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda place: place.exists(), "does not exist: name a file, a folder or a glob"),
        (lambda place: place.mkdir(), "holds no ledger file: name a file, a folder or a glob of some"),
        (lambda place: place.write_text("hi\n"), "so it is damaged or holds no ledgers"),
    ],
)
def test_a_lake_that_cannot_be_read_is_a_sentence(
    tmp_path: Path, made: Callable[[Path], object], sentence: str
) -> None:
    made(tmp_path / "place")
    for verb in ("source", "processor"):
        done = run(verb, "serve", "--source", "./place", "--network=pubnet", *ANYWHERE, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
        assert sentence in done.stderr


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk without room."""
    place = tmp_path / "full"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only who may mount has a disk that is full")
    try:
        (place / "filling").write_bytes(b"x" * 16_384)
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)  # noqa: S607


def test_a_full_state_folder_is_a_sentence(make_lake: MakeLake, tmp_path: Path, full: Path) -> None:
    place = full / "state"
    done = run("processor", "serve", "--source", make_lake(), *ANYWHERE, "--state-dir", place, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: the state folder {place} cannot be written to (No space left on device): make room there, or"
        " choose another --state-dir\n"
    )


@pytest.mark.parametrize("words", [("--help",), ("up", "--services"), ("config", "show")])
def test_output_that_cannot_be_written_is_a_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as nowhere:
        done = subprocess.run(
            [*PROGRAM, *words], stdout=nowhere, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path
        )
    assert done.returncode == 1
    assert done.stderr == (
        "error: the output cannot be written (No space left on device):"
        " make room there, or choose another place\n"
    )


def test_a_log_that_cannot_be_written_stops_nothing(make_lake: MakeLake, tmp_path: Path) -> None:
    web = free_port()
    words = ("processor", "serve", f"--source={make_lake()}", *ANYWHERE[:2], f"--health-port=:{web}")
    with open("/dev/full", "w") as nowhere:
        process = subprocess.Popen([*PROGRAM, *words], cwd=tmp_path, stdout=nowhere, stderr=nowhere)
    try:
        until(lambda: answers(web))
        process.terminate()
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    try:
        return asked(port, "/ready")[0] == 200
    except OSError:
        return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_the_start_is_a_word(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and says nothing
        port = silent.getsockname()[1]
        words = ("processor", "serve", f"--source=grpc://127.0.0.1:{port}", "--network=pubnet", *ANYWHERE)
        with closing(Started(*words, cwd=tmp_path)) as service:
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                service.process.send_signal(number)
                assert service.process.wait(15) == code
        assert last_line(service.log.read_text()) == "error: interrupted"


def test_the_log_is_plain_on_a_terminal_and_json_elsewhere(make_lake: MakeLake, tmp_path: Path) -> None:
    words = [*PROGRAM, "source", "serve", f"--source={make_lake()}", *ANYWHERE]
    for is_terminal in (True, False):
        ours, theirs = os.openpty() if is_terminal else os.pipe()
        process = subprocess.Popen(words, cwd=tmp_path, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            line = os.read(ours, 4_096).decode().splitlines()[0]
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        if is_terminal:
            assert " INFO serving ledgers of synthetic from " in line
        else:
            assert json.loads(line)["level"] == "info"
