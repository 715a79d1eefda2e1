"""Ledgers that wait are decoded together, and stay what they are one by one."""

from __future__ import annotations

from itertools import pairwise

import pytest

import stellarrow as sa
from stellarrow.processor.session_decoder import Filtered, Slots, Ways
from stellarrow.telemetry.metrics import Metrics

TABLES = ("contract_data@2.0", "ledgers")


@pytest.fixture
def decoder() -> Filtered:
    slots = Slots(2, metrics=Metrics(), kind="test")
    network = sa.Network.of("synthetic")
    return Filtered(TABLES, network=network, where=sa.Filter(), slots=slots, ways=Ways())


@pytest.fixture
def chunks(ledgers: tuple[bytes, ...]) -> list[sa.LedgerChunk]:
    return [sa.LedgerChunk(one, "single", 100 + at, 100 + at, "here") for at, one in enumerate(ledgers[:8])]


def test_ledgers_on_both_sides_of_another_filter_are_not_decoded_together(
    decoder: Filtered, chunks: list[sa.LedgerChunk]
) -> None:
    for one in chunks[:4]:
        decoder.note(one)
    decoder.set(sa.Filter(include_deleted=False))
    for one in chunks[4:]:
        decoder.note(one)
    joined = [decoder.joins([one], following) for one, following in pairwise(chunks)]
    assert joined == [True, True, True, False, True, True, True]


def test_ledgers_decoded_together_are_counted_as_they_are_one_by_one(
    decoder: Filtered, chunks: list[sa.LedgerChunk]
) -> None:
    contract = sa.decode(chunks[0].data, ["contract_data"], network="synthetic")["contract_data"][
        "contract_id"
    ]
    decoder.set(sa.Filter(contract_ids=[contract[0].as_py()]))
    for one in chunks:
        decoder.note(one)
    each = [decoder(one) for one in chunks]
    skipped = sum(map(decoder.skipped, each))
    batch = decoder(*chunks)
    assert (batch.first, batch.last, batch.run.count) == (100, 107, 8)
    assert decoder.skipped(batch) == skipped > 0
    assert sum(map(decoder.entries, each)) == decoder.entries(batch)
