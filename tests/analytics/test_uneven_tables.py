"""Tables of one place that have other ledgers each: SQL and figures have every ledger of those they name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

import stellarrow as sa
from analytics.conftest import PORTS, Serve, Served
from analytics.sockets import connected
from analytics.test_departed import flown, of, until
from figures_by_sql import WINDOWS, check
from lifecycle.aged import DAY, Aged
from stellarrow.analysis.reads.summaries import Input, Summary, summarized
from stellarrow.analysis.windows import Analytics
from stellarrow.config import Analytics as Settings
from stellarrow.config import read
from stellarrow.lifecycle.policies import Policy
from stellarrow.services.analytics import AnalyticsService

DELETED = [(100, 139, "deleted")]
TAIL = (130, 139, "missing")
MISSING = [(110, 119, "missing"), TAIL]
COUNTED = "select count(*) as n from ledgers"
EMPTIED = "select count(*) as n from contract_data"
BOTH = "select count(*) as n from ledgers left join contract_data using (ledger_sequence)"


def written(aged: Aged, *ranges: tuple[int, int]) -> None:
    for first, last in ranges:
        with closing(aged.sink()) as sink:
            sink.write(aged._batch(first, last))
            sink.commit()


def uneven(folder: Path, ledgers: tuple[bytes, ...]) -> Aged:
    """Return a place whose contract_data was deleted, and whose ledgers have a hole."""
    aged = Aged(folder, ledgers, tables=("contract_data",))
    aged.policy, aged.days = Policy(delete=DAY), 10
    assert aged.run(patience=60.0).problems == []
    aged.tables = ("ledgers",)
    written(aged, (100, 109), (120, 129))
    return aged


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, ledgers: tuple[bytes, ...]) -> Aged:
    return uneven(tmp_path_factory.mktemp("uneven"), ledgers)


@pytest.fixture(scope="module")
def served(place: Aged) -> Iterator[Served]:
    with ExitStack() as stack:
        given = {**PORTS, "data": str(place.place), "state_dir": str(place.folder / "state")}
        service = AnalyticsService(read(Settings, given, environ={}))
        made = stack.enter_context(closing(Served(service)))
        service.start()
        until(lambda: bool(total(made, "network")["as_of_ledger"] == 129))
        yield made


def total(served: Served, name: str) -> Any:
    return served.get(f"/v1/analytics/{name}", window="total").json()


def asked(served: Served, sql: str) -> Any:
    answer = served.client.post("/v1/query", json={"sql": sql})
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    ("sql", "as_of", "count", "gaps"),
    [(COUNTED, 129, "20", MISSING), (EMPTIED, 139, "0", DELETED), (BOTH, 129, "20", [*DELETED, *MISSING])],
)
def test_sql_has_every_ledger_of_the_tables_that_it_names(
    served: Served, sql: str, as_of: int, count: str, gaps: list[Any]
) -> None:
    found = asked(served, sql)
    assert (found["as_of_ledger"], found["rows"]) == (as_of, [{"n": count}])
    assert of(found.get("gaps", [])) == gaps
    ((rows, told),) = flown(served, sql=sql)
    assert (rows, told["as_of_ledger"], of(told.get("left", []))) == (1, as_of, gaps)


def test_an_export_of_sql_has_every_ledger_of_the_tables_that_it_names(served: Served) -> None:
    order = {"sql": "select ledger_sequence from ledgers", "format": "csv"}
    at = served.client.post("/v1/exports", json=order).headers["location"]
    until(lambda: served.get(at).json()["state"] == "done")
    told = served.get(at).json()
    assert (told["as_of_ledger"], told["files"][0]["rows"]) == (129, 20)


def test_sql_without_tables_and_the_status_are_as_of_what_every_table_has_come_to(served: Served) -> None:
    assert asked(served, "select 1 as one")["as_of_ledger"] == 129
    assert "gaps" not in asked(served, "select 1 as one")
    status = served.get("/v1/status").json()
    assert status["as_of_ledger"] == 129
    assert status["closed_at"] is not None


@pytest.mark.parametrize("window", WINDOWS)
def test_figures_count_every_ledger_of_their_table_that_is_here(
    served: Served, place: Aged, window: str
) -> None:
    read: Any = duckdb.sql(f"select * from '{place.place}/ledgers/*.parquet'")
    rows = read.to_arrow_table()
    with pytest.warns(sa.LedgersUnextracted, match="ledgers 110 to 119 of ledgers are not here"):
        found = sa.analytics(place.place, "network", window=window).to_pylist()
    check("network", window, found, rows)
    shown = served.get("/v1/analytics/network", window=window).json()
    assert of(shown["gaps"]) == MISSING
    columns = ("first_ledger", "last_ledger", "ledgers", "transactions", "as_of_ledger")
    assert [[row[one] for one in columns] for row in shown["rows"]] == [
        [row[one] for one in columns] for row in found
    ]
    assert sum(row["ledgers"] for row in shown["rows"]) == 20


def test_figures_of_a_table_that_was_deleted_are_empty_and_say_so(served: Served) -> None:
    found = total(served, "storage")
    assert (found["rows"], of(found["gaps"])) == ([], DELETED)


def test_a_summary_goes_on_page_by_page_where_a_table_had_left_before(served: Served) -> None:
    inputs = {
        "mine": Input("ledgers", ("ledger_sequence",)),
        "other": Input("contract_data", ("ledger_sequence",)),
    }
    query = "select ledger_sequence from mine where ledger_sequence not in (from other) order by 1"
    ledgers, cursor = [], ""
    for _ in range(3):
        page = summarized(
            served.service.tables,
            Summary(query, inputs),
            ledgers=sa.LedgerRange(0),
            asked="",
            limit=7,
            cursor=cursor,
        )
        ledgers += page.rows["ledger_sequence"].to_pylist()
        cursor = page.next or ""
    assert ledgers == [*range(100, 110), *range(120, 130)]
    assert (cursor, page.as_of) == ("", 129)


class Door:
    """Holds up whatever counts, from when it is closed until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._open = threading.Event()
        self._open.set()
        counted = Analytics.add

        def add(one: Analytics, *given: Any) -> None:
            self._open.wait(60)
            counted(one, *given)

        monkeypatch.setattr(Analytics, "add", add)
        self.close, self.open = self._open.clear, self._open.set


def test_ledgers_that_come_late_are_named_until_they_are_counted(
    tmp_path: Path, ledgers: tuple[bytes, ...], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, aged = Door(monkeypatch), uneven(tmp_path, ledgers)
    served = serve(data=aged.place)
    until(lambda: bool(total(served, "network")["as_of_ledger"] == 129))
    door.close()
    try:
        written(aged, (110, 119))
        served.service.tables.look()
        found = total(served, "network")
        assert (found["rows"][0]["ledgers"], of(found["gaps"])) == (20, [(110, 119, "uncounted"), TAIL])
    finally:
        door.open()
    until(lambda: bool(total(served, "network")["rows"][0]["ledgers"] == 30))
    assert of(total(served, "network")["gaps"]) == [TAIL]


def test_figures_that_still_include_what_left_do_not_name_it(
    tmp_path: Path, ledgers: tuple[bytes, ...], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, aged = Door(monkeypatch), Aged(tmp_path, ledgers)
    served = serve(data=aged.place)
    until(lambda: bool(total(served, "network")["as_of_ledger"] == 139))
    door.close()
    try:
        aged.policy, aged.days = Policy(delete=10 * DAY), 10
        assert aged.run(patience=60.0).problems == []
        served.service.tables.look()
        found = total(served, "network")
        assert (found["rows"][0]["ledgers"], "gaps" in found) == (40, False)
    finally:
        door.open()
    until(lambda: bool(total(served, "network")["rows"][0]["ledgers"] == 20))
    assert of(total(served, "network")["gaps"]) == [(100, 119, "deleted")]


@pytest.mark.parametrize("name", ["network", "storage"])
def test_figures_name_the_first_ledger_that_they_include(
    tmp_path: Path, ledgers: tuple[bytes, ...], serve: Serve, name: str
) -> None:
    served = serve(data=Aged(tmp_path, ledgers).place)
    until(lambda: bool(total(served, name)["as_of_ledger"] == 139))
    ((_, told),) = flown(served, table=f"analytics/{name}", window="total")
    assert (told["first_ledger"], told["last_ledger"]) == (100, 139)
    with connected(served) as client:
        client.subscribe(channel=f"analytics/{name}", window="total", **{"from": "earliest"})
        assert client.next("data")["first_ledger"] == 100


def test_a_batch_of_many_ledgers_is_counted_as_each_by_itself(
    tmp_path: Path, ledgers: tuple[bytes, ...]
) -> None:
    aged = Aged(tmp_path, ledgers)
    at_once, one_by_one = Analytics(), Analytics()
    rows = {"contract_data": aged.batch.tables["contract_data"]}
    at_once.add(rows, sa.LedgerRange(100, 139), aged.closed[139])
    for ledger in range(100, 140):
        own = {"contract_data": aged._batch(ledger, ledger).tables["contract_data"]}
        one_by_one.add(own, sa.LedgerRange(ledger, ledger), aged.closed[ledger])
    assert at_once.ledgers("storage") == one_by_one.ledgers("storage") == sa.LedgerRange(100, 139)
    for window in WINDOWS:
        assert at_once.series("storage", window) == one_by_one.series("storage", window)
