"""Ledgers that the lifecycle archived or deleted under a running service: every face says so, and where."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyarrow import flight

import stellarrow as sa
from analytics.browsing import started
from analytics.conftest import PORTS, Serve, Served
from analytics.sockets import connected
from analytics.test_stream import Events
from lifecycle.aged import DAY, Aged
from stellarrow.config import Analytics, read
from stellarrow.ledgers.dates import shown
from stellarrow.lifecycle.policies import Policy
from stellarrow.services.analytics import AnalyticsService

DATA = "/v1/tables/contract_data/rows"
_ONE = {"limit": 1, "start": 100, "end": 119}
_ORDERS = ("asc", "desc")


@dataclass(frozen=True)
class Place:
    """A service over a place of forty ledgers, in files of ten, and what callers had before they left."""

    aged: Aged
    served: Served
    cursors: dict[str, str]
    event: str
    resume: str

    @property
    def last_archived(self) -> int:
        return 119 if (self.aged.place / "ledgers" / "0000000120-0000000129.parquet").exists() else 139


@contextmanager
def placed(tmp_path: Path, ledgers: tuple[bytes, ...]) -> Iterator[Place]:
    aged = Aged(tmp_path, ledgers)
    given = {**PORTS, "data": str(aged.place), "state_dir": str(tmp_path / "state")}
    service = AnalyticsService(read(Analytics, given, environ={}))
    with closing(Served(service)) as served:
        service.start()
        until(lambda: figures(served)["as_of_ledger"] == 139)
        assert figures(served)["rows"][0]["first_ledger"] == 100
        with connected(served) as client:
            client.subscribe(channel="contract_data", **{"from": "earliest", "credit": 1})
            resume = client.next("data")["resume"]
        cursors = {order: served.get(DATA, **_ONE, order=order).json()["next_cursor"] for order in _ORDERS}
        cursors["summary"] = served.get(storage(aged), limit=1).json()["next_cursor"]
        kind, told = next(events(served, **{"from": "earliest"}))
        assert kind == "rows"
        yield Place(aged, served, cursors, told["id"], resume)


def storage(aged: Aged) -> str:
    return f"/v1/contracts/{aged.expected()[0]['contract_id']}/storage"


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory, ledgers: tuple[bytes, ...]) -> Iterator[Place]:
    """Ledgers 100 to 109 were deleted, 110 to 119 archived, under the running service."""
    with placed(tmp_path_factory.mktemp("left"), ledgers) as made:
        aged = made.aged
        aged.days = 10
        assert aged.run(patience=60.0).problems == []
        aged.policy = Policy(archive=10 * DAY, delete=10 * DAY + aged.closed[119] - aged.closed[112])
        assert aged.run(patience=60.0).problems == []
        made.served.service.tables.look()
        yield made


@pytest.fixture(scope="module")
def emptied(tmp_path_factory: pytest.TempPathFactory, ledgers: tuple[bytes, ...]) -> Iterator[Place]:
    """Every ledger was archived."""
    with placed(tmp_path_factory.mktemp("emptied"), ledgers) as made:
        made.aged.days = 11
        assert made.aged.run(patience=60.0).problems == []
        assert not [*made.aged.place.glob("*/*.parquet")]
        made.served.service.tables.look()
        yield made


@pytest.fixture(params=["left", "emptied"])
def either(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def of(gaps: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(one["first_ledger"], one["last_ledger"], one["state"]) for one in gaps]


BOTH = [(100, 109, "deleted"), (110, 119, "archived")]


def figures(served: Served) -> Any:
    return served.get("/v1/analytics/network", window="total").json()


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def events(served: Served, last: str = "", **asked: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    headers = {"last-event-id": last} if last else {}
    path = "/v1/stream/contract_data"
    with served.client.stream("GET", path, params=asked, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        found = Events(answer.iter_lines())
        for kind, told in found:
            yield kind, {**told, "id": found.id}


def flown(served: Served, **command: Any) -> list[tuple[int, dict[str, Any]]]:
    """Return how many rows each batch of Flight has, and what is told of it."""
    with flight.connect(f"grpc://{served.service.flight.address}") as client:
        ticket = flight.Ticket(json.dumps(command).encode())
        reader = client.do_get(ticket, flight.FlightCallOptions(timeout=60))
        return [(one.data.num_rows, json.loads(one.app_metadata.to_pybytes())) for one in reader]


def test_status_and_tables_tell_what_is_archived_and_where_and_what_is_deleted(left: Place) -> None:
    status = left.served.get("/v1/status").json()["tables"]["contract_data"]
    assert (status["coverage"], status["archived"], status["deleted"]) == (
        [[120, 139]],
        [[110, 119]],
        [[100, 109]],
    )
    assert status["archives"] == [str(left.aged.old)]
    assert left.served.get("/v1/tables/contract_data").json()["archived"] == [[110, 119]]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_rows_of_ledgers_that_left_are_410_with_where_they_are_and_what_to_do(left: Place, form: str) -> None:
    answer = left.served.get(DATA, start=105, end=115, format=form)
    assert (answer.status_code, answer.headers["content-type"]) == (410, "application/problem+json")
    told = answer.json()
    assert of(told["gaps"]) == [(105, 109, "deleted"), (110, 115, "archived")]
    assert told["gaps"][1]["archive"] == str(left.aged.old)
    deleted, archived = told["detail"].split("; ")
    assert deleted.startswith("ledgers 105 to 109 of contract_data were deleted: to have them again, extract")
    assert archived == (
        f"ledgers 110 to 115 of contract_data were archived to {left.aged.old}: read them there, such as with"
        f" stellarrow sql --data {left.aged.old}"
    )


def test_rows_of_ledgers_of_which_some_left_name_those(left: Place) -> None:
    found = left.served.get(DATA, start=115, end=125).json()
    assert {row["ledger_sequence"] for row in found["rows"]} == {*range(120, 126)}
    assert of(found["gaps"]) == [(115, 119, "archived")]
    answer = left.served.get(DATA, format="csv")
    assert answer.headers["x-gaps"] == "contract_data 100-109 deleted, contract_data 110-119 archived"
    assert "gaps" not in left.served.get(DATA, start=120).json()


@pytest.mark.parametrize("order", _ORDERS)
def test_pages_together_name_every_ledger_that_left_once(left: Place, order: str) -> None:
    gaps: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = left.served.get(DATA, limit=50, order=order, **cursor).json()
        gaps += page.get("gaps", [])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert of(gaps) == BOTH


def test_times_at_which_ledgers_closed_that_left_are_not_told_as_empty(left: Place) -> None:
    first, last = (shown(left.aged.closed[ledger]) for ledger in (101, 115))
    answer = left.served.get(DATA, start=first, end=last)
    assert (answer.status_code, of(answer.json()["gaps"])) == (410, BOTH)
    since = left.served.get(DATA, start=first, limit=10_000).json()
    assert of(since["gaps"]) == BOTH
    assert {row["ledger_sequence"] for row in since["rows"]} == {*range(120, 140)}


@pytest.mark.parametrize("order", _ORDERS)
def test_a_cursor_whose_ledgers_left_is_410_and_says_where_they_are(either: Place, order: str) -> None:
    answer = either.served.get(DATA, **_ONE, order=order, cursor=either.cursors[order])
    assert (answer.status_code, answer.headers["content-type"]) == (410, "application/problem+json")
    assert "begin again without the cursor" in answer.json()["detail"]
    assert {one["state"] for one in answer.json()["gaps"]} <= {"archived", "deleted"}
    assert "archived to" in answer.json()["detail"] or "were deleted" in answer.json()["detail"]


def test_a_cursor_of_a_summary_whose_ledgers_left_is_410(left: Place) -> None:
    path = storage(left.aged)
    answer = left.served.get(path, limit=1, cursor=left.cursors["summary"])
    assert (answer.status_code, of(answer.json()["gaps"])) == (410, BOTH)
    assert of(left.served.get(path).json()["gaps"]) == BOTH


def test_one_ledger_that_left_is_410_and_one_that_never_came_404(left: Place) -> None:
    deleted, archived = left.served.get("/v1/ledgers/105"), left.served.get("/v1/ledgers/112")
    assert (deleted.status_code, of(deleted.json()["gaps"])) == (410, [(105, 105, "deleted")])
    assert archived.json()["gaps"][0]["archive"] == str(left.aged.old)
    assert left.served.get("/v1/ledgers/99").status_code == 404


def test_sql_names_what_left_of_the_tables_it_reads(left: Place) -> None:
    asked = {"sql": "select count(*) as n from ledgers"}
    answer = left.served.client.post("/v1/query", json=asked)
    assert answer.json()["rows"] == [{"n": "20"}]
    assert {one["table"] for one in answer.json()["gaps"]} == {"ledgers"}
    assert of(answer.json()["gaps"]) == BOTH
    other = left.served.client.post("/v1/query", json={"sql": "select 1 as one"})
    assert "x-gaps" not in other.headers
    ((_, told),) = flown(left.served, **asked)
    assert of(told["left"]) == BOTH


def test_figures_are_those_of_a_service_that_begins_now(left: Place, serve: Serve) -> None:
    until(lambda: bool(figures(left.served)["rows"][0]["first_ledger"] == 120))
    fresh = serve(data=left.aged.place)
    until(lambda: bool(figures(fresh)["as_of_ledger"] == 139))
    assert figures(left.served) == figures(fresh)
    assert of(figures(fresh)["gaps"]) == BOTH


def test_an_event_stream_from_the_earliest_on_begins_with_the_gap(left: Place) -> None:
    found = events(left.served, **{"from": "earliest"})
    first, second, third = next(found), next(found), next(found)
    assert [first[0], second[0], third[0]] == ["gap", "gap", "rows"]
    assert of([first[1], second[1]]) == BOTH
    assert second[1]["archive"] == str(left.aged.old)
    assert third[1]["first_ledger"] == 120


def test_an_event_stream_that_goes_on_where_ledgers_left_is_told_of_the_gap(either: Place) -> None:
    kind, gap = next(events(either.served, either.event))
    assert (kind, gap["first_ledger"], gap["last_ledger"]) == ("gap", 110, either.last_archived)
    assert (gap["state"], gap["archive"]) == ("archived", str(either.aged.old))
    assert str(either.aged.old) in gap["why"]


def test_a_socket_that_resumes_where_ledgers_left_is_told_of_the_gap(either: Place) -> None:
    with connected(either.served) as client:
        begun = client.subscribe(channel="contract_data", **{"from": either.resume})
        assert begun["recovered"] is False
        gap = json.loads(client.socket.recv(timeout=20))
        assert (gap["op"], gap["id"], gap["first_ledger"]) == ("gap", "t", 110)
        assert (gap["last_ledger"], gap["archive"]) == (either.last_archived, str(either.aged.old))
        assert str(either.aged.old) in gap["why"]


@pytest.mark.slow
def test_the_page_shows_what_is_archived_and_where_and_what_is_deleted(left: Place) -> None:
    with started() as browser, browser.tab(left.served.url) as tab:
        tab.open("/coverage")
        assert f"Archived ledgers are in {left.aged.old}." in tab.text("main")
        label = tab.page.locator(".spans").first.get_attribute("aria-label")
        assert label == "120 to 139; archived 110 to 119; deleted 100 to 109"


def test_a_subscription_in_python_has_the_gaps(left: Place) -> None:
    address = left.served.service.websocket.address
    rows = sa.subscribe(f"ws://{address}", "contract_data", start="earliest")
    try:
        assert next(iter(rows)).column("ledger_sequence")[0].as_py() == 120
        assert rows.gaps == [(100, 109), (110, 119)]
    finally:
        rows.close()


def test_flight_names_the_ledgers_that_left(left: Place) -> None:
    told = flown(left.served, table="contract_data", follow=False)
    assert told[0][1]["gaps"] == [[100, 109], [110, 119]]
    assert of(told[0][1]["left"]) == BOTH
    assert told[0][1]["left"][1]["archive"] == str(left.aged.old)
    assert (told[0][1]["first_ledger"], told[-1][1]["last_ledger"]) == (120, 139)
    with flight.connect(f"grpc://{left.served.service.flight.address}") as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_path("ledgers"))
        assert of(json.loads(info.app_metadata)["left"]) == BOTH


def test_flight_of_ledgers_that_all_left_says_so_in_a_batch_without_rows(either: Place) -> None:
    ((rows, told),) = flown(either.served, table="contract_data", start_ledger=105, end_ledger=115)
    assert (rows, told["gaps"][0][0], told["gaps"][-1][1]) == (0, 105, 115)
    assert (told["first_ledger"], told["last_ledger"]) == (0, 0)


def test_an_export_names_what_it_lacks_and_one_of_nothing_is_410(left: Place) -> None:
    def order(**asked: Any) -> httpx.Response:
        given = {"table": "contract_data", "format": "ndjson", **asked}
        return left.served.client.post("/v1/exports", json=given)

    assert of(order().json()["gaps"]) == BOTH
    gone = order(start="100", end="119")
    assert (gone.status_code, of(gone.json()["gaps"])) == (410, BOTH)
    assert "gaps" not in order(start="120").json()


def test_a_table_of_which_every_file_left_is_served_and_says_so_after_a_restart(
    emptied: Place, serve: Serve
) -> None:
    for one in (emptied.served, serve(data=emptied.aged.place)):
        status = one.get("/v1/status").json()["tables"]
        assert {name: told["archived"] for name, told in status.items()} == {
            "ledgers": [[100, 139]],
            "contract_data": [[100, 139]],
        }
        assert of(one.get(DATA).json()["gaps"]) == [(100, 139, "archived")]


def test_what_leaves_between_a_look_and_a_read_is_to_be_asked_again(
    tmp_path: Path, ledgers: tuple[bytes, ...], serve: Serve
) -> None:
    aged = Aged(tmp_path, ledgers)
    served = serve(data=aged.place)
    aged.days = 10
    assert aged.run(patience=60.0).problems == []
    asked = {"start": 100, "end": 119, "where": "change_index >= 0"}
    answer = served.get(DATA, **asked)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    served.service.tables.look()
    assert served.get(DATA, **asked).status_code == 410
