"""What the service refuses before it begins, and what it makes of what earlier starts left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import trustme

import stellarrow as sa
from fakes.control_plane import ControlPlane
from fakes.process import free_port
from stellarrow.config import Processor as Settings
from stellarrow.config import read
from stellarrow.processor.session import Status
from stellarrow.servers.processor_http import components
from stellarrow.services.all_in_one import _lacking
from stellarrow.services.processor import ProcessorService

from .conftest import Start
from .test_sessions import message, until

Begin = Callable[..., ProcessorService]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    with ExitStack() as stack:

        def start(**settings: Any) -> ProcessorService:
            given = {
                **dict.fromkeys(("grpc_address", "flight_address", "health_port"), ":0"),
                "source": str(tmp_path / "lake"),
                "state_dir": str(tmp_path / "state"),
                "network": "synthetic",
                **settings,
            }
            service = ProcessorService(read(Settings, given, environ={}, file=None))
            stack.enter_context(closing(service))
            service.start()
            return service

        yield start


def test_a_start_that_failed_for_its_source_is_made_up_for_by_the_next(
    begin: Begin, make_lake: Callable[..., Path]
) -> None:
    asked = {"start_ledger": "100", "end_ledger": "139"}
    with pytest.raises(sa.SourceUnavailable, match="lake does not exist: name a file"):
        begin(**asked)
    make_lake()
    for _ in range(2):
        service = begin(**asked)
        until(lambda: service.processor.works()[-1].session.status is Status.STOPPED)  # noqa: B023
        assert len(service.processor.works()) == 1
        assert list(_lacking(sa.LedgerSet.parse("100:139"), service)) == []
        service.close()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"filter_contract_ids": "nonsense"}, "contract_ids: .* is not a strkey"),
        ({"tables": ","}, "there is no table for sessions to keep"),
        ({"tables": "contract_dat"}, "did you mean 'contract_data'"),
        ({"source": "foo://x"}, "foo:// is no source of ledgers"),
        ({"start_ledger": "0", "end_ledger": "139"}, "--end-ledger is 139: give --start-ledger too"),
        ({"flowctl_heartbeat_interval": "0s"}, "flowctl-heartbeat-interval .* and more than 0"),
    ],
)
def test_what_no_session_could_work_with_is_refused_before_there_is_one(
    begin: Begin, tmp_path: Path, settings: dict[str, str], told: str
) -> None:
    with pytest.raises(sa.ConfigError, match=told):
        begin(**{"start_ledger": "100", **settings})
    assert not list(tmp_path.glob("state/sessions/*"))


def test_a_control_plane_is_told_where_the_service_really_listens(
    begin: Begin, tmp_path: Path, make_lake: Callable[..., Path]
) -> None:
    make_lake()
    files = {"tls_certificate": tmp_path / "certificate.pem", "tls_key": tmp_path / "key.pem"}
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(files["tls_certificate"])
    issued.private_key_pem.write_to_path(files["tls_key"])
    port = free_port()
    with closing(ControlPlane(port)) as plane:
        service = begin(
            flowctl_enabled="true",
            flowctl_endpoint=f"127.0.0.1:{port}",
            **{name: str(path) for name, path in files.items()},
        )
        until(lambda: plane.registered)
        (info,) = plane.registered
        assert info.health_endpoint == f"https://{service.http.address}/health"
        assert dict(info.metadata) == {
            "flight_endpoint": str(service.flight.address),
            "grpc_endpoint": str(service.grpc.address),
        }


def test_a_failure_of_an_earlier_start_degrades_no_more(start: Start) -> None:
    service = start()
    session = service.processor.start(7, 9).id
    assert service.finished(session) is Status.ERROR
    (health, *_) = (part.check() for part in components(service.processor))
    assert not health.healthy
    service.close()
    again = start()
    (health, *_) = (part.check() for part in components(again.processor))
    assert health.healthy
    assert "ledger 7" in message(again, session)


def test_of_many_sessions_that_ended_the_latest_keep_their_output(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.processor.ended._ENDED", 2)
    service = start()
    failed, *kept = (
        service.processor.start(*ends).id for ends in ((7, 9), (100, 109), (110, 119), (120, 124))
    )
    for session in (failed, *kept):
        service.finished(session)
    ended = sorted(kept, key=lambda one: service.processor.work(one).session.updated_at)
    begun = service.tables.read(table="ledgers")
    service.close()
    again = start()
    assert {work.session.id for work in again.processor.works()} == set(kept)
    assert again.processor.work(ended[0]).spool is None
    assert again.processor.work(ended[0]).session.counts.ledgers > 0
    assert all(again.processor.work(one).spool for one in ended[1:])
    assert again.tables.read(table="ledgers", **{"from": begun.resume}).rows == []  # type: ignore[arg-type]
    folder = again.processor.options.state_dir / "sessions"
    assert {path.name for path in folder.iterdir()} == set(ended[1:])
