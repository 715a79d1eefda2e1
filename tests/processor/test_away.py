"""Readers that are away: nothing is lost to them, and how far they are behind is told."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import closing
from typing import Any

from stellarrow.consumer.flight_client import FlightTable
from stellarrow.servers import processor_http

from .conftest import Endless, Start

Expected = Callable[..., list[dict[str, Any]]]


def told(service: Any) -> dict[tuple[str, str], float]:
    """Return what the metrics say of each reader."""
    text = processor_http.metrics(service.processor).decode()
    found = re.findall(r'^reader_lag_ledgers\{reader="(.*?)",table="(.*?)"\} (\S+)$', text, re.MULTILINE)
    return {(reader, table): float(ledgers) for reader, table, ledgers in found}


def test_a_reader_that_was_away_takes_up_all_it_missed(
    start: Start, endless: Endless, expected: Expected
) -> None:
    service = start(endless, batch_size=3)
    endless.give(109)
    session = service.processor.start(100, 139).id
    rows: list[dict[str, Any]] = []
    with closing(FlightTable(service.flight.address, "token_transfers")) as table:
        for one in table.read("earliest"):
            rows += one.rows.to_pylist()
            token = one.resume
            if one.last >= 104 and one.complete:
                break
    endless.give(139)
    service.finished(session)
    service.close()
    again = start(endless, batch_size=3)
    with closing(FlightTable(again.flight.address, "token_transfers")) as table:
        for one in table.read(token):
            rows += one.rows.to_pylist()
    assert rows == expected("token_transfers")


def test_metrics_say_of_each_reader_how_far_it_is_behind(start: Start, endless: Endless) -> None:
    service = start(endless)
    endless.give(139)
    session = service.processor.start(100, 139).id
    service.finished(session)
    assert told(service) == {}
    spool = service.processor.work(session).spool
    assert spool
    spool.register("ipv4:10.0.0.7:51234 token_transfers@1.0 6f00", after=119)
    spool.register("ipv4:10.0.0.7:51235 token_transfers@1.0 6f01", after=129)
    spool.register("flight://sink:8817 acknowledged ledgers@1.0 -", after=99)
    assert told(service) == {
        ("ipv4:10.0.0.7", "token_transfers@1.0"): 20,
        ("flight://sink:8817 acknowledged", "ledgers@1.0"): 40,
    }
    assert b"queue_depth 40.0" in processor_http.metrics(service.processor)
    spool.forget("flight://sink:8817 acknowledged ledgers@1.0 -")
    assert ("flight://sink:8817 acknowledged", "ledgers@1.0") not in told(service)
