"""What floods a running processor survives: connections, sessions, filters, a disk that errs."""

from __future__ import annotations

import errno
import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from fakes.raw_ledgers import RawLedgers, serving
from stellarrow.spool import segment
from stellarrow.storage.os_errors import unreadable

from .conftest import Control, Endless, Start
from .serving import Serving
from .test_serve import fetched
from .test_sessions import until

FILES = 1_024  # descriptors, as many systems allow a process
HALF = b"GET /health HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process open more than what it asks of others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * FILES if hard == resource.RLIM_INFINITY else min(hard, 4 * FILES)
    if wanted < 3 * FILES:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


Limited = Callable[..., Serving]


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Limited]:
    """Start a processor that may open 1,024 files."""
    with ExitStack() as stack:

        def start(source: Path | str, *flags: str) -> Serving:
            service = stack.enter_context(closing(Serving(source, tmp_path / "state", *flags)))
            resource.prlimit(service._process.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
            return service

        yield start


def first_session(service: Serving) -> dict[str, Any]:
    session: dict[str, Any] = fetched(service, "/sessions")[0]
    return session


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
def test_a_running_session_outlives_1100_half_sent_requests(
    limited: Limited, ledgers: tuple[bytes, ...]
) -> None:
    chain = RawLedgers(ledgers[:5])
    with serving(chain) as port:
        service = limited(f"grpc://127.0.0.1:{port}", "--network=synthetic", "--start-ledger=100")
        until(lambda: first_session(service)["current"] == 104)
        web = service.addresses["health-port"]
        with ExitStack() as stack:
            began = time.monotonic()
            for _ in range(1_100):
                client = stack.enter_context(socket.create_connection((web.host, web.port), timeout=10))
                with suppress(ConnectionError):
                    client.sendall(HALF)
            for ledger in ledgers[5:]:
                chain.add(ledger)
            with closing(Control(service.addresses["grpc-address"])) as control:
                until(lambda: listed_status(control, service) == 139)
            assert time.monotonic() - began < 30
            until(lambda: answers(service))  # once the half-sent ones have had their ten seconds
        session = first_session(service)
    assert (session["status"], session["current"], session["message"]) == ("RUNNING", 139, "")
    log = service.log.read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) < 100


def listed_status(control: Control, service: Serving) -> int:
    """Return how far the one session is, asked by gRPC, as HTTP is flooded."""
    (folder,) = (service.state / "sessions").iterdir()
    ledger: int = control("GetStatus", session_id=folder.name).current_ledger
    return ledger


def answers(service: Serving) -> bool:
    try:
        return bool(fetched(service, "/health/live"))
    except OSError:
        return False


@pytest.mark.slow
def test_more_sessions_than_a_process_may_open_files_for_end_well(
    limited: Limited, make_lake: Callable[..., Path]
) -> None:
    service = limited(make_lake(), "--tables=ledgers,contract_events")
    with closing(Control(service.addresses["grpc-address"])) as control:
        for _ in range(230):
            session = control("StartProcessing", start_ledger=100, end_ledger=103).session_id
            until(lambda: control("GetStatus", session_id=session).status >= 4)  # noqa: B023
            assert control("GetStatus", session_id=session).current_ledger == 103
    kept = list((service.state / "sessions").iterdir())
    assert len(kept) <= 101  # the last hundred that ended, and the one that had just ended
    opened = [str(one.readlink()) for one in Path(f"/proc/{service._process.pid}/fd").iterdir()]
    assert [one for one in opened if "/sessions/" in one] == []


@pytest.mark.slow
def test_200000_codes_beside_100_ended_sessions_are_set_quickly_and_take_little(
    limited: Limited, make_lake: Callable[..., Path]
) -> None:
    service = limited(make_lake(), "--tables=ledgers,contract_events,token_transfers")
    with closing(Control(service.addresses["grpc-address"])) as control:
        for _ in range(100):
            session = control("StartProcessing", start_ledger=100, end_ledger=103).session_id
            until(lambda: control("GetStatus", session_id=session).status >= 4)  # noqa: B023
        before = resident_mb(service)
        began = time.monotonic()
        control("ConfigureFilters", asset_codes=[f"A{at:06}" for at in range(200_000)])
        took = time.monotonic() - began
        assert control("StartProcessing", start_ledger=100, end_ledger=103).success
    assert took < 5
    assert resident_mb(service) - before < 300


def resident_mb(service: Serving) -> float:
    status = Path(f"/proc/{service._process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1_024


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.EIO])
def test_what_a_disk_or_a_system_refuses_for_a_while_ends_no_session(
    start: Start, endless: Endless, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("stellarrow.processor.session_worker._RETRY_SECONDS", 0.05)
    service = start(endless)
    endless.give(109)
    session = service.processor.start(100).id
    until(lambda: service.processor.work(session).session.current == 109)
    whole = segment.Segment.commit
    refusals = iter([True] * 3)

    def commit(self: segment.Segment, *given: Any, **named: Any) -> Any:
        if next(refusals, False):
            raise OSError(code, os.strerror(code))
        return whole(self, *given, **named)

    monkeypatch.setattr(segment.Segment, "commit", commit)
    endless.give(139)
    until(lambda: service.processor.work(session).session.current == 139)
    assert service.processor.work(session).session.status.name == "RUNNING"
    assert next(refusals, None) is None
    assert service.tables.read(table="ledgers", follow=False).rows[-1]["ledger_sequence"] == 139
    assert sa.LedgerSet.parse("100:139") == service.processor.work(session).spool.coverage()  # type: ignore[union-attr]


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EIO])
def test_a_source_that_cannot_be_opened_for_a_while_ends_no_new_session(
    start: Start, endless: Endless, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("stellarrow.processor.session_worker._RETRY_SECONDS", 0.05)
    refusals = iter([True] * 3)

    def opened() -> sa.Source:
        if next(refusals, False):
            raise unreadable(Path("lake"), OSError(code, os.strerror(code))) from OSError(code, "")
        return endless()

    service = start(opened)
    endless.give(139)
    session = service.processor.start(100, 139).id
    service.finished(session)
    assert service.processor.work(session).session.status.name == "STOPPED"


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("port", ["grpc-address", "flight-address"])
def test_a_session_goes_on_after_a_flood_of_connections_that_say_nothing(
    limited: Limited, ledgers: tuple[bytes, ...], port: str
) -> None:
    chain = RawLedgers(ledgers[:5])
    with serving(chain) as source:
        service = limited(f"grpc://127.0.0.1:{source}", "--network=synthetic", "--start-ledger=100")
        until(lambda: first_session(service)["current"] == 104)
        flooded = service.addresses[port]
        with ExitStack() as stack:
            for _ in range(1_100):
                with suppress(OSError):
                    client = socket.create_connection((flooded.host, flooded.port), timeout=1)
                    stack.enter_context(client)
            for ledger in ledgers[5:]:
                chain.add(ledger)
            time.sleep(5)
        until(lambda: answers(service))
        until(lambda: first_session(service)["current"] == 139)
        session = first_session(service)
    assert (session["status"], session["message"]) == ("RUNNING", "")
    log = service.log.read_text()
    assert "Traceback" not in log
    assert len(log.splitlines()) < 200
