"""What sessions keep, pushed to a server that comes, goes and forgets: there, each ledger once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.process import free_port
from stellarrow.core.framing import frame
from stellarrow.errors import SinkUnavailable
from stellarrow.forwarding.forwarder import Forwarder, whole_ledgers
from stellarrow.forwarding.positions import Positions
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.processor.reads.batching import Sent
from stellarrow.processor.reads.cursor import Place
from stellarrow.receiving.intake import Intake
from stellarrow.servers.receiving import ReceivingServer
from stellarrow.sources.files import FileSource
from stellarrow.spool.retention import Retention
from stellarrow.spool.spool import Spool

NETWORK = sa.Network.of("synthetic")
TABLES = ("token_transfers", "contract_data@1.0", "contract_data@2.0")


def until(there: Callable[[], bool], *, within: float = 60.0) -> None:
    deadline = time.monotonic() + within
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Receiver:
    """A server that takes tables into spools; it may be stopped, started again, and robbed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.taken: list[tuple[str, int, int]] = []
        self.fails = 0
        self._server: ReceivingServer | None = None

    @property
    def url(self) -> str:
        return f"flight://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._intakes = {
            name: Intake(
                name,
                lambda network, name=name: [self._sink(name, network)],  # type: ignore[misc]
                taken=lambda pushed, name=name: self.taken.append((name, pushed.first, pushed.last)),  # type: ignore[misc]
            )
            for name in TABLES
        }
        self._server = ReceivingServer(Address("127.0.0.1", self.port), self._intakes, interval=0.01)

    def _sink(self, name: str, network: sa.Network) -> sa.Sink:
        if self.fails:
            self.fails -= 1
            raise SinkUnavailable("the disk is away: mount it")
        return Spool(self._folder / name, [name], network=network)

    def stop(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for intake in self._intakes.values():
            intake.close()

    def rows(self, name: str) -> list[dict[str, Any]]:
        if not (self._folder / name).exists():
            return []
        with closing(Spool(self._folder / name, [name], network=NETWORK)) as spool:
            return [row for piece in spool.read(name, after=0) for row in piece.rows.to_pylist()]

    def last(self, name: str = TABLES[0]) -> int:
        try:
            covered = self._intakes[name].covered()
        except SinkUnavailable:
            return 0
        return covered.last if covered else 0

    def has(self, last: int) -> bool:
        return all(self.last(name) >= last for name in TABLES)


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    receiver = Receiver(tmp_path / "received")
    receiver.start()
    yield receiver
    receiver.stop()


Start = Callable[..., tuple[Processor, Forwarder]]
Expected = dict[str, list[dict[str, Any]]]


@pytest.fixture
def start(tmp_path: Path, make_lake: Callable[..., Path], receiver: Receiver) -> Iterator[Start]:
    """Start a processor over the forty ledgers that pushes; each call on the same state."""
    lake = make_lake()
    with ExitStack() as stack:

        def make(source: Path = lake, **options: Any) -> tuple[Processor, Forwarder]:
            chosen = {"tables": TABLES, "state_dir": tmp_path / "state", "batch_size": 5, **options}
            processor = stack.enter_context(closing(Processor(lambda: FileSource(source), Options(**chosen))))
            forwarder = stack.enter_context(closing(Forwarder(processor, receiver.url)))
            processor.resume()
            forwarder.start()
            return processor, forwarder

        yield make


@pytest.fixture(scope="module")
def expected(ledgers: tuple[bytes, ...]) -> dict[str, list[dict[str, Any]]]:
    made = sa.decode(frame(ledgers, "record-marked"), TABLES, network=NETWORK)
    return {name: made[name].to_pylist() for name in TABLES}


def test_every_table_arrives_whole_and_once(start: Start, receiver: Receiver, expected: Expected) -> None:
    processor, _ = start()
    processor.start(100, 139)
    until(lambda: receiver.has(139))
    receiver.stop()
    assert {name: receiver.rows(name) for name in TABLES} == expected


def test_a_receiver_that_comes_later_goes_and_fails_lacks_nothing(
    start: Start, receiver: Receiver, expected: Expected
) -> None:
    receiver.stop()
    processor, forwarder = start()
    processor.start(100, 119)
    until(lambda: "does not take what is pushed" in forwarder.check().message)
    receiver.fails = 5
    receiver.start()
    until(lambda: receiver.has(119))
    receiver.stop()
    receiver.start()
    processor.start(110, 139)
    until(lambda: receiver.has(139))
    until(lambda: forwarder.check().healthy)
    receiver.stop()
    assert {name: receiver.rows(name) for name in TABLES} == expected
    assert len({*receiver.taken}) == len(receiver.taken)  # what it had, it did not take again


def test_a_receiver_that_lost_everything_is_given_everything(
    start: Start, receiver: Receiver, expected: Expected, tmp_path: Path
) -> None:
    processor, _ = start()
    processor.start(100, 119)
    until(lambda: receiver.has(119))
    receiver.stop()
    (tmp_path / "received").rename(tmp_path / "lost")
    receiver.start()
    processor.start(100, 139)
    until(lambda: receiver.has(139))
    receiver.stop()
    assert {name: receiver.rows(name) for name in TABLES} == expected


def test_a_processor_that_starts_again_goes_on_where_it_was(
    start: Start, receiver: Receiver, expected: Expected
) -> None:
    processor, forwarder = start()
    processor.start(100, 119)
    until(lambda: receiver.has(119))
    forwarder.close()
    processor.close()
    again, _ = start()
    again.start(110, 139)
    until(lambda: receiver.has(139))
    receiver.stop()
    assert {name: receiver.rows(name) for name in TABLES} == expected
    assert len({*receiver.taken}) == len(receiver.taken)


def test_a_ledger_that_was_left_out_stays_out_and_stops_nothing(
    start: Start,
    receiver: Receiver,
    expected: Expected,
    make_lake: Any,
    tmp_path: Path,
) -> None:
    lake = make_lake(name="damaged")
    for path in lake.rglob("*105.xdr*"):
        path.write_bytes(path.read_bytes()[:60])
    processor, _ = start(lake, dead_letters=tmp_path / "letters")
    processor.start(100, 139)
    until(lambda: receiver.has(139))
    receiver.stop()
    for name in TABLES:
        assert receiver.rows(name) == [row for row in expected[name] if row["ledger_sequence"] != 105]


def test_what_is_not_acknowledged_is_kept_however_little_room_there_is(
    start: Start, receiver: Receiver, expected: Expected
) -> None:
    receiver.stop()
    processor, forwarder = start(retention=Retention(size_bytes=40_000))
    session = processor.start(100, 139)
    until(lambda: (spool := processor.work(session.id).spool) is not None and spool.is_full)
    assert processor.work(session.id).session.current < 139
    assert forwarder.tables[0].behind > 0
    receiver.start()
    until(lambda: receiver.has(139))
    receiver.stop()
    assert {name: receiver.rows(name) for name in TABLES} == expected


def test_parts_of_a_ledger_are_joined() -> None:
    rows = pa.record_batch({"ledger_sequence": pa.array([5, 5, 6], pa.uint32())})
    place = Place(6)
    parts = [
        Sent(rows[:1], 4, 5, False, place),
        Sent(rows[1:2], 5, 5, True, place),
        Sent(rows[2:], 6, 6, True, place),
    ]
    whole = list(whole_ledgers((part, "") for part in parts))
    assert [(one.first, one.last, one.rows.num_rows) for one in whole] == [(4, 5, 2), (6, 6, 1)]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 5}', '{"a": {"b": {"c": "d"}}}'])
def test_positions_that_are_damaged_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "forwarded.json").write_text(content)
    positions = Positions(tmp_path / "forwarded.json", "flight://a:1")
    assert positions.get("t", "s") is None
    positions.set("t", "s", 7)
    positions.save()
    assert Positions(tmp_path / "forwarded.json", "flight://a:1").get("t", "s") == 7
    assert Positions(tmp_path / "forwarded.json", "flight://b:1").get("t", "s") is None
