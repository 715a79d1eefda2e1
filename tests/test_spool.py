from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stellarrow as sa
from sinks.contract import SinkContract
from stellarrow.errors import LedgerMissing, SchemaMismatch, SinkError, SinkUnavailable, Stopped
from stellarrow.segments import Entry
from stellarrow.spool import Piece, Retention, Spool

TABLES = ("ledgers", "contract_data")


class TestSpool(SinkContract):
    """The spool as a sink."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "spool"

    def open(self) -> Spool:
        return Spool(self.folder, self.tables, network="synthetic", segment_bytes=20_000)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return rows(self.open(), table)


def rows(spool: Spool, table: str = "contract_data", *, after: int = 0) -> list[dict[str, Any]]:
    return [row for piece in spool.read(table, after=after) for row in piece.rows.to_pylist()]


@pytest.fixture(scope="module")
def batches() -> list[sa.LedgerBatch]:
    """Ledgers 2 to 61, three a batch."""
    data = sa.synth(60, 20, ledger_bytes=10_000)
    decoder = sa.Decoder(TABLES, network="synthetic")
    return [decoder(sa.LedgerChunk(data, "auto", at, at + 2, "memory")) for at in range(2, 62, 3)]


Opener = Callable[..., Spool]


@pytest.fixture
def opened() -> Iterator[Opener]:
    with ExitStack() as stack:

        def make(folder: Path, **options: Any) -> Spool:
            spool = Spool(folder, TABLES, network="synthetic", segment_bytes=40_000, **options)
            return stack.enter_context(closing(spool))

        yield make


def bring(spool: Spool, batches: list[sa.LedgerBatch]) -> Spool:
    for batch in batches:
        spool.write(batch)
        spool.commit()
    return spool


def expected(batches: list[sa.LedgerBatch], *, after: int = 0, last: int = 10**9) -> list[dict[str, Any]]:
    kept = [row for batch in batches for row in batch.tables["contract_data"].to_pylist()]
    return [row for row in kept if after < row["ledger_sequence"] <= last]


def test_a_reader_begins_behind_any_ledger(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches)
    for after in (0, 2, 3, 31, 60, 61):
        assert rows(spool, after=after) == expected(batches, after=after)


def test_pieces_say_which_ledgers_they_hold_also_where_they_have_no_row(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    pieces = list(bring(opened(tmp_path), batches).read("contract_data", after=5))
    assert sa.LedgerSet(sa.LedgerRange(one.first, one.last) for one in pieces) == sa.LedgerSet.parse("6:61")
    assert all(two.first == one.last + 1 for one, two in pairwise(pieces))


def test_its_files_are_arrow_streams_that_anyone_reads(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    bring(opened(tmp_path), batches).close()
    read = [
        row
        for path in sorted(tmp_path.glob("*/contract_data.arrows"))
        for row in pa.ipc.open_stream(path.read_bytes()).read_all().to_pylist()
    ]
    assert read == expected(batches)


def test_what_is_not_committed_is_not_read(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = opened(tmp_path)
    spool.write(batches[0])
    assert rows(spool) == []
    spool.commit()
    assert rows(spool) == expected(batches[:1])


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_files_cut_anywhere_open_as_some_commit_left_them_and_can_be_completed(
    data: st.DataObject,
    opened: Opener,
    batches: list[sa.LedgerBatch],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    bring(opened(folder), batches).close()
    newest = max(path for path in folder.iterdir() if path.is_dir())
    path = data.draw(st.sampled_from(sorted(newest.iterdir())))
    os.truncate(path, data.draw(st.integers(0, path.stat().st_size)))
    spool = opened(folder)
    held = spool.coverage()
    assert rows(spool) == expected(batches, last=held.last)
    bring(spool, batches)
    assert (str(spool.coverage()), rows(spool)) == ("2:61", expected(batches))
    spool.close()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def stored(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_damaged_byte_is_an_error_not_a_row(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    bring(opened(tmp_path), batches).close()
    path = min(tmp_path.glob("*/contract_data.arrows"))
    flip(path, path.stat().st_size // 2)
    with pytest.raises(SinkError, match="is damaged at byte"):
        rows(opened(tmp_path))


ENTRY = Entry.size(len(TABLES))


@pytest.mark.parametrize(("segment", "byte"), [(0, 3), (0, 12), (0, 8 + ENTRY), (-2, -1), (-1, 3), (-1, 12)])
def test_a_damaged_index_is_told_with_file_and_byte_and_nothing_is_changed(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], segment: int, byte: int
) -> None:
    bring(opened(tmp_path), batches[:-1]).close()
    index = sorted(tmp_path.glob("*/index"))[segment]
    slots, rest = divmod(index.stat().st_size - 8, ENTRY)
    assert (slots > 1, rest) == (True, 0)
    flip(index, byte)
    before = stored(tmp_path)
    damaged = 0 if byte == 3 else 8 + (byte - 8) // ENTRY * ENTRY if byte > 0 else 8 + (slots - 1) * ENTRY
    with pytest.raises(SinkError, match=f"{index} is damaged at byte {damaged} "):
        opened(tmp_path)
    assert stored(tmp_path) == before


@pytest.mark.parametrize("name", ["index", "ledgers.arrows", "contract_data.arrows"])
@pytest.mark.parametrize("left", [0, 4, -1, None])
def test_an_older_segment_cut_short_is_told_and_nothing_is_changed(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], name: str, left: int | None
) -> None:
    bring(opened(tmp_path), batches).close()
    path = min(tmp_path.glob(f"*/{name}"))
    if left is None:
        path.unlink()
    else:
        os.truncate(path, left if left >= 0 else path.stat().st_size + left)
    before = stored(tmp_path)
    with pytest.raises(SinkError, match=f"{path} is damaged at byte"):
        opened(tmp_path)
    assert stored(tmp_path) == before


def test_rows_that_became_unreadable_while_it_was_open_are_told_with_the_file(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches)
    assert rows(spool) == expected(batches)
    path = min(tmp_path.glob("*/contract_data.arrows"))
    sound = path.read_bytes()
    path.write_bytes(b"\1" * len(sound))
    with pytest.raises(SinkError, match=f"{path} cannot be read"):
        rows(spool)
    os.truncate(path, 10)
    with pytest.raises(SinkError, match=f"{path} cannot be read"):
        rows(spool)


def test_reading_leaves_no_file_open_and_rows_outlive_their_file(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches)
    before = len(os.listdir("/proc/self/fd"))
    held = list(spool.read("contract_data", after=0))
    assert len(os.listdir("/proc/self/fd")) == before
    spool.close()
    shutil.rmtree(tmp_path)
    assert [row for piece in held for row in piece.rows.to_pylist()] == expected(batches)


def test_old_segments_go_but_their_ledgers_stay_covered(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path, retention=Retention(size_bytes=100_000)), batches)
    assert spool.size_bytes < 150_000
    spool.close()
    again = opened(tmp_path)
    assert str(again.coverage()) == "2:61"
    with pytest.raises(LedgerMissing, match="keeps nothing up to ledger"):
        rows(again)


def ledgers(spool: Spool) -> str:
    return str(sa.LedgerSet(sa.LedgerRange(one.first, one.last) for one in kept(spool)))


def kept(spool: Spool) -> list[Piece]:
    return list(spool.read("ledgers", after=spool.register("looking")))


def test_nothing_is_kept_that_is_older_than_the_age_and_an_eighth(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    now = [1_000.0]
    spool = opened(tmp_path, retention=Retention(age=60), clock=lambda: now[0])
    for batch in batches:  # three ledgers in ten seconds
        bring(spool, [batch])
        now[0] += 10
    assert ledgers(spool) == "41:61"
    spool.register("looking", after=58)
    now[0] += 3_600
    spool.trim()
    assert ledgers(spool) == "59:61"
    spool.forget("looking")
    spool.trim()
    assert list(tmp_path.iterdir()) == [tmp_path / "spool.json"]
    spool.close()
    again = opened(tmp_path)
    assert str(again.coverage()) == "2:61"
    with pytest.raises(LedgerMissing, match="keeps nothing up to ledger 61"):
        rows(again, after=30)


def test_a_spool_that_nobody_reads_never_waits(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    for size_bytes in (1, 50_000):  # less than a batch, less than a segment
        spool = opened(tmp_path / str(size_bytes), retention=Retention(size_bytes=size_bytes))
        writer = threading.Thread(target=bring, args=(spool, batches), daemon=True)
        writer.start()
        writer.join(20)
        assert not writer.is_alive()
        assert not spool.is_full
        assert spool.last == 61


class Revolving(threading.Condition):
    """Lets another in as soon as who has waited lets go."""

    def __init__(self, enter: Callable[[], object]) -> None:
        super().__init__()
        self._guests = [threading.Thread(target=enter)]
        self.waiter: threading.Thread | None = None

    def wait(self, timeout: float | None = None) -> bool:
        self.waiter = threading.current_thread()
        return super().wait(timeout)

    def __exit__(self, *args: Any) -> None:
        super().__exit__(*args)
        if self.waiter is threading.current_thread() and self._guests:
            self.waiter = None
            guest = self._guests.pop()
            guest.start()
            guest.join(0.05)


def test_a_reader_that_comes_as_another_makes_room_does_not_stop_the_writer(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = opened(tmp_path, retention=Retention(size_bytes=100_000))
    spool.register("first")
    spool._room = room = Revolving(lambda: spool.register("second"))
    failed: list[Exception] = []

    def write() -> None:
        try:
            bring(spool, batches)
        except Stopped as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    while not room.waiter:
        time.sleep(0.01)
    spool.register("first", after=61)
    while "second" not in spool.readers or not (room.waiter or failed):
        time.sleep(0.01)
    spool.forget("second")
    writer.join()
    assert not failed
    assert spool.last == 61


def test_whether_it_is_full_is_told_while_readers_come_and_go(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches)
    spool._retention = Retention(size_bytes=1)
    for at in range(1_000):
        spool.register(f"reader {at}", after=61)
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            spool.register("another", after=61)
            spool.forget("another")

    guest = threading.Thread(target=come_and_go)
    guest.start()
    try:
        assert not any(spool.is_full for _ in range(3_000))
    finally:
        over.set()
        guest.join()


def test_a_registered_reader_keeps_its_rows_and_makes_the_writer_wait(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    changed = threading.Condition()
    spool = opened(tmp_path, retention=Retention(size_bytes=100_000), changed=changed)
    spool.register("slow", after=1)
    written = threading.Event()

    def write() -> None:
        bring(spool, batches)
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert not written.wait(0.5)
    assert spool.is_full
    seen: list[dict[str, Any]] = []
    after = 1
    while after < 61:
        with changed:
            assert changed.wait_for(lambda: spool.last > after, 5)  # noqa: B023
        for piece in spool.read("contract_data", after=after):
            seen += piece.rows.to_pylist()
            after = piece.last
            spool.register("slow", after=after)
    writer.join()
    assert seen == expected(batches)


def test_with_patience_a_writer_waits_only_for_who_takes_something(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = opened(tmp_path, retention=Retention(size_bytes=100_000, patience=0.5))
    for reader in ("slow", "gone"):
        spool.register(reader, after=1)
    writer = threading.Thread(target=bring, args=(spool, batches))
    writer.start()
    after = 1
    while writer.is_alive():  # a ledger every now and then, far from what is written
        writer.join(0.1)
        after = min(after + 1, spool.last)
        spool.register("slow", after=after)
    assert "slow" in spool.readers
    assert "gone" not in spool.readers
    assert spool.size_bytes < 150_000
    with pytest.raises(LedgerMissing, match="keeps nothing up to ledger"):
        rows(spool, after=1)


def test_closing_ends_a_writer_that_waits(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = opened(tmp_path, retention=Retention(size_bytes=1))
    spool.register("never", after=1)
    threading.Timer(0.1, spool.close).start()
    with pytest.raises(Stopped):
        bring(spool, batches)


def test_another_network_is_refused(opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]) -> None:
    bring(opened(tmp_path), batches).close()
    with pytest.raises(SchemaMismatch, match="was written with network"):
        Spool(tmp_path, TABLES, network="pubnet")


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (b"", "is damaged"),
        (b"\xff", "is damaged"),
        (b"[]", "is damaged"),
        (b'{"gone": 7}', "is damaged"),
        (b'{"tables": []}', "is damaged"),
        (b'{"format": 2}', "is of another version"),
        (None, "is missing"),
    ],
)
def test_facts_that_cannot_be_read_are_told_and_nothing_is_changed(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], facts: bytes | None, why: str
) -> None:
    bring(opened(tmp_path), batches[:2]).close()
    path = tmp_path / "spool.json"
    if facts is None:
        path.unlink()
    else:
        path.write_bytes(facts)
    before = stored(tmp_path)
    with pytest.raises(SinkError, match=f"{path} {why}"):
        opened(tmp_path)
    assert stored(tmp_path) == before


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import stellarrow as sa
from stellarrow.segments import Entry
from stellarrow.spool import Spool
data = sa.synth(60, 20, ledger_bytes=10_000)
decoder = sa.Decoder(["contract_data"], network="synthetic")
spool = Spool(sys.argv[1], ["contract_data"], network="synthetic")
def bring(first, last):
    spool.write(decoder(sa.LedgerChunk(data, "auto", first, last, "memory")))
    spool.commit()
bring(2, 21)
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
try:
    bring(22, 61)
except sa.SinkUnavailable as error:
    print(error)
print(spool.coverage())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
bring(22, 61)
print(spool.coverage())
"""


def test_a_full_disk_loses_nothing_and_the_spool_goes_on_when_there_is_room(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "cannot be written" in told[0]
    assert told[1:] == ["2:21", "2:61"]


def test_a_disk_that_takes_nothing_more_loses_nothing_and_the_spool_goes_on_when_it_does(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = bring(opened(tmp_path), batches[:3])

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    for batch in batches[3:]:  # also where a segment ends
        with monkeypatch.context() as disk:
            for call in ("fdatasync", "truncate"):
                disk.setattr(os, call, refuse)
            with pytest.raises(SinkUnavailable, match="Read-only file system"):
                bring(spool, [batch])
        bring(spool, [batch])
    assert rows(spool) == expected(batches)
    spool.close()
    assert rows(opened(tmp_path)) == expected(batches)


WRITER = """
import sys
import stellarrow as sa
from stellarrow.segments import Entry
from stellarrow.spool import Spool
data = sa.synth(60, 20, ledger_bytes=10_000)
decoder = sa.Decoder(["ledgers", "contract_data"], network="synthetic")
spool = Spool(sys.argv[1], ["ledgers", "contract_data"], network="synthetic", segment_bytes=40_000)
print("ready", flush=True)
for at in range(2, 62, 3):
    spool.write(decoder(sa.LedgerChunk(data, "auto", at, at + 2, "memory")))
    spool.commit()
    print(at + 2, flush=True)
"""


@pytest.mark.parametrize("after", ["ready", "13", "40"])
def test_a_killed_writer_has_lost_nothing_it_committed(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], after: str
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout
    with writer:
        while writer.stdout.readline().strip() != after:
            pass
        writer.send_signal(signal.SIGKILL)
    spool = opened(tmp_path)
    held = spool.coverage().last if spool.coverage() else 1
    assert held >= (1 if after == "ready" else int(after))
    assert rows(spool) == expected(batches, last=held)
    bring(spool, batches)
    assert rows(spool) == expected(batches)


def test_what_was_left_out_is_never_asked_for_again_nor_read(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    spool = bring(opened(tmp_path), batches[:2])
    spool.leave_out(sa.LedgerRange(8, 10))
    bring(spool, batches[3:4])
    spool.close()
    again = bring(opened(tmp_path), batches[2:4])
    assert (str(again.coverage()), str(again.left_out)) == ("2:13", "8:10")
    pieces = [(piece.first, piece.last) for piece in again.read("ledgers", after=0)]
    assert pieces == [(2, 4), (5, 7), (11, 13)]
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["0000000002"]
