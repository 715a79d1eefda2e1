"""The processor as the consumers of this package read it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from stellarrow.sources.flight import FlightTable, ResumeRefused

from .conftest import Start


@pytest.mark.parametrize("start_ledger", [None, 100])
def test_a_consumer_gets_whole_ledgers_and_goes_on_behind_any_of_them(
    start: Start, expected: Callable[..., list[dict[str, Any]]], start_ledger: int | None
) -> None:
    service = start(batch_size=3)
    service.finished(service.processor.start(100, 139).id)
    asked: dict[str, Any] = {"start_ledger": start_ledger, "end_ledger": 139} if start_ledger else {}

    def read(since: str) -> list[Any]:
        with closing(FlightTable(service.flight.address, "contract_events", **asked)) as table:
            return list(table.read(since))

    arrived = read("earliest")
    due = 100
    for one in arrived:
        assert one.first == due
        assert one.rows.to_pylist() == expected("contract_events", one.first, one.last)
        due = one.last + 1
    assert due == 140
    assert max(one.rows.num_rows for one in arrived) > 3
    half = arrived[len(arrived) // 2]
    assert [one.first for one in read(half.resume)] == [one.first for one in arrived if one.first > half.last]


def test_a_place_that_is_not_known_any_more_is_told_apart(start: Start) -> None:
    service = start()
    with closing(FlightTable(service.flight.address, "ledgers")) as table, pytest.raises(ResumeRefused):
        list(table.read("nonsense"))
