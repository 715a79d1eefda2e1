"""START_LEDGER and END_LEDGER as dates: what they mean is asked of the source once, and kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import stellarrow as sa
from fakes.process import free_port
from stellarrow.config import Consumer, Processor, Source, read
from stellarrow.services.asked_ledgers import asked_ledgers
from stellarrow.services.consumer import SinkService
from stellarrow.services.processor import ProcessorService
from stellarrow.services.source import SourceService
from stellarrow.sources.files import FileSource
from stellarrow.telemetry.metrics import Metrics

DAY = "2023-11-14"  # all forty ledgers of the fixture closed on it, from 22:13:20 on, one each 5 s


def settings(state: Path, **given: str) -> Processor:
    doors = dict.fromkeys(("grpc_address", "flight_address", "health_port"), ":0")
    return read(Processor, {"state_dir": str(state), **doors, **given}, environ={})


@pytest.mark.parametrize(
    ("start", "end", "meant"),
    [
        (DAY, DAY, "100:139"),
        ("2023-11-14T22:14:00Z", "2023-11-14 22:14:59", "108:119"),
        ("2023-11-14T22:14:00Z", None, "108:"),
        ("108", "2023-11-14T22:14:59Z", "108:119"),
        ("2023-11-14T22:14:00Z", "119", "108:119"),
        ("108", "119", "108:119"),
        ("108", "0", "108:"),
    ],
)
def test_both_settings_take_dates(
    make_lake: Callable[..., Path], tmp_path: Path, start: str, end: str | None, meant: str
) -> None:
    chosen = settings(tmp_path, start_ledger=start, **({"end_ledger": end} if end else {}))
    with closing(FileSource(make_lake())) as source:
        assert str(asked_ledgers(chosen, lambda: closing(source))) == meant


def test_a_start_after_the_source_has_forgotten_its_oldest_ledgers_means_the_same(
    make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    chosen = settings(tmp_path, start_ledger=DAY)
    for first in (100, 120):
        lake = make_lake(first, 139, name=f"from-{first}")
        assert str(asked_ledgers(chosen, lambda: closing(FileSource(lake)))) == "100:"  # noqa: B023


def began(service: ProcessorService) -> list[str]:
    """Wait for sessions that begin by themselves, and return their ledgers."""
    deadline = time.monotonic() + 60
    while not (works := service.processor.works()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return [str(work.session.ledgers) for work in works]


def test_all_the_source_has_is_processed_and_another_start_goes_on_with_it(
    make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    chosen = settings(
        tmp_path / "state", source=str(make_lake()), follow_source="true", tables="token_transfers"
    )
    with closing(ProcessorService(chosen)) as service:
        service.start()
        assert began(service) == ["100:"]
        service.drain()
    (tmp_path / "state" / "sessions.sqlite3").unlink()
    later = settings(tmp_path / "state", source=str(make_lake(120, 139, name="later")), follow_source="true")
    with closing(ProcessorService(later)) as service:
        service.start()
        assert began(service) == ["100:"]  # what the source has forgotten since is asked for all the same
        service.drain()


def test_a_source_that_comes_later_is_waited_for(make_lake: Callable[..., Path], tmp_path: Path) -> None:
    port = free_port()
    chosen = settings(
        tmp_path, source_endpoint=f"flight://127.0.0.1:{port}", follow_source="true", network="synthetic"
    )
    with closing(ProcessorService(chosen)) as service:
        service.start()
        source = FileSource(make_lake())
        flags = {"flight_address": f":{port}", "start_ledger": "110"}
        serving = {"grpc_address": ":0", "health_port": ":0", "state_dir": str(tmp_path / "source"), **flags}
        told = read(Source, serving, environ={})
        with (
            closing(source),
            closing(SourceService(told, source, sa.Network.of("synthetic"), Metrics())) as one,
        ):
            one.start()
            assert began(service) == ["110:"]
            service.drain()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"start_ledger": "-1d"}, "a whole number from 0 to .*, or a date"),
        ({"start_ledger": "today"}, "or a date such as 2024-07-01"),
        ({"start_ledger": "2023-11-31"}, "or a date such as 2024-07-01"),
        ({"start_ledger": DAY, "end_ledger": "2023-11-13"}, "swap them"),
        ({"start_ledger": DAY, "end_ledger": "2999-01-01"}, "still to come: leave it out"),
    ],
)
def test_a_date_that_cannot_be_meant_is_refused_at_the_start(
    tmp_path: Path, given: dict[str, str], why: str
) -> None:
    with pytest.raises(sa.ConfigError, match=why):
        settings(tmp_path, **given)


def test_one_session_is_begun_for_a_date_however_often_the_service_starts(
    make_lake: Callable[..., Path], tmp_path: Path
) -> None:
    chosen = settings(tmp_path / "state", source=str(make_lake()), start_ledger=DAY, end_ledger=DAY)
    for _ in range(2):
        with closing(ProcessorService(chosen)) as service:
            service.start()
            (work,) = service.processor.works()
            work.join(20)
            assert (str(work.session.ledgers), work.session.current) == ("100:139", 139)


def test_a_consumer_of_a_processor_is_asked_by_number() -> None:
    given = {"network": "synthetic", "start_ledger": DAY}
    with pytest.raises(sa.ConfigError, match="Flight does not tell when ledgers closed"):
        SinkService(read(Consumer, given, environ={}), threading.Event())
