"""A source that follows the chain while it grows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

import stellarrow as sa
from stellarrow.core.framing import sequences


def followed(
    source: sa.Source, add: Callable[[bytes], None], ledgers: Iterable[bytes], *, to: int
) -> list[int]:
    """Read from ledger 102 on while ledgers are added; close at one, and return all that came."""
    seen: list[int] = []
    grown = threading.Event()

    def follow() -> None:
        for chunk in source.read(sa.LedgerRange(102)):
            seen.extend(sequences(chunk.data, chunk.framing))
            if seen[-1] == to:
                grown.set()

    reader = threading.Thread(target=follow)
    reader.start()
    for ledger in ledgers:
        time.sleep(0.05)
        add(ledger)
    assert grown.wait(5)
    source.close()
    reader.join(2)
    assert not reader.is_alive()
    return seen
