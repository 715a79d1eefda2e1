"""Ledgers that cannot be kept: stopped at, or quarantined."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from memory import MemorySink, MemorySource
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.parquet import ParquetSink
from stellarrow.sources.files import FileSource


class PickySink(MemorySink):
    """Refuse some ledgers for good, in write or only in commit."""

    def __init__(self, refused: set[int], *, late: bool = False) -> None:
        super().__init__()
        self.refused = refused
        self.late = late

    def write(self, batch: sa.LedgerBatch) -> None:
        if not self.late:
            self.check(batch)
        super().write(batch)

    def commit(self) -> None:
        waiting, self.pending = self.pending, []
        for batch in waiting:
            self.check(batch)
        self.pending = waiting
        super().commit()

    def check(self, batch: sa.LedgerBatch) -> None:
        if self.refused.intersection(range(batch.first, batch.last + 1)):
            self.pending = []
            raise sa.LedgersRefused("no such rows here")


@pytest.fixture
def letters(tmp_path: Path) -> sa.DeadLetters:
    return sa.DeadLetters(tmp_path / "dead")


@pytest.fixture
def numbered(ledgers: tuple[bytes, ...]) -> dict[int, bytes]:
    return dict(enumerate(ledgers, 100))


def run(source: sa.Source, *sinks: sa.Sink, **choices: object) -> sa.Report:
    kept = {"network": "synthetic", "workers": 2, **choices}
    return sa.run(source, tables=["ledgers"], sinks=sinks, **kept)  # type: ignore[arg-type]


def damaged(ledger: bytes) -> bytes:
    return ledger[:60] + b"\xff" + ledger[61:]


def test_a_bad_ledger_is_kept_and_the_rest_of_its_chunk_goes_on(
    numbered: dict[int, bytes], letters: sa.DeadLetters
) -> None:
    numbered[110] = damaged(numbered[110])
    sink = MemorySink()
    report = run(MemorySource(numbered, size=8), sink, dead_letters=letters)
    assert str(sink.coverage()) == str(report.ranges) == "100:109, 111:139"
    assert (str(report.quarantined), report.ledgers, report.stopped) == ("110", 39, False)
    (letter,) = letters.entries()
    assert (letter.ledger, letter.kind, letter.where, letter.tables) == (
        *(110, "DecodeError", "chunk 108"),
        ("ledgers",),
    )
    assert "v1.ledger_header.hash" in letter.message
    assert letters.chunk(letter).data.endswith(numbered[110])


def test_without_dead_letters_a_bad_ledger_stops_just_before_it(numbered: dict[int, bytes]) -> None:
    numbered[110] = damaged(numbered[110])
    sink = MemorySink()
    with pytest.raises(sa.DecodeError, match="ledger 110"):
        run(MemorySource(numbered, size=8), sink)
    assert str(sink.coverage()) == "100:109"


def test_the_gap_closes_when_the_ledger_becomes_good(
    numbered: dict[int, bytes], letters: sa.DeadLetters
) -> None:
    good, numbered[110] = numbered[110], damaged(numbered[110])
    sink = MemorySink()
    for _ in range(2):
        assert str(run(MemorySource(numbered), sink, dead_letters=letters).quarantined) == "110"
    assert len(letters.entries()) == 1
    numbered[110] = good
    assert str(run(MemorySource(numbered), sink, dead_letters=letters).ranges) == "110"
    assert sorted(sink.rows) == list(range(100, 140))


def test_a_broken_chain_and_another_network_always_stop(
    numbered: dict[int, bytes], letters: sa.DeadLetters
) -> None:
    with pytest.raises(sa.NetworkMismatch):
        run(MemorySource(numbered), MemorySink(), dead_letters=letters, network="pubnet")
    numbered[110] = next(synthetic(20, seed=9, first=110, ledger_bytes=4_096))
    sink = MemorySink()
    with pytest.raises(sa.ChainBroken):
        run(MemorySource(numbered, size=8), sink, dead_letters=letters)
    assert (letters.entries(), sink.rows) == ([], [])


@pytest.mark.parametrize("late", [False, True])
def test_a_ledger_a_sink_refuses_is_kept_and_the_others_are_not(
    numbered: dict[int, bytes], letters: sa.DeadLetters, late: bool
) -> None:
    picky, easy = PickySink({105, 117}, late=late), MemorySink()
    report = run(MemorySource(numbered, size=8), picky, easy, dead_letters=letters)
    assert str(picky.coverage()) == "100:104, 106:116, 118:139"
    assert str(report.quarantined) == "105, 117"
    assert [letter.ledger for letter in letters.entries()] == [105, 117]
    assert {letter.kind for letter in letters.entries()} == {"LedgersRefused"}
    assert report.ledgers == 38


@pytest.mark.parametrize("late", [False, True])
def test_without_dead_letters_a_refused_ledger_stops_just_before_it(
    numbered: dict[int, bytes], late: bool
) -> None:
    sink = PickySink({117}, late=late)
    with pytest.raises(sa.LedgersRefused):
        run(MemorySource(numbered, size=8), sink)
    assert str(sink.coverage()) == "100:116"


def test_dead_letters_that_cannot_be_kept_stop_the_run(numbered: dict[int, bytes], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    numbered[110] = damaged(numbered[110])
    with pytest.raises(sa.SinkError, match="dead letters cannot be kept"):
        run(MemorySource(numbered), MemorySink(), dead_letters=sa.DeadLetters(tmp_path / "file" / "dead"))


def test_a_poison_ledger_among_ten_thousand(tmp_path: Path, letters: sa.DeadLetters) -> None:
    made = list(islice(synthetic(20, first=2, ledger_bytes=4_096), 10_000))
    made[5_000] = damaged(made[5_000])
    (tmp_path / "ledgers.xdr").write_bytes(frame(made, "record-marked"))
    source = FileSource(tmp_path / "ledgers.xdr")
    stopped = ParquetSink(tmp_path / "stopped", ["ledgers"], network="synthetic")
    with pytest.raises(sa.DecodeError, match="ledger 5002"):
        run(source, stopped)
    stopped.close()
    again = ParquetSink(tmp_path / "stopped", ["ledgers"], network="synthetic")
    assert str(again.coverage()) == "2:5001"
    report = run(source, again, dead_letters=letters)
    assert (str(again.coverage()), report.skipped) == ("2:5001, 5003:10001", 5_000)
    again.close()
    kept = pq.read_table(tmp_path / "stopped" / "ledgers").column("ledger_sequence").to_pylist()
    assert sorted(kept) == [*range(2, 5_002), *range(5_003, 10_002)]
