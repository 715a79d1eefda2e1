"""Readers that are gone without a word, or there without taking anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest
from pyarrow import ArrowKeyError, flight

import stellarrow as sa
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.processor.session import Status
from stellarrow.sources.files import FileSource
from stellarrow.spool.retention import Retention

from .conftest import Start
from .test_sessions import message, until

_ESTABLISHED, _KEEPALIVE = "01", "02"  # proc_net_tcp(5)
_ALONE = ("unshare", "--user", "--map-root-user", "--net")


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of more events than fit between a server and a client that takes none."""
    folder = tmp_path_factory.mktemp("heavy")
    made = islice(synthetic(50, first=100, ledger_bytes=400_000), 100)
    write_lake(folder, made, first=100, network=sa.Network.of("synthetic"))
    return folder


def timers(port: int) -> set[str]:
    """Return which timers run on the server's side of the connections to a port."""
    held = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/self/net", table).read_text().splitlines()[1:]:
            _, local, _, state, _, timer, *_ = line.split()
            if state == _ESTABLISHED and int(local.rpartition(":")[2], 16) == port:
                held.add(timer.partition(":")[0])
    return held


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="/proc/self/net/tcp is Linux's")
@pytest.mark.parametrize("name", ["flight", "grpc"])
def test_the_system_asks_silent_peers_whether_they_are_there(start: Start, name: str) -> None:
    service = start()
    service.control("ConfigureFilters", include_deleted=True)
    service.tables.info(table="ledgers")
    port = (service.flight.address if name == "flight" else service.grpc.address).port
    until(lambda: timers(port) == {_KEEPALIVE})


@pytest.mark.slow
def test_a_reader_whose_host_is_gone_is_let_go_of(tmp_path: Path, heavy: Path) -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("a network of its own needs unshare (util-linux) and ip (iproute2)")
    if (tried := subprocess.run([*_ALONE, "true"], capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no network of its own may be made here: {tried.stderr.strip()}")
    script = Path(__file__).with_name("pulled.py")
    done = subprocess.run(
        [*_ALONE, sys.executable, script, heavy, tmp_path / "state"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("patience", [None, 0.5])
def test_a_full_spool_waits_for_a_reader_that_takes_nothing_for_ever_unless_told(
    start: Start, heavy: Path, patience: float | None
) -> None:
    service = start(
        lambda: FileSource(heavy),
        tables=("contract_events",),
        retention=Retention(size_bytes=10_000_000, patience=patience),
    )
    session = service.processor.start(100).id
    work = service.processor.work(session)
    until(lambda: work.spool)
    assert work.spool
    work.spool._segment_bytes = 1_000_000  # many segments, so that some can go
    with closing(flight.connect(f"grpc://{service.flight.address}")) as client:
        stream = client.do_get(flight.Ticket(b'{"table": "contract_events"}'))
        stream.read_chunk()
        if patience is None:
            until(lambda: message(service, session))
            answer = message(service, session)
            assert answer.startswith("paused: the spool is full of what 1 reader has not taken yet")
            assert "contract_events@1.0" in answer  # who it is
            service.processor.stop(session)
            assert service.finished(session) is Status.STOPPED
            assert stream.read_all().num_rows > 0
            return
        assert service.finished(session) is Status.STOPPED
        with pytest.raises(ArrowKeyError, match=r"ledger \d+ (was removed|any more)"):
            stream.read_all()
