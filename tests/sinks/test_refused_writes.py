"""A folder that refuses to be written: people are told of that, whatever clean-up meets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.ledgers import Network
from stellarrow.pipeline.dead_letters import DeadLetters
from stellarrow.registry import SinkOptions, open_sink

TABLES = ("contract_data", "contract_events")
SINKS = ("parquet:{}", "jsonl:{}?codec=zstd", "csv:{}", "parquet:{}?partition=contract_id")
NOBODY = 65_534

# Run by another user: root may write everywhere.
UNPRIVILEGED = """
import os, sys
import stellarrow as sa
from stellarrow.core.framing import frame; from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network
from stellarrow.registry import SinkOptions, open_sink
from itertools import islice
place, folder, user = sys.argv[1], sys.argv[2], int(sys.argv[3])
import stellarrow.storage.local_files, fcntl, secrets, shutil, encodings.idna
import pyarrow.parquet, pyarrow.csv, pyarrow.json, pyarrow.compute
if os.geteuid() == 0:
    os.chown(os.path.dirname(folder), user, user)
    os.setuid(user)
ledgers = tuple(islice(synthetic(20, first=100, ledger_bytes=4_096), 20))
tables = ("contract_data", "contract_events")
decoder = sa.Decoder(tables, network="synthetic")
def batch(first, last):
    data = frame(ledgers[first - 100 : last - 99], "record-marked")
    return decoder(sa.LedgerChunk(data, "record-marked", first, last, "memory"))
sink = open_sink(place, tables, SinkOptions(network=Network.of("synthetic")))
sink.write(batch(100, 109))
sink.commit()
sink.write(batch(110, 119))
for where, _, names in os.walk(folder):
    os.chmod(where, 0o500)
try:
    sink.commit()
    sink.close()
except sa.SinkError as error:
    print(error)
finally:
    try:
        sink.close()
    finally:
        for where, _, names in os.walk(folder):
            os.chmod(where, 0o700)
"""


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 KB."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(made, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here: run the tests as root to try full disks")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607


def batch(ledgers: tuple[bytes, ...], first: int, last: int) -> sa.LedgerBatch:
    data = frame(ledgers[first - 100 : last - 99], "record-marked")
    decoder = sa.Decoder(TABLES, network="synthetic")
    return decoder(sa.LedgerChunk(data, "record-marked", first, last, "memory"))


@pytest.mark.parametrize("sink", SINKS)
def test_a_full_disk_is_named_with_what_to_do(
    full_disk: Path, ledgers: tuple[bytes, ...], sink: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stellarrow.storage.local_files._BUFFER", 1)  # so that the disk refuses at once
    place = sink.format(full_disk / "out")
    with pytest.raises(sa.SinkError, match=r"No space left on device.*make room") as refused:
        fill(place, ledgers)
    assert str(full_disk) in str(refused.value)


def fill(place: str, ledgers: tuple[bytes, ...]) -> None:
    opened = open_sink(place, TABLES, SinkOptions(network=Network.of("synthetic")))
    try:
        for first in range(100, 140, 10):
            opened.write(batch(ledgers, first, first + 9))
            opened.commit()
    finally:
        opened.close()


def test_dead_letters_on_a_full_disk_name_it_with_what_to_do(full_disk: Path) -> None:
    with pytest.raises(sa.SinkError, match=r"No space left on device.*make room"):
        DeadLetters(full_disk / "dead").put(bytes(100_000), "bare", 100, ValueError("bad"), "memory")
    assert not [*(full_disk / "dead").iterdir()]


@pytest.mark.parametrize("sink", SINKS)
def test_permission_lost_in_the_middle_is_one_sentence(sink: str) -> None:
    # Not below tmp_path: pytest closes the folders above it to every other user.
    with TemporaryDirectory() as home:
        Path(home).chmod(0o711)
        folder = Path(home) / "own" / "out"
        folder.parent.mkdir()
        argv = [sys.executable, "-c", UNPRIVILEGED, sink.format(folder), str(folder), str(NOBODY)]
        done = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)
    assert done.stderr == "", done.stderr
    assert "Permission denied" in done.stdout
    assert str(folder) in done.stdout
    assert "then run the same again" in done.stdout
    assert done.stdout.count("\n") == 1
