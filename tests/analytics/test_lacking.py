"""Ledgers that a table never had: every face that answers names them, and no answer looks whole without."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

import stellarrow as sa
from analytics.conftest import PORTS, Serve, Served
from analytics.sockets import connected
from analytics.test_departed import flown, of, until
from analytics.test_stream import Events
from analytics.test_uneven_tables import written
from lifecycle.aged import DAY, Aged
from stellarrow.analysis.reads.figures import KeptFigures
from stellarrow.config import Analytics, read
from stellarrow.ledgers import LedgerRange, LedgerSet
from stellarrow.ledgers.dates import shown
from stellarrow.lifecycle.policies import Policy
from stellarrow.services.analytics import AnalyticsService
from stellarrow.sinks.files.lacking import Reach, lacking

ROWS = "/v1/tables/contract_data/rows"
HOLE = (110, 119, "missing")
TAIL = (130, 139, "missing")
WHY = "ledgers 110 to 119 of contract_data are not here: extract what is missing from a source"
SQL = "select count(*) as n from contract_data"


def holed(folder: Path, ledgers: tuple[bytes, ...]) -> Aged:
    """Return a place whose ledgers are 100 to 139, and whose contract_data has 100 to 109 and 120 to 129."""
    aged = Aged(folder, ledgers, tables=("ledgers",))
    aged.tables = ("contract_data",)
    written(aged, (100, 109), (120, 129))
    return aged


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, ledgers: tuple[bytes, ...]) -> Aged:
    return holed(tmp_path_factory.mktemp("holed"), ledgers)


@pytest.fixture(scope="module")
def served(place: Aged) -> Iterator[Served]:
    given = {**PORTS, "data": str(place.place), "state_dir": str(place.folder / "state")}
    with closing(Served(AnalyticsService(read(Analytics, given, environ={})))) as made:
        made.service.start()
        until(lambda: bool(figures(made)["as_of_ledger"] == 129))
        yield made


def figures(served: Served) -> Any:
    return served.get("/v1/analytics/storage", window="total").json()


@pytest.mark.parametrize(
    ("asked", "as_of", "gaps"),
    [
        ({}, 129, [HOLE, TAIL]),
        ({"order": "desc"}, 129, [HOLE, TAIL]),
        ({"start": 105, "end": 125}, 125, [HOLE]),
        ({"start": 112, "end": 115}, 129, [(112, 115, "missing")]),
        ({"start": 130, "end": 150}, 129, [TAIL]),
        ({"start": 95, "end": 104}, 104, [(95, 99, "missing")]),
        ({"start": 1, "end": 5}, 129, [(1, 5, "missing")]),
        ({"end": 5}, 129, [(1, 5, "missing")]),
        ({"start": "2020-01-01", "end": "2020-01-02"}, 129, [(1, 99, "missing")]),
    ],
)
def test_rows_name_what_is_missing_of_what_they_are_asked_for(
    served: Served, asked: dict[str, Any], as_of: int, gaps: list[Any]
) -> None:
    page = served.get(ROWS, **asked, limit=10_000)
    assert page.status_code == 200
    assert (page.json()["as_of_ledger"], of(page.json().get("gaps", []))) == (as_of, gaps)
    told = ", ".join(f"contract_data {first}-{last} {state}" for first, last, state in gaps)
    for form in ("ndjson", "csv", "arrow"):
        answer = served.get(ROWS, **asked, format=form)
        assert (answer.headers["x-gaps"], answer.headers["x-as-of-ledger"]) == (told, str(as_of))


def test_what_is_asked_of_ledgers_that_are_here_names_nothing(served: Served) -> None:
    for asked in ({"start": 100, "end": 109}, {"start": 120}, {"start": 120, "end": 129}):
        told = served.get(ROWS, **asked, limit=10_000).json().get("gaps", [])
        assert of(told) == ([TAIL] if "end" not in asked else [])
    assert "gaps" not in served.get("/v1/ledgers").json()


def test_pages_together_name_each_missing_ledger_once(served: Served) -> None:
    for order in ("asc", "desc"):
        found: list[Any] = []
        cursor: str | None = None
        while True:
            more: dict[str, Any] = {"cursor": cursor} if cursor else {}
            page = served.get(ROWS, order=order, limit=40, **more).json()
            found += of(page.get("gaps", []))
            if (cursor := page["next_cursor"]) is None:
                break
        assert sorted(found) == [HOLE, TAIL]


def test_sql_exports_figures_and_the_status_name_what_is_missing(served: Served) -> None:
    assert of(served.client.post("/v1/query", json={"sql": SQL}).json()["gaps"]) == [HOLE, TAIL]
    ((_, told),) = flown(served, sql=SQL)
    assert of(told["left"]) == [HOLE, TAIL]
    assert of(figures(served)["gaps"]) == [HOLE, TAIL]
    for order, gaps in (({}, [HOLE, TAIL]), ({"start": "1", "end": "5"}, [(1, 5, "missing")])):
        asked = {"table": "contract_data", "format": "csv", **order}
        made = served.client.post("/v1/exports", json=asked).json()
        assert (made["as_of_ledger"], of(made["gaps"])) == (129, gaps)
    status = served.get("/v1/status").json()["tables"]
    assert status["contract_data"]["missing"] == [[110, 119], [130, 139]]
    assert status["ledgers"]["missing"] == []


def test_summaries_name_what_is_missing(served: Served, place: Aged) -> None:
    contract = place.expected()[0]["contract_id"]
    path = f"/v1/contracts/{contract}/storage"
    assert of(served.get(path).json()["gaps"]) == [HOLE, TAIL]
    before = served.get(path, start=1, end=5).json()
    assert (before["rows"], before["as_of_ledger"], of(before["gaps"])) == ([], 129, [(1, 5, "missing")])


def test_an_event_stream_says_that_a_gap_is_missing(served: Served) -> None:
    path = "/v1/stream/contract_data"
    with served.client.stream("GET", path, params={"from": "earliest"}) as answer:
        kind, gap = next(one for one in Events(answer.iter_lines()) if one[0] != "rows")
    assert (kind, of([gap]), gap["table"]) == ("gap", [HOLE], "contract_data")
    assert gap["why"] == WHY


def test_a_socket_says_that_a_gap_is_missing(served: Served) -> None:
    with connected(served) as client:
        client.subscribe(channel="contract_data", **{"from": "earliest"})
        gap = client.next_of("gap")
    assert (of([gap]), gap["id"], gap["why"]) == ([HOLE], "t", WHY)


@pytest.mark.parametrize(
    ("asked", "gaps", "left"),
    [
        ({}, [HOLE, TAIL], [HOLE, TAIL]),
        ({"start_ledger": 105, "end_ledger": 125}, [HOLE], [HOLE]),
        ({"start_ledger": 112, "end_ledger": 115}, [(112, 115)], [(112, 115, "missing")]),
        ({"start_ledger": 130, "end_ledger": 150}, [(130, 150)], [TAIL]),  # the rest is yet to come
        ({"start_ledger": 95, "end_ledger": 104}, [(95, 99)], [(95, 99, "missing")]),
        ({"start_ledger": 100, "end_ledger": 109}, [], []),
    ],
)
def test_rows_over_flight_name_what_is_missing_of_what_they_are_asked_for(
    served: Served, asked: dict[str, int], gaps: list[Any], left: list[Any]
) -> None:
    told = [one for _, one in flown(served, table="contract_data", follow=False, **asked)]
    assert [part for one in told for part in one.get("gaps", [])] == [[*gap[:2]] for gap in gaps]
    assert of([part for one in told for part in one.get("left", [])]) == left
    command = json.dumps({"table": "contract_data", **asked}).encode()
    with flight.connect(f"grpc://{served.service.flight.address}") as client:
        info = client.get_flight_info(flight.FlightDescriptor.for_command(command))
    assert of(json.loads(info.app_metadata).get("left", [])) == left


def test_flight_names_a_range_before_all_that_is_here(served: Served) -> None:
    ((rows, told),) = flown(served, table="contract_data", start_ledger=1, end_ledger=5)
    assert (rows, told["gaps"], of(told["left"])) == (0, [[1, 5]], [(1, 5, "missing")])


@pytest.mark.parametrize("form", ["", "parquet:"])
def test_python_and_the_command_warn_of_what_is_missing(
    stellarrow: Callable[..., Any], place: Aged, form: str
) -> None:
    at = f"{form}{place.place}"
    said = (
        "ledgers 110 to 119 of contract_data are not here, ledgers 130 to 139 of contract_data are not here"
    )
    with pytest.warns(sa.LedgersUnextracted, match=said):
        pa.table(sa.scan(at, table="contract_data"))
    with pytest.warns(sa.LedgersUnextracted, match=said):
        sa.analytics(at, "storage")
    with pytest.warns(sa.LedgersUnextracted, match="ledgers 110 to 115 of contract_data are not here"):
        sa.analytics(at, "storage", ledgers="105:115")
    pa.table(sa.scan(at, table="ledgers"))  # of which nothing is missing: a warning would be an error
    done = stellarrow("sql", SQL, "--data", at, "--csv")
    assert (done.code, done.err.count("\n")) == (0, 1)
    assert done.err.startswith(f"warning: {said}")


def test_what_left_and_what_never_was_here_are_told_together(
    tmp_path: Path, ledgers: tuple[bytes, ...], serve: Serve
) -> None:
    aged = Aged(tmp_path, ledgers)
    aged.policy, aged.days = Policy(delete=DAY), 2
    assert aged.run(patience=60.0).problems == []
    served = serve(data=aged.place)
    answer = served.get(ROWS, start=90, end=105)
    gone = [(90, 99, "missing"), (100, 105, "deleted")]
    assert (answer.status_code, of(answer.json()["gaps"])) == (410, gone)
    missing, deleted = answer.json()["detail"].split("; ")
    assert missing == "ledgers 90 to 99 of contract_data are not here: extract what is missing from a source"
    assert deleted.startswith("ledgers 100 to 105 of contract_data were deleted: to have them again, extract")
    before = served.get(ROWS, start="2020-01-01", end="2020-01-02")
    assert (before.status_code, of(before.json()["gaps"])) == (200, [(1, 99, "missing")])
    within = served.get(ROWS, start="2020-01-01", end=shown(aged.closed[105]))
    assert (within.status_code, of(within.json()["gaps"])[0][2]) == (410, "deleted")


def test_figures_name_what_is_not_counted_from_the_first_answer_on(
    tmp_path: Path, ledgers: tuple[bytes, ...], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = threading.Event()
    count = KeptFigures._count_new

    def later(kept: KeptFigures) -> None:
        assert held.wait(60)
        count(kept)

    monkeypatch.setattr(KeptFigures, "_count_new", later)
    served = serve(data=Aged(tmp_path, ledgers).place)
    try:
        first = figures(served)
    finally:
        held.set()
    assert (first["rows"], of(first["gaps"])) == ([], [(100, 139, "uncounted")])
    until(lambda: "gaps" not in figures(served))
    assert figures(served)["as_of_ledger"] == 139


def test_a_tail_that_is_still_arriving_is_missing_only_where_it_is_asked_for() -> None:
    known = LedgerSet([LedgerRange(100, 120)])
    assert not lacking(known, LedgerRange(0), reach=130, has_tail=False)
    assert str(lacking(known, LedgerRange(110, 125), reach=130, has_tail=False)) == "121:125"
    assert str(lacking(known, LedgerRange(110, 150), reach=130, has_tail=False)) == "121:130"
    assert str(lacking(known, LedgerRange(0), reach=130)) == "121:130"


def test_what_another_table_was_just_given_is_not_yet_missing_in_this_one() -> None:
    reach = Reach()
    one, more = LedgerSet([LedgerRange(100, 120)]), LedgerSet([LedgerRange(100, 130)])
    assert reach.by([one, one]) == 120
    assert reach.by([one, more]) == 120
    assert reach.by([one, more]) == 130


def test_a_place_of_some_ledgers_that_somebody_chose_is_read_without_a_warning(
    tmp_path: Path, ledgers: tuple[bytes, ...], stellarrow: Callable[..., Any]
) -> None:
    aged = Aged(tmp_path, ledgers, last=101)
    written(aged, (138, 139))
    assert pa.table(sa.scan(aged.place, table="contract_data")).num_rows
    done = stellarrow("sql", SQL, "--data", aged.place, "--csv")
    assert (done.code, done.err) == (0, "")
