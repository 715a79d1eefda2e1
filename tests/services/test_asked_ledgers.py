"""START_LEDGER and END_LEDGER as dates: what they mean is asked of the source once, and kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

import stellarrow as sa
from stellarrow.config import Consumer, Processor, read
from stellarrow.services.asked_ledgers import asked_ledgers
from stellarrow.services.consumer import SinkService
from stellarrow.services.processor import ProcessorService
from stellarrow.sources.files import FileSource

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
