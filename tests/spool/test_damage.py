"""What a spool makes of damage, full disks and crashes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.errors import Damaged, SchemaMismatch, SinkError, SinkUnavailable
from stellarrow.spool.retention import Retention
from stellarrow.spool.segment import Entry
from stellarrow.spool.spool import Spool

from .conftest import TABLES, Opener, bring, expected, rows


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
    with pytest.raises(Damaged, match=f"{path} is damaged at byte"):
        rows(spool)
    path.write_bytes(sound)
    assert rows(spool) == expected(batches)
    flip(path, len(sound) // 2)
    with pytest.raises(Damaged, match=f"{path} is damaged at byte"):
        rows(spool)
    os.truncate(path, 10)
    with pytest.raises(Damaged, match=f"{path} is damaged at byte 10 "):
        rows(spool)


@pytest.mark.parametrize("name", ["index", "contract_data.arrows"])
@pytest.mark.parametrize("how", ["flip", "cut", "empty", "gone"])
def test_a_tail_that_was_committed_and_is_not_there_is_damage_and_nothing_is_changed(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], name: str, how: str
) -> None:
    bring(opened(tmp_path), batches[:-1]).close()
    path = max(tmp_path.glob(f"*/{name}"))
    size = path.stat().st_size
    if how == "flip":
        flip(path, size - 1)
    elif how == "gone":
        path.unlink()
    else:
        os.truncate(path, size - 1 if how == "cut" else 0)
    before = stored(tmp_path)
    with pytest.raises(Damaged, match=f"{path} is damaged at byte"):
        opened(tmp_path, committed=batches[-2].last)
    assert stored(tmp_path) == before


def test_a_segment_that_is_gone_is_told(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch]
) -> None:
    bring(opened(tmp_path), batches).close()
    for path in sorted(tmp_path.glob("0*")):
        aside = path.rename(tmp_path / "aside")
        with pytest.raises(Damaged, match=r"is missing|ends with ledger"):
            opened(tmp_path, committed=61)
        aside.rename(path)
    assert rows(opened(tmp_path, committed=61)) == expected(batches)


@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_no_flipped_bit_of_the_facts_changes_what_is_kept(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], stride: int
) -> None:
    spool = bring(opened(tmp_path, retention=Retention(size_bytes=250_000)), batches[:-1])
    spool.leave_out(sa.LedgerRange(59, 61))
    spool.close()
    path = tmp_path / "spool.json"
    sound, before = path.read_bytes(), stored(tmp_path)
    refused, flipped = 0, range(0, len(sound) * 8, stride)
    for bit in flipped:
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            opened(tmp_path, committed=58).close()
        except SinkError:
            refused += 1
        path.write_bytes(sound)
        assert stored(tmp_path) == before, bit
    assert refused >= len(flipped) - 8


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
        (b'{"tables": [], "network": "", "gone": [], "gohe": [], "format": 1}', "is damaged"),
        (b'{"sha256": "", "gone": [], "format": 2}', "is damaged"),
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
from stellarrow.spool.segment import Entry
from stellarrow.spool.spool import Spool
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
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "cannot be written" in answer[0]
    assert answer[1:] == ["2:21", "2:61"]


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
from stellarrow.spool.segment import Entry
from stellarrow.spool.spool import Spool
data = sa.synth(60, 20, ledger_bytes=10_000)
decoder = sa.Decoder(["ledgers", "contract_data"], network="synthetic")
spool = Spool(sys.argv[1], ["ledgers", "contract_data"], network="synthetic", segment_bytes=40_000)
print("ready", flush=True)
for at in range(2, 62, 3):
    spool.write(decoder(sa.LedgerChunk(data, "auto", at, at + 2, "memory")))
    if (at + 1) // 3 % int(sys.argv[2]) == 0:
        spool.commit()
        print(at + 2, flush=True)
"""


@pytest.mark.parametrize(("after", "at_once"), [("ready", 1), ("13", 1), ("40", 1), ("13", 4), ("37", 4)])
def test_a_killed_writer_has_lost_nothing_it_committed(
    opened: Opener, tmp_path: Path, batches: list[sa.LedgerBatch], after: str, at_once: int
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(at_once)], stdout=subprocess.PIPE, text=True
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
