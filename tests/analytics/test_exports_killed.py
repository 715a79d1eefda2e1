"""An export goes on where it was, after a kill at any moment."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

import stellarrow as sa
from analytics.conftest import FIRST, Serve
from fakes.process import free_port
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic

SECONDS = 120.0
SERVING = """
import sys, time
from stellarrow.cli import main
from stellarrow.servers.analytics_exports import parts
parts.MOST_ROWS = 50
whole = parts.next_file
def slow(*given):
    made = whole(*given)
    time.sleep(DELAY)
    return made
parts.next_file = slow
sys.argv = ["stellarrow", "analytics", "serve", *sys.argv[1:]]
main()
"""


@pytest.fixture(scope="module")
def long_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty ledgers in a row, extracted."""
    folder = tmp_path_factory.mktemp("long")
    ledgers = [*islice(synthetic(5, first=FIRST, ledger_bytes=6_000), 60)]
    (folder / "ledgers.xdr").write_bytes(frame(ledgers, "record-marked"))
    tables = ("ledgers", "token_transfers")
    sa.run(str(folder / "ledgers.xdr"), tables=tables, sinks=f"parquet:{folder}/data", network="synthetic")
    return folder / "data"


class Server:
    """The service as a process, which writes a file of an export at a time, and then waits."""

    def __init__(self, data: Path, state: Path) -> None:
        self.port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self._flags = [f"--data={data}", f"--rest-port=:{self.port}", f"--state-dir={state}"]
        self._flags += ["--websocket-port=:0", "--flight-address=:0", "--health-port=:0"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, delay: float) -> None:
        program = SERVING.replace("DELAY", str(delay))
        self._process = subprocess.Popen([sys.executable, "-c", program, *self._flags])
        self.wait(lambda: self.answer("/v1/status"))

    def answer(self, path: str) -> Any:
        try:
            answer = self.client.get(path)
        except httpx.TransportError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def wait(self, reached: Callable[[], Any]) -> None:
        deadline = time.monotonic() + SECONDS
        while not reached():
            assert time.monotonic() < deadline
            assert self._process
            assert self._process.poll() is None
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        self.client.close()


@pytest.fixture
def server(long_data: Path, tmp_path: Path) -> Iterator[Server]:
    with closing(Server(long_data, tmp_path / "killed")) as made:
        yield made


@pytest.mark.slow
def test_an_export_goes_on_after_a_kill_in_its_middle(
    serve: Serve, server: Server, long_data: Path, tmp_path: Path
) -> None:
    server.start(delay=0.2)
    order = {"format": "ndjson", "table": "token_transfers"}
    path = f"/v1/exports/{server.client.post('/v1/exports', json=order).json()['id']}"
    server.wait(lambda: len(server.answer(path)["files"]) >= 3)
    server.kill()
    folder = tmp_path / "killed" / "exports" / path.rpartition("/")[2]
    (folder / ".token_transfers-0.ndjson.abc.tmp").write_bytes(b"left halfway")
    (folder / "token_transfers-9999999999.ndjson").write_bytes(b"whole, and not noted yet")
    before = json.loads((folder / "export.json").read_text())
    assert before["state"] in ("waiting", "running")
    server.start(delay=0.0)
    server.wait(lambda: server.answer(path)["state"] == "done")
    files = server.answer(path)["files"]
    count = len(before["files"])
    assert [one["sha256"] for one in files][:count] == [one["sha256"] for one in before["files"]]
    expected = serve(data=long_data).get("/v1/tables/token_transfers/rows", format="ndjson").content
    assert b"".join(server.client.get(one["path"]).content for one in files) == expected
    assert {one.name for one in folder.iterdir()} == {"export.json", *(one["name"] for one in files)}
