from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import stellarrow as sa
from memory import MemorySink, MemorySource
from stellarrow.core.synthetic import synthetic
from stellarrow.sources.files import FileSource


@pytest.fixture
def numbered(ledgers: tuple[bytes, ...]) -> dict[int, bytes]:
    return dict(enumerate(ledgers, 100))


def run(source: sa.Source, sink: sa.Sink, **choices: object) -> sa.Report:
    kept = {"network": "synthetic", "workers": 2, **choices}
    return sa.run(source, tables=["ledgers"], sinks=[sink], **kept)  # type: ignore[arg-type]


def test_every_ledger_arrives_once_and_in_order(numbered: dict[int, bytes]) -> None:
    sink = MemorySink()
    report = run(MemorySource(numbered), sink)
    assert sink.rows == list(range(100, 140))
    assert str(sink.coverage()) == str(report.ranges) == "100:139"
    assert (report.ledgers, report.rows, report.skipped) == (40, {"ledgers": 40}, 0)
    assert report.bytes == sum(map(len, numbered.values()))


def test_what_a_sink_has_is_not_done_again(numbered: dict[int, bytes]) -> None:
    sink = MemorySink(sa.LedgerSet.parse("100:109, 120:139"))
    report = run(MemorySource(numbered), sink)
    assert sink.rows == list(range(110, 120))
    assert (report.ledgers, report.skipped, str(report.ranges)) == (10, 30, "110:119")


def test_a_ledger_one_sink_lacks_goes_to_all(numbered: dict[int, bytes]) -> None:
    full, empty = MemorySink(sa.LedgerSet.parse("100:139")), MemorySink()
    sa.run(MemorySource(numbered), tables=["ledgers"], sinks=[full, empty], network="synthetic")
    assert empty.rows == list(range(100, 140))


def test_a_range_is_taken_and_no_more(numbered: dict[int, bytes]) -> None:
    sink = MemorySink()
    run(MemorySource(numbered), sink, ledgers="105:107,110")
    assert sink.rows == [105, 106, 107, 110]


def test_latest_is_the_last_the_source_has(numbered: dict[int, bytes]) -> None:
    sink = MemorySink()
    run(MemorySource(numbered), sink, ledgers="latest")
    assert sink.rows == [139]


def test_gaps_of_the_source_are_reported(numbered: dict[int, bytes]) -> None:
    del numbered[110], numbered[111]
    report = run(MemorySource(numbered), MemorySink())
    assert (str(report.gaps), str(report.ranges)) == ("110:111", "100:109, 112:139")


def test_a_chain_broken_between_chunks_names_both_hashes(ledgers: tuple[bytes, ...]) -> None:
    other = next(synthetic(20, seed=9, first=103, ledger_bytes=4_096))
    numbered = {**dict(enumerate(ledgers[:3], 100)), 103: other}
    sink = MemorySink()
    with pytest.raises(sa.ChainBroken, match=r"ledger 103 names [0-9a-f]{64}.* ledger 102 has [0-9a-f]{64}"):
        run(MemorySource(numbered), sink)
    assert sink.rows == []
    unchecked = MemorySink()
    run(MemorySource(numbered), unchecked, verify_chain=False)
    assert unchecked.rows == [100, 101, 102, 103]


def test_a_source_that_skips_is_caught(numbered: dict[int, bytes]) -> None:
    del numbered[103]
    with pytest.raises(sa.LedgerMissing, match="ledger 103"):
        run(MemorySource(numbered), MemorySink(), ledgers="100:105")


def test_a_source_that_ends_early_is_caught(numbered: dict[int, bytes]) -> None:
    with pytest.raises(sa.LedgerMissing, match="ledger 140"):
        run(MemorySource(numbered), MemorySink(), ledgers="138:141")


def test_an_error_leaves_what_was_committed(numbered: dict[int, bytes]) -> None:
    numbered[130] = numbered[130][:-8]
    sink = MemorySink()
    with pytest.raises(sa.DecodeError, match="chunk 130"):
        run(MemorySource(numbered, size=1), sink, ledgers="100:104,125:139")
    assert str(sink.coverage()) == "100:104, 125:129"


def test_an_error_stops_the_reading(numbered: dict[int, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    numbered[101] = numbered[101][:-8]
    source = MemorySource(numbered, size=1)
    monkeypatch.setattr("stellarrow.pipeline.loop.weight", lambda _: 1 << 20)
    with pytest.raises(sa.DecodeError):
        run(source, MemorySink(), budget_mb=2)
    assert source.taken <= 5  # two were good or bad, two in flight, one at the door


def test_progress_is_told_after_every_chunk(numbered: dict[int, bytes]) -> None:
    seen: list[tuple[int | None, int]] = []
    run(
        MemorySource(numbered, size=10),
        MemorySink(),
        progress=lambda one: seen.append((one.wanted, one.ledgers)),
    )
    assert seen == [(40, 10), (40, 20), (40, 30), (40, 40), (40, 40)]  # the last once all is durable


def test_following_ends_where_the_source_ends(make_lake: Callable[..., Path]) -> None:
    sink = MemorySink()
    report = run(FileSource(make_lake()), sink, ledgers="130:")
    assert sink.rows == list(range(130, 140))
    assert str(report.ranges) == "130:139"


def test_a_run_without_sinks_decodes_all(numbered: dict[int, bytes]) -> None:
    report = sa.run(MemorySource(numbered), tables=["ledgers"], sinks=[], network="synthetic")
    assert replace(report, seconds=0.0).rows == {"ledgers": 40}
