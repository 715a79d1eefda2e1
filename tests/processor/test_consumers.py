"""The processor as the consumers of this package read it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

import stellarrow as sa
from stellarrow.consumer.flight_client import Arrival, FlightTable, ResumeRefused

from .conftest import Start


@pytest.mark.parametrize("part", [None, sa.LedgerRange(100, 139)])
def test_a_consumer_learns_which_ledgers_are_complete_and_goes_on_behind_any_batch(
    start: Start, expected: Callable[..., list[dict[str, Any]]], part: sa.LedgerRange | None
) -> None:
    service = start(batch_size=3)
    service.finished(service.processor.start(100, 139).id)

    def read(since: str) -> list[Arrival]:
        with closing(FlightTable(service.flight.address, "contract_events")) as table:
            return list(table.read(since, part))

    arrived = read("earliest")
    rows = [one.rows.to_pylist() for one in arrived]
    whole = expected("contract_events")
    assert [row for batch in rows for row in batch] == whole
    for at, one in enumerate(arrived):
        due = sum(row["ledger_sequence"] <= one.last for row in whole)
        assert (sum(map(len, rows[: at + 1])) == due) is one.complete
    assert (arrived[-1].last, arrived[-1].complete) == (139, True)
    half = len(arrived) // 2
    assert [one.rows.to_pylist() for one in read(arrived[half].resume)] == rows[half + 1 :]


def test_a_place_that_is_not_known_any_more_is_told_apart(start: Start) -> None:
    service = start()
    with closing(FlightTable(service.flight.address, "ledgers")) as table, pytest.raises(ResumeRefused):
        list(table.read("nonsense"))
