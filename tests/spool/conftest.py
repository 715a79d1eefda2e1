"""Spools of synthetic ledgers, and what must be in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.spool.spool import Spool

TABLES = ("ledgers", "contract_data")


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
