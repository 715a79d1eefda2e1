from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stellarrow import DecodeError, LedgerMissing, LedgerRange, Source, SourceError
from stellarrow.core.framing import frame, sequences
from stellarrow.sources.stdin import StdinSource

Piped = Callable[[bytes], StdinSource]


@pytest.fixture
def piped() -> Iterator[Piped]:
    readers: list[int] = []
    threads: list[threading.Thread] = []

    def pipe(content: bytes) -> StdinSource:
        reader, writer = os.pipe()
        readers.append(reader)

        def write() -> None:
            with os.fdopen(writer, "wb", buffering=0) as file:
                file.write(content)

        threads.append(threading.Thread(target=write))
        threads[-1].start()
        return StdinSource(reader)

    yield pipe
    for reader in readers:
        while os.read(reader, 1 << 20):
            pass
        os.close(reader)
    for thread in threads:
        thread.join()


def held(source: StdinSource, first: int, last: int | None) -> list[int]:
    return [
        number
        for chunk in source.read(LedgerRange(first, last))
        for number in sequences(chunk.data, chunk.framing)
        if chunk.first <= number <= chunk.last
    ]


@pytest.mark.parametrize("level", [None, 3])
def test_a_pipe_is_read_to_its_end(piped: Piped, ledgers: tuple[bytes, ...], level: int | None) -> None:
    source = piped(frame(ledgers, "record-marked", compression_level=level))
    assert isinstance(source, Source)
    assert str(source.available()) == "100:"
    assert held(source, 100, None) == list(range(100, 140))


def test_ranges_are_read_one_after_the_other(piped: Piped, ledgers: tuple[bytes, ...]) -> None:
    source = piped(frame(ledgers, "record-marked"))
    assert held(source, 105, 107) == [105, 106, 107]
    assert held(source, 120, 121) == [120, 121]


def test_a_hole_in_a_pipe_is_a_missing_ledger(piped: Piped, ledgers: tuple[bytes, ...]) -> None:
    source = piped(frame([*ledgers[:5], *ledgers[6:]], "record-marked"))
    with pytest.raises(LedgerMissing, match="ledger 105 is missing in stdin, which continues with 106"):
        held(source, 100, None)


def test_a_pipe_that_ends_early_is_a_missing_ledger(piped: Piped, ledgers: tuple[bytes, ...]) -> None:
    source = piped(frame(ledgers, "record-marked"))
    with pytest.raises(LedgerMissing, match="ledger 140 is missing in stdin, which ends"):
        held(source, 138, 141)


def test_an_empty_pipe_is_a_source_error(piped: Piped) -> None:
    with pytest.raises(SourceError, match="stdin is empty"):
        piped(b"").available()


def test_a_pipe_out_of_order_is_refused(piped: Piped, ledgers: tuple[bytes, ...]) -> None:
    source = piped(frame([ledgers[1], ledgers[0]], "record-marked"))
    with pytest.raises(SourceError, match="ledger 100 after ledger 101"):
        source.available()


def test_a_pipe_cut_short_is_a_decode_error(piped: Piped, ledgers: tuple[bytes, ...], tmp_path: Path) -> None:
    del tmp_path
    source = piped(frame(ledgers, "record-marked")[:-5])
    with pytest.raises(DecodeError, match=r"^stdin: "):
        held(source, 100, None)


def test_what_has_come_is_read_without_waiting_for_more(ledgers: tuple[bytes, ...]) -> None:
    read, write = os.pipe()
    try:
        first = frame(ledgers[:20], "record-marked")  # more than is needed to tell the framing
        os.write(write, first[:40_000])
        threading.Timer(0.2, lambda: os.write(write, first[40_000:])).start()
        chunks = StdinSource(read).read(LedgerRange(100))
        assert next(chunks).last >= 115
        os.write(write, frame(ledgers[20:21], "record-marked"))
        while (chunk := next(chunks)).last < 120:
            pass
        assert chunk.last == 120
    finally:
        os.close(write)
        os.close(read)
