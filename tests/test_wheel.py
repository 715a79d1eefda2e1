"""The wheel in environments that have nothing else: without an extra, with each one, with all.

Every command works there, or says in one sentence which one extra brings all that it needs.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import pytest

import stellarrow
from fakes.rpc import RpcNode, serving
from stellarrow import extras

pytestmark = pytest.mark.slow

ROOT: Final = Path(stellarrow.__file__).parents[2]
BUILD_SECONDS: Final = 1_800.0
SECONDS: Final = 120.0  # for a command
UP: Final = re.compile(r"listen|serving ledgers|processing ledgers|gRPC ")
ADVICE: Final = re.compile(r"pip install 'stellarrow\[(\w+)\]'$", re.MULTILINE)
NOBODY: Final = "127.0.0.1:1"
PORTS: Final = "--grpc-address 127.0.0.1:0 --flight-address 127.0.0.1:0 --health-port 127.0.0.1:0"


@dataclass(frozen=True)
class Case:
    """A command line, the extras it takes, and the exit codes of one that has them."""

    line: str
    takes: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0,)
    serves: bool = False


CASES: Final = (
    Case("stellarrow --version"),
    Case("stellarrow --help"),
    Case("stellarrow demo"),
    Case("stellarrow synth --ledgers 20 --size 8KB --first 100 --out lake"),
    Case("stellarrow synth --ledgers 5 --size 8KB --out some.xdr.zst"),
    Case("stellarrow inspect some.xdr.zst"),
    Case("stellarrow contract token.wasm", codes=(1,)),
    Case("stellarrow completion bash"),
    Case("stellarrow config show"),
    Case("stellarrow dlq list"),
    Case("stellarrow doctor"),
    Case("stellarrow doctor lake --to parquet:out --to jsonl:out"),
    Case("stellarrow lake write lake --to lake2 --network synthetic"),
    Case("stellarrow lake check lake2"),
    Case("stellarrow lake write lake --to s3://bucket/lake", ("lake",), (1,)),
    Case("stellarrow lake check s3://bucket/lake", ("lake",), (1,)),
    Case("stellarrow extract lake --tables all --to parquet:out --to jsonl:lines --to csv:values"),
    Case("stellarrow extract lake --tables all --to parquet:out --dry-run"),
    Case("stellarrow extract lake --tables all --to parquet:out --verify"),
    Case(
        "stellarrow extract lake --tables ledgers --to parquet:few --where 'ledger_sequence > 105'", ("sql",)
    ),
    Case("stellarrow extract {http} --ledgers 100:109 --tables ledgers --to parquet:web", ("lake",)),
    Case("stellarrow extract --rpc {rpc} --ledgers 100:109 --tables ledgers --to parquet:node", ("rpc",)),
    Case(
        "stellarrow extract --rpc {rpc} --ledgers 100:109 --tables ledgers --to csv:s3://bucket/out",
        ("lake", "rpc"),
        (1,),
    ),
    Case("stellarrow extract lake --tables ledgers --to parquet:s3://bucket/out", ("lake",), (1,)),
    Case("stellarrow extract lake --tables ledgers --to postgres://me@{nobody}/x", ("postgres",), (1,)),
    Case(
        "stellarrow extract lake --tables ledgers --where 'ledger_sequence > 105'"
        " --to postgres://me@{nobody}/x --to csv:s3://bucket/x",
        ("postgres", "sql", "lake"),
        (1, 2),
    ),
    Case("stellarrow doctor grpc://{nobody}", ("grpc",), (1,)),
    Case("stellarrow doctor rpc+http://{nobody}", ("rpc",), (1,)),
    Case("stellarrow doctor s3://bucket/lake --to parquet:gs://bucket/x", ("lake",), (1,)),
    Case("stellarrow coverage parquet:out"),
    Case("stellarrow coverage parquet:out --verify"),
    Case("stellarrow coverage parquet:s3://bucket/out", ("lake",), (1,)),
    Case("stellarrow coverage postgres://me@{nobody}/x", ("postgres",), (1,)),
    Case("stellarrow extract lake --tables ledgers --to kafka://{nobody}", ("kafka",), (1,)),
    Case("stellarrow coverage kafka://{nobody}", ("kafka",), (1,)),
    Case("stellarrow extract lake --tables ledgers --to clickhouse://{nobody}", ("clickhouse",), (1,)),
    Case("stellarrow check clickhouse://{nobody}", ("clickhouse",), (1,)),
    Case("stellarrow check kafka://{nobody}", ("kafka",), (1,)),
    Case("stellarrow sql 'from ledgers' --data kafka://{nobody}", ("kafka", "sql"), (1,)),
    Case("stellarrow extract lake --tables ledgers --to nats://{nobody}", ("nats",), (1,)),
    Case("stellarrow coverage nats://{nobody}", ("nats",), (1,)),
    Case("stellarrow check out"),
    Case("stellarrow check jsonl:s3://bucket/lines", ("lake",), (1,)),
    Case("stellarrow compact parquet:out"),
    Case("stellarrow sql 'select count(*) from ledgers' --data out", ("sql",)),
    Case("stellarrow sql @"),
    Case("stellarrow tables"),
    Case("stellarrow schema ledgers --json"),
    Case("stellarrow sql @volume-by-asset --source {http} --ledgers 100:109", ("sql", "lake")),
    Case("stellarrow watch --once --at {nobody}", codes=(1,)),
    Case(f"stellarrow source serve --source lake --network synthetic {PORTS}", ("servers",), serves=True),
    Case(f"stellarrow source serve --rpc {{rpc}} {PORTS}", ("servers", "rpc"), serves=True),
    Case(f"stellarrow processor serve --source lake --network synthetic {PORTS}", ("servers",), serves=True),
    Case(
        f"stellarrow up --source lake --network synthetic --to parquet:up {PORTS}", ("servers",), serves=True
    ),
    Case(
        "stellarrow sink postgres serve --network synthetic --metrics-port 127.0.0.1:0"
        " --database-url postgres://me@{nobody}/x --max-retries 0",
        ("postgres", "servers"),
        (1,),
    ),
)


def environment(folder: Path, wheel: Path, extra: str, *others: str) -> Path:
    """Make an environment with the wheel alone, and return its folder of programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    named = f"{wheel}[{extra}]" if extra else str(wheel)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*map(str, pip), named, *others], check=True, timeout=BUILD_SECONDS)
    return folder / "bin"


@contextmanager
def lake_at(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *given: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/lake"
        server.shutdown()


@dataclass
class Done:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return self.out + self.err


def run(line: str, folder: Path, programs: Path, *, serves: bool = False) -> Done:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    env = {name: value for name, value in env.items() if not name.lower().endswith("_proxy")}
    env |= {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder), "AWS_ENDPOINT_URL": f"http://{NOBODY}"}
    env |= {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu-west-1"}
    env |= {"GOOGLE_BEARER_TOKEN": "x", "LOG_FORMAT": "console", "AWS_ALLOW_HTTP": "true"}
    out, err = folder / "out.txt", folder / "err.txt"
    with out.open("w") as stdout, err.open("w") as stderr:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {line}"],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        deadline = time.monotonic() + SECONDS
        while serves and process.poll() is None and time.monotonic() < deadline:
            if UP.search(out.read_text() + err.read_text()):
                process.send_signal(signal.SIGTERM)
                break
            time.sleep(0.1)
        try:
            process.wait(max(1.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return Done(process.returncode, out.read_text(), err.read_text())


def fault(case: Case, done: Done, has: set[str]) -> str:
    """Say what is wrong with a command's end where these modules are, empty where nothing is."""
    missing = {module for extra in case.takes for module in extras.EXTRAS[extra]} - has
    said = f"{case.line}: {done.code}\n{done.said[-2_000:]}"
    if any(word in done.said for word in ("Traceback", "ModuleNotFoundError", "flowctl needs")):
        return said
    if not missing:
        return "" if done.code in case.codes and "pip install" not in done.err else said
    if case.line.startswith("stellarrow doctor"):  # what is broken is its answer
        advice = ADVICE.findall(done.out)
        return "" if advice and all(missing & modules_of(one) for one in advice) else said
    advice = ADVICE.findall(done.err)
    is_sentence = done.code == 2 and "\n" not in done.err.strip() and len(advice) == 1
    return "" if is_sentence and missing <= modules_of(advice[0]) else said


def modules_of(extra: str) -> set[str]:
    if extra == extras.ALL:
        return {module for brought in extras.EXTRAS.values() for module in brought}
    return {*extras.EXTRAS[extra]} if extra else set()


@pytest.mark.parametrize("extra", ["", *extras.EXTRAS, extras.ALL])
def test_every_command_works_or_names_the_one_extra_it_lacks(
    extra: str, wheel: Path, tmp_path: Path, ledgers: Sequence[bytes]
) -> None:
    programs, folder = environment(tmp_path / "venv", wheel, extra), tmp_path / "work"
    folder.mkdir()
    (folder / "token.wasm").write_bytes(b"no code")
    has = modules_of(extra)
    faults = []
    with serving(RpcNode(ledgers)) as node, lake_at(folder) as http:
        for case in CASES:
            line = case.line.replace("{rpc}", node.url).replace("{http}", http).replace("{nobody}", NOBODY)
            done = run(line, folder, programs, serves=case.serves)
            if said := fault(case, done, has):
                faults.append(said)
            if case.line == "stellarrow demo":
                follow_advice(done, folder, programs, has)
            if case.line == "stellarrow doctor":
                assert all(name in done.out for name in extras.EXTRAS), done.out
    assert faults == [], "\n\n".join(faults)


def follow_advice(demo: Done, folder: Path, programs: Path, has: set[str]) -> None:
    """Type what the demo says to try next, as it stands."""
    lines = [line.strip() for line in demo.out.partition("Try next\n")[2].splitlines()]
    installs = next((at for at, line in enumerate(lines) if line.startswith("pip install")), len(lines))
    assert (installs < len(lines)) == ("duckdb" not in has)
    assert len(lines) >= 5
    for line in lines[:installs]:
        done = run(line, folder, programs)
        assert (done.code, done.err) == (0, ""), f"{line}\n{done.said}"


def test_the_wheel_has_types_messages_queries_and_ledgers(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    for name in ("py.typed", "_core.pyi", "proto/control_service_pb2.py", "proto/control_service_pb2.pyi"):
        assert f"stellarrow/{name}" in held
    for folder in ("stellarrow/data/queries/", "stellarrow/data/ledgers/"):
        assert any(name.startswith(folder) for name in held)


def test_mypy_accepts_the_snippets_of_the_readme_under_strict(wheel: Path, tmp_path: Path) -> None:
    programs = environment(tmp_path / "venv", wheel, "", "mypy")
    snippets = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert snippets
    for number, snippet in enumerate(snippets):
        (tmp_path / f"snippet_{number}.py").write_text(snippet)
    words = [str(programs / "mypy"), "--strict", "--cache-dir", str(tmp_path / "cache")]
    files = sorted(map(str, tmp_path.glob("snippet_*.py")))
    done = subprocess.run(
        [*words, *files], capture_output=True, text=True, check=False, cwd=tmp_path, timeout=SECONDS
    )
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
