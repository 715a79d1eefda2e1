"""What many clients, filters and ended sessions must not take from the others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pyarrow import flight

import stellarrow as sa
from stellarrow.processor.processor import Processor
from stellarrow.processor.reads.range_slots import RangeSlots
from stellarrow.processor.session import Status
from stellarrow.servers.processor_http import components
from stellarrow.sources.files import FileSource
from stellarrow.spool.retention import Retention

from .conftest import Endless, Start
from .test_sessions import until
from .test_vanished import heavy  # noqa: F401

OPEN_FILES = Path("/proc/self/fd")


def open_below(folder: Path) -> list[str]:
    links = (str(one.readlink()) for one in OPEN_FILES.iterdir() if one.is_symlink())
    return [link for link in links if link.startswith(f"{folder}/sessions/")]


@pytest.mark.skipif(not OPEN_FILES.exists(), reason="/proc/self/fd is Linux's")
def test_an_ended_session_keeps_no_file_open_and_can_be_read(start: Start) -> None:
    service = start()
    session = service.processor.start(100, 139).id
    service.finished(session)
    until(lambda: not open_below(service.processor.options.state_dir))
    assert service.tables.path("ledgers").num_rows == 40


def test_only_the_latest_of_those_that_ended_stay_while_it_runs(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.processor.ended._ENDED", 2)
    service = start()
    ended = []
    for _ in range(4):
        ended.append(service.processor.start(100, 103).id)
        service.finished(ended[-1])
    service.processor.start(100, 103)
    folder = service.processor.options.state_dir / "sessions"
    assert [(folder / one).exists() for one in ended] == [False, False, True, True]


def test_a_large_filter_is_made_once_and_ended_sessions_are_left_alone(
    start: Start, endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.processor.processor._AT_ONCE", 30)
    service = start(endless)
    endless.give(109)
    for _ in range(20):
        service.finished(service.processor.start(100, 103).id)
    running = [service.processor.start(100).id for _ in range(3)]
    until(lambda: all(service.processor.work(one).session.current == 109 for one in running))
    began = time.monotonic()
    service.control("ConfigureFilters", asset_codes=[f"A{at:06}" for at in range(200_000)])
    assert time.monotonic() - began < 5
    made = {id(service.processor.work(one)._decoder._next) for one in running}  # type: ignore[union-attr]
    assert len(made) == 1
    ended = [work for work in service.processor.works() if work.session.status is Status.STOPPED]
    assert not any(work._where.asset_codes or work._decoder for work in ended)


def health(processor: Processor, name: str) -> tuple[bool, str]:
    check = next(one for one in (part.check() for part in components(processor)) if one.name == name)
    return check.healthy, check.message


def test_readers_of_ranges_that_take_nothing_give_way_to_others(
    start: Start,
    heavy: Path,  # noqa: F811
) -> None:
    service = start(lambda: FileSource(heavy), retention=Retention(patience=0.5))
    ticket = flight.Ticket(b'{"table": "contract_events", "start_ledger": 100, "end_ledger": 199}')
    client = service.tables.client
    idle = [client.do_get(ticket) for _ in range(8)]
    resumes = [one.read_chunk().app_metadata for one in idle]
    until(lambda: len(service.processor.ranges.idle) == 8)
    is_well, message = health(service.processor, "ranges")
    assert not is_well
    assert "8 of 8 ranges are being decoded, of which 8 for readers that have taken nothing" in message
    began = time.monotonic()
    assert service.tables.read(table="ledgers", start_ledger=100, end_ledger=199).rows
    assert time.monotonic() - began < 20
    until(lambda: len(service.processor.ranges.held) < 8)
    lost = 0
    for one in idle:
        try:
            while True:
                one.read_chunk()
        except StopIteration:
            continue
        except flight.FlightUnavailableError as error:
            lost += 1
            assert "read on from the last resume" in str(error)  # noqa: PT017
    assert lost >= 1
    assert all(resumes)


def test_a_reader_that_takes_what_it_gets_keeps_its_slot() -> None:
    slots = RangeSlots(1, patience=0.01)
    with slots.slot("first", close=lambda: None, gives_up=lambda: True) as slot:
        with (
            pytest.raises(sa.Unavailable, match="1 ranges are being decoded"),
            slots.slot("second", close=lambda: None, gives_up=lambda: True),
        ):
            pass
        slot.took()
        assert slots.held == [slot]
