"""Readers that have a name: nothing that they have not acknowledged is lost while they are away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.net.address import Address
from stellarrow.processor.kept_readers import KeptReaders
from stellarrow.processor.reads.places import described
from stellarrow.servers import processor_http
from stellarrow.servers.http import HealthServer
from stellarrow.spool import retention
from stellarrow.spool.retention import Readers, Retention

from .conftest import Endless, Received, Service, Start

SHORT = Retention(age=0.01)  # what nobody needs goes at once
LEDGERS: dict[str, Any] = {"table": "ledgers", "reader": "warehouse"}
Run = Callable[..., Any]


def until(happened: Callable[[], Any], *, within: float = 120.0) -> None:
    """Wait, on a machine however loaded."""
    deadline = time.monotonic() + within
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def numbers(received: Received) -> list[int]:
    return [row["ledger_sequence"] for row in received.rows]


def reached(service: Service, endless: Endless, last: int) -> None:
    """Let the session come to a ledger, and the spool let go of what it may."""
    endless.give(last)
    (work,) = service.processor.works()
    until(lambda: work.session.current == last)
    time.sleep(0.02)  # so that all of it is old enough to go
    for spool in (work.spool,):
        assert spool is not None
        spool.trim()


@pytest.fixture
def named(start: Start, endless: Endless) -> Service:
    """A processor that knows the reader, with a session that waits for ledger 121."""
    service = start(endless, retention=SHORT)
    assert service.tables.read(**LEDGERS, follow=False).rows == []
    service.processor.start(100, 139)
    reached(service, endless, 120)
    return service


def test_what_a_reader_has_not_acknowledged_is_kept_while_it_is_away_and_over_restarts(
    named: Service, start: Start, endless: Endless
) -> None:
    begun = named.tables.read(**LEDGERS, most=2)
    assert numbers(begun)[0] == 100
    named.close()
    again = start(endless, retention=SHORT)
    reached(again, endless, 139)
    assert numbers(again.tables.read(**LEDGERS, follow=False)) == [*range(100, 140)]


def test_a_reader_that_comes_back_goes_on_behind_what_it_acknowledged(
    named: Service, start: Start, endless: Endless
) -> None:
    begun = named.tables.read(**LEDGERS, most=2)
    named.tables.acknowledge("warehouse", "ledgers", begun.told[0]["resume"])
    named.close()
    again = start(endless, retention=SHORT)
    reached(again, endless, 139)
    last = begun.told[0]["last_ledger"]
    assert numbers(again.tables.read(**LEDGERS, follow=False)) == [*range(last + 1, 140)]


def test_a_place_is_on_the_disk_before_the_acknowledgement_is_answered(named: Service) -> None:
    path = named.processor.options.state_dir / "readers.json"
    begun = named.tables.read(**LEDGERS, most=2)
    before = KeptReaders(path).find("warehouse", "ledgers@1.0")
    named.tables.acknowledge("warehouse", "ledgers", begun.resume)
    after = KeptReaders(path).find("warehouse", "ledgers@1.0")
    assert before is not None
    assert after is not None
    assert before.resume != after.resume
    assert after == named.processor.readers.find("warehouse", "ledgers@1.0")


def test_what_is_acknowledged_is_let_go_of(named: Service, endless: Endless) -> None:
    (work,) = named.processor.works()
    assert work.spool is not None
    assert work.spool.gone == 0
    named.tables.acknowledge("warehouse", "ledgers", named.tables.read(**LEDGERS, follow=False).resume)
    reached(named, endless, 125)
    assert work.spool.gone >= 120


def test_an_older_acknowledgement_takes_nothing_back(named: Service) -> None:
    told = named.tables.read(**LEDGERS, follow=False).told
    named.tables.acknowledge("warehouse", "ledgers", told[3]["resume"])
    named.tables.acknowledge("warehouse", "ledgers", told[0]["resume"])
    assert named.tables.read(**LEDGERS, follow=False).told[0]["first_ledger"] == told[4]["first_ledger"]


def test_a_place_that_is_given_holds_from_then_on(named: Service) -> None:
    told = named.tables.read(**LEDGERS, follow=False).told
    for origin, first in (("earliest", 100), (told[1]["resume"], told[2]["first_ledger"])):
        named.tables.read(**{**LEDGERS, "from": origin, "follow": False})
        assert named.tables.read(**LEDGERS, follow=False).told[0]["first_ledger"] == first


def test_sessions_that_begin_while_a_reader_is_away_are_kept_for_it(named: Service, endless: Endless) -> None:
    endless.give(139)
    later = named.processor.start(110, 115).id
    named.finished(later, within=120)
    for work in named.processor.works():
        assert work.spool is not None
        work.spool.trim()
    received = named.tables.read(**LEDGERS, follow=False)
    of_later = [
        row["ledger_sequence"]
        for batch, told in zip(received.batches, received.told, strict=True)
        for row in (batch.to_pylist() if told["session"] == later else ())
    ]
    assert of_later == [*range(110, 116)]


def test_a_reader_that_is_away_is_counted_in_lag_and_can_be_removed(named: Service, stellarrow: Run) -> None:
    lag = 'reader_lag_ledgers{reader="warehouse",table="ledgers@1.0"} '
    assert f"{lag}21.0" in processor_http.metrics(named.processor).decode()
    with _http(named) as at:
        (shown,) = json.loads(stellarrow("processor", "readers", f"--at={at}", "--json").out)
        assert [shown[key] for key in ("name", "table", "behind", "lost")] == [
            *("warehouse", "ledgers@1.0", 21, False)
        ]
        assert "warehouse" in stellarrow("processor", "readers", f"--at={at}").out
        assert stellarrow("processor", "remove-reader", "warehouse", f"--at={at}").code == 0
        again = stellarrow("processor", "remove-reader", "warehouse", f"--at={at}")
        assert again.code == 1
        assert "no reader is called 'warehouse'" in again.err
        assert "no reader has a name" in stellarrow("processor", "readers", f"--at={at}").out
    assert lag not in processor_http.metrics(named.processor).decode()
    (work,) = named.processor.works()
    assert work.spool is not None
    assert not work.spool.readers


@contextmanager
def _http(service: Service) -> Iterator[Address]:
    """Answer over HTTP for a while."""
    routes = processor_http.routes(service.processor)
    server = HealthServer(Address("127.0.0.1", 0), ready=threading.Event(), routes=routes)
    server.start()
    try:
        yield server.address
    finally:
        server.close()


def test_a_full_spool_waits_for_a_reader_that_is_away_only_as_long_as_it_is_told(
    start: Start, endless: Endless
) -> None:
    short = Retention(size_bytes=200_000, patience=0.2)
    service = start(endless, retention=short, batch_size=1)
    service.tables.read(**LEDGERS, follow=False)
    endless.give(139)
    service.finished(service.processor.start(100, 139).id, within=120)
    (shown,) = described(service.processor)
    assert (shown["lost"], shown["behind"]) == (True, 40)
    metrics = processor_http.metrics(service.processor).decode()
    assert '{reader="warehouse",table="ledgers@1.0"} 40.0' in metrics
    service.close()
    again = start(endless, retention=short, batch_size=1)
    with pytest.raises(pa.ArrowKeyError, match="keeps nothing up to ledger"):
        again.tables.read(**LEDGERS, follow=False)


def test_a_named_reader_that_is_away_for_too_long_is_lost_also_where_no_patience_is_set(
    start: Start, endless: Endless
) -> None:
    short = Retention(size_bytes=200_000, named_patience=0.2)
    service = start(endless, retention=short, batch_size=1)
    service.tables.read(**LEDGERS, follow=False)
    endless.give(139)
    service.finished(service.processor.start(100, 139).id, within=120)
    (shown,) = described(service.processor)
    assert shown["lost"]


def test_only_what_a_reader_takes_anew_is_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(retention, "time", SimpleNamespace(monotonic=lambda: now[0]))
    readers = Readers()
    for name in ("stays", "goes on"):
        readers.register(name, 10, is_named=True)
    now[0] += 8.0
    readers.register("stays", 10, is_named=True)
    readers.register("goes on", 11, is_named=True)
    now[0] += 3.0
    readers.lose_patience(Retention(named_patience=10.0), 20, began=100.0)
    assert [*readers.behind()] == ["goes on"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"reader": "ware house"}, "reader is 'ware house': write 1 to 64 letters"),
        ({"reader": "x" * 65}, "write 1 to 64 letters"),
        ({"from": "kept"}, "is the place of a reader: name it, too"),
        ({"reader": "x", "start_ledger": 100}, "leave start_ledger and aggregate out"),
        ({"reader": "warehouse", "where": "transaction_count > 1"}, "has read other rows of ledgers@1.0"),
    ],
)
def test_what_a_reader_may_not_ask_is_told(named: Service, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(pa.ArrowInvalid) as caught:
        named.tables.read(**{"table": "ledgers", "follow": False, **asked})
    assert message in str(caught.value)


def test_an_acknowledgement_that_means_nothing_is_refused(named: Service) -> None:
    resume = named.tables.read(table="token_transfers", follow=False).resume
    for reader, table, kind, message in (
        ("nobody", "ledgers", pa.ArrowKeyError, "no reader 'nobody' of ledgers@1.0"),
        ("warehouse", "ledgers", pa.ArrowInvalid, "of another command"),
        ("warehouse", "nothing", pa.ArrowInvalid, "nothing"),
    ):
        with pytest.raises(kind, match=message):
            named.tables.acknowledge(reader, table, resume)


def test_a_file_of_readers_that_is_damaged_is_told_and_changes_nothing(named: Service, start: Start) -> None:
    named.close()
    path = named.processor.options.state_dir / "readers.json"
    path.write_text(path.read_text()[:-20])
    with pytest.raises(sa.Damaged, match="restore a sound copy"):
        start()
