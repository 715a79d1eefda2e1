"""What a spool keeps, for how long, and for whom its writer waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.errors import LedgerMissing, Stopped
from stellarrow.spool.retention import Retention
from stellarrow.spool.spool import Piece, Spool

from .conftest import Opener, bring, expected, rows


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
    assert ledgers(spool) == str(spool.kept) == "41:61"
    spool.register("looking", after=58)
    now[0] += 3_600
    spool.trim()
    assert ledgers(spool) == str(spool.kept) == "59:61"
    spool.forget("looking")
    spool.trim()
    assert list(tmp_path.iterdir()) == [tmp_path / "spool.json"]
    assert not spool.kept
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
