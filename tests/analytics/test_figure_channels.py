"""Channels of figures: the windows that ledgers have changed, as REST has them, resumed without loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from analytics.conftest import COUNT, FIRST, LIVE, Given, Served
from analytics.sockets import Client, connected
from stellarrow.analysis.reads.figure_tail import FiguresTail, request_of
from stellarrow.analysis.reads.figures import KeptFigures
from stellarrow.analysis.reads.hot import Hot
from stellarrow.analysis.reads.reading import Tables
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import LedgerRange

Start = Callable[..., tuple[Served, Given]]
LAST = FIRST + COUNT - 1
TRANSFERS = "analytics/transfers"


def counted(served: Served, ledger: int) -> None:
    """Wait until figures include a ledger."""
    deadline = time.monotonic() + 60
    while served.get("/v1/analytics/transfers", window="total").json()["as_of_ledger"] < ledger:
        assert time.monotonic() < deadline
        served.service.look()
        time.sleep(0.01)


def given_until(start: Start, ledger: int) -> tuple[Served, Given]:
    served, chain = start()
    chain.give(ledger)
    counted(served, ledger)
    return served, chain


def taken(client: Client, until: int, into: dict[str, Any]) -> str:
    """Take windows by when they begin, as they are told last, up to a ledger; return where to go on."""
    while True:
        told = client.next("data")
        into.update({row["window_start"]: row for row in told["rows"]})
        if told["last_ledger"] >= until:
            resume: str = told["resume"]
            return resume


def of_rest(served: Served, **asked: str) -> dict[str, Any]:
    rows = served.get("/v1/analytics/transfers", **asked).json()["rows"]
    return {row["window_start"]: row for row in rows}


def alike(windows: dict[str, Any]) -> dict[str, Any]:
    """Leave out as of which ledger each was told: one that did not change is not told again."""
    return {
        start: {name: value for name, value in row.items() if name != "as_of_ledger"}
        for start, row in windows.items()
    }


@pytest.mark.parametrize(
    "asked", [{"window": "1m"}, {"window": "total"}, {"window": "5m", "asset": "native"}, {}]
)
def test_windows_are_those_of_rest_and_change_as_ledgers_come(
    serve_given: Start, asked: dict[str, str]
) -> None:
    served, chain = given_until(serve_given, 110)
    found: dict[str, Any] = {}
    with connected(served) as client:
        told = client.subscribe(channel=TRANSFERS, **{"from": "earliest", **asked})
        assert [one["name"] for one in told["schema"]][:2] == ["window_start", "first_ledger"]
        taken(client, 110, found)
        assert found == of_rest(served, **asked)
        for ledger in (111, 130, LAST):
            chain.give(ledger)
            taken(client, ledger, found)
    assert alike(found) == alike(of_rest(served, **asked))
    assert found


def test_latest_begins_with_what_comes_and_has_only_what_changed(serve_given: Start) -> None:
    served, chain = given_until(serve_given, 120)
    found: dict[str, Any] = {}
    with connected(served) as client:
        client.subscribe(channel=TRANSFERS, window="1m")
        chain.give(121)
        taken(client, 121, found)
    assert len(found) == 1
    assert all(row["last_ledger"] == 121 for row in found.values())


def test_a_token_goes_on_over_a_restart_with_what_changed_meanwhile(serve_given: Start) -> None:
    served, _ = given_until(serve_given, 120)
    found: dict[str, Any] = {}
    with connected(served) as client:
        client.subscribe(channel=TRANSFERS, window="1m", **{"from": "earliest"})
        resume = taken(client, 120, found)
    served.close()
    served, _ = given_until(serve_given, LAST)
    with connected(served) as client:
        told = client.subscribe(channel=TRANSFERS, window="1m", **{"from": resume})
        assert told["recovered"] is True
        message = client.next("data")
        assert message["first_ledger"] == 121
        assert all(row["last_ledger"] > 120 for row in message["rows"])
        found.update({row["window_start"]: row for row in message["rows"]})
    assert alike(found) == alike(of_rest(served, window="1m"))


def test_batches_of_arrow_have_the_same_figures(serve_given: Start) -> None:
    served, _ = given_until(serve_given, LAST)
    url = f"ws://{served.service.websocket.address}"
    with sa.subscribe(url, TRANSFERS, window="1m", asset="native", start="earliest") as followed:
        batch = next(iter(followed))
    answer = served.get("/v1/analytics/transfers", window="1m", asset="native", format="arrow")
    assert (
        pa.Table.from_batches([batch]).to_pylist()
        == pa.ipc.open_stream(answer.content).read_all().to_pylist()
    )
    assert followed.last_ledger == LAST


@pytest.mark.parametrize(
    ("asked", "field", "sentence"),
    [
        ({"channel": "analytics/transfer"}, "channel", "did you mean transfers?"),
        ({"channel": "analytics/events"}, "channel", "there are no figures 'events' here"),
        ({"channel": TRANSFERS, "window": "2h"}, "window", "2h"),
        ({"channel": TRANSFERS, "contract": "C"}, "contract", "leave contract out"),
        ({"channel": TRANSFERS, "accounts": ["G"]}, "accounts", "of a table's rows"),
        ({"channel": TRANSFERS, "where": "1 = 1"}, "where", "of a table's rows"),
        ({"channel": "ledgers", "window": "1h"}, "window", "is asked of analytics/NAME"),
        ({"channel": TRANSFERS, "from": "nowhere"}, "from", "from must be earliest, latest"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_field(
    serve_given: Start, asked: dict[str, Any], field: str, sentence: str
) -> None:
    served, _ = serve_given()
    with connected(served) as client:
        client.say("subscribe", id="f", **asked)
        told = client.next("error")
        assert (told["field"], told["id"]) == (field, "f")
        assert sentence in told["message"]


def test_a_token_of_other_figures_is_refused(serve_given: Start) -> None:
    served, _ = given_until(serve_given, 105)
    with connected(served) as client:
        resume = client.subscribe(channel=TRANSFERS, window="1m")["resume"]
        client.say("subscribe", id="other", channel=TRANSFERS, window="5m", **{"from": resume})
        assert "another" in client.next("error")["message"]


def test_windows_that_are_kept_no_more_are_a_gap() -> None:
    ledgers = [*islice(synthetic(5, first=100, ledger_bytes=4_000), 1_600)]
    data = b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in ledgers)
    rows = sa.decode(data, ["ledgers"], network="synthetic")["ledgers"]
    tables = Tables(("ledgers",), hot=Hot(("ledgers",), most_bytes=1 << 24), stored=None, network=None)
    figures = KeptFigures(tables, most_bytes=1 << 24)
    closed_at = int(rows.column("closed_at")[-1].as_py().timestamp())
    figures.of("network").add({"ledgers": rows}, LedgerRange(100, 1_699), closed_at)
    tail = FiguresTail(figures, request_of("analytics/network", {"window": "1m"}))
    first = figures.of("network").series("network", "1m")["first_ledger"][0].as_py()
    assert first > 110
    gap, rest = tail.parts(110)
    assert (gap.is_gap, gap.first, gap.last) == (True, 111, first - 1)
    assert (rest.first, rest.last) == (first, 1_699)
    assert rest.rows is not None
    assert rest.rows.num_rows == figures.of("network").series("network", "1m").num_rows >= 120
    assert not tail.recovers(110)
    assert tail.recovers(first)
    assert [part.is_gap for part in tail.parts(1_600)] == [False]


def test_the_tables_of_these_tests_are_those_that_transfers_are_counted_from() -> None:
    assert LIVE == ("ledgers", "token_transfers")
