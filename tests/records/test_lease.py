"""A lease has one holder, and who was paused past its time writes nothing more under it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stellarrow.records.in_folder import FolderRecords
from stellarrow.records.lease import Held, Lease, LeaseHeld, LeaseLost, Renewed
from stellarrow.records.opening import open_records

HOLDER = """
import sys
from stellarrow.records.lease import Lease
from stellarrow.records.opening import open_records
lease = Lease(open_records(sys.argv[1]), "work", seconds=0.5, holder="the paused one")
lease.take(stopped=lambda _: False)
for number in range(1_000_000):
    lease.write(str(number))
    print(lease.epoch, number, flush=True)
"""


def sleeping(seconds: float) -> bool:
    time.sleep(seconds)
    return False


@pytest.fixture
def holder(place: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, place], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.communicate()


def test_a_holder_that_was_paused_past_its_lease_writes_nothing_after_it_wakes(
    place: str, holder: subprocess.Popen[str]
) -> None:
    assert holder.stdout is not None
    written = [holder.stdout.readline() for _ in range(3)]
    assert written[0] == "1 0\n", holder.communicate()[1] if holder.poll() is not None else written
    os.kill(holder.pid, signal.SIGSTOP)
    with closing(open_records(place)) as records:
        lease = Lease(records, "work", seconds=0.5)
        before = lease.take(stopped=sleeping)
        lease.write("mine")
        os.kill(holder.pid, signal.SIGCONT)
        said, why = holder.communicate(timeout=60)
        held = Held.of(records.get("leases/work.json"), place)
    assert "LeaseLost" in why
    assert (held.holder, held.epoch, held.note) == (lease.holder, 2, "mine")
    # What it said it had written is what the next holder found, or the one write whose answer was under way.
    last = int((written + said.splitlines())[-1].split()[1])
    assert (before.holder, before.epoch) == ("the paused one", 1)
    assert int(before.note) - last in (0, 1)


def test_a_holder_that_is_alive_keeps_its_lease(tmp_path: Path) -> None:
    records = FolderRecords(tmp_path)
    first, second = (Lease(records, "work", seconds=1.0, holder=name) for name in ("first", "second"))
    first.take(stopped=sleeping)
    with Renewed(first), pytest.raises(LeaseHeld, match="first is at it just now"):
        second.take(stopped=sleeping)
    second.take(stopped=lambda _: pytest.fail("it was let go of"))
    assert (first.epoch, second.epoch) == (1, 2)


def test_who_lost_a_lease_is_told_at_the_next_write(tmp_path: Path) -> None:
    records = FolderRecords(tmp_path)
    first, second = (Lease(records, "work", seconds=0.05) for _ in range(2))
    first.take(stopped=sleeping)
    second.take(stopped=sleeping)
    for _ in range(2):
        with pytest.raises(LeaseLost):
            first.write()
    first.release()
    second.write("still mine")
    assert second.is_held or second.epoch == 2


def test_a_write_whose_answer_was_lost_is_known_as_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = FolderRecords(tmp_path)
    lease = Lease(records, "work")
    lease.take(stopped=sleeping)
    replace = records.replace

    def lost(key: str, data: bytes, *, of: str | None) -> str | None:
        replace(key, data, of=of)
        monkeypatch.setattr(records, "replace", replace)
        return None

    monkeypatch.setattr(records, "replace", lost)
    lease.write("landed")
    lease.write("again")
    assert Held.of(records.get("leases/work.json"), "").note == "again"
