"""How long an extraction takes, foretold: of time that is known to the second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stellarrow.cli import dry_run
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.pipeline.loop import Report


class Ledgers:
    """A source that stores as many bytes of a ledger as `size` says."""

    def __init__(self, size: Callable[[int], int]) -> None:
        self.size = size

    def stored_bytes(self, ledgers: LedgerSet) -> int:
        return sum(self.size(one) for part in ledgers for one in range(part.first, part.end + 1))

    def available(self) -> LedgerSet:
        return LedgerSet()

    def network(self) -> Network | None:
        return None

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        raise NotImplementedError

    def close(self) -> None:
        """Hold nothing."""


class Clock:
    """Extracts in a time that is known: once a start, per file an opening, and per byte."""

    def __init__(self, source: Ledgers, *, start: float, opening: float, per_byte: float) -> None:
        self.source, self.start, self.opening, self.per_byte = source, start, opening, per_byte
        self.sizes: list[int] = []

    def seconds(self, ledgers: LedgerSet) -> float:
        files = -(-ledgers.count // 1_000)
        return self.opening * files + self.per_byte * self.source.stored_bytes(ledgers)

    def __call__(self, ledgers: LedgerSet) -> Report:
        seconds = self.seconds(ledgers) + (0 if self.sizes else self.start)
        self.sizes.append(ledgers.count)
        stored = self.source.stored_bytes(ledgers)
        empty = LedgerSet()
        rows = {"ledgers": ledgers.count}
        return Report(ledgers.count, 10 * stored, rows, seconds, 0, ledgers, empty, empty, False)


@pytest.mark.parametrize("count", [3, 16, 40, 300, 3_000, 1_000_000])
@pytest.mark.parametrize(
    ("start", "opening", "per_ledger"),
    [(0.0, 0.0, 0.001), (1.5, 0.0, 0.0001), (0.5, 0.4, 0.0005), (0.5, 0.05, 0.2), (3.0, 0.3, 0.00001)],
)
@pytest.mark.parametrize("growing", [False, True])
def test_the_time_is_foretold_within_a_factor_of_two(
    count: int, start: float, opening: float, per_ledger: float, growing: bool
) -> None:
    size = (lambda ledger: 100 + ledger // 100) if growing else (lambda ledger: 1_000)  # noqa: ARG005
    source = Ledgers(size)
    missing = LedgerSet([LedgerRange(5, 4 + count)])
    per_byte = per_ledger * count / source.stored_bytes(missing)
    clock = Clock(source, start=start, opening=opening, per_byte=per_byte)
    found = dry_run.foretell(source, missing, clock)
    takes = start + clock.seconds(missing)
    assert takes / 2 <= found.seconds <= takes * 2, (found, takes, clock.sizes)
    assert found.bytes == pytest.approx(10 * source.stored_bytes(missing), rel=0.01)
    assert sum(clock.sizes) < 3_000


def test_a_sample_lies_in_the_middle_and_spans_gaps() -> None:
    missing = LedgerSet([LedgerRange(1, 10), LedgerRange(21, 30), LedgerRange(101, 110)])
    seen: list[LedgerSet] = []
    clock = Clock(Ledgers(lambda ledger: 1), start=1, opening=0, per_byte=1)  # noqa: ARG005

    def extract(ledgers: LedgerSet) -> Report:
        seen.append(ledgers)
        return clock(ledgers)

    dry_run.foretell(clock.source, missing, extract)
    assert str(seen[0]) == "8:10, 21:30, 101:103"


def test_a_sample_is_kept_in_the_formats_that_were_asked_for(tmp_path: Path) -> None:
    places = ["csv:./out?codec=gzip&partition=date", "jsonl:s3://b/p?endpoint=http://x", "postgres://me@h/d"]
    assert dry_run.stand_ins(places, tmp_path) == [
        f"csv:{tmp_path}/0?codec=gzip&partition=date",
        f"jsonl:{tmp_path}/1",
    ]
    assert dry_run.stand_ins(places[2:], tmp_path) == [f"parquet:{tmp_path}"]
    assert dry_run.database_seconds(places, 160_000) == 2
