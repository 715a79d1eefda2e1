"""The figures that sessions keep: equal to SQL over the rows, whatever filter, restart or kill."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from figures_by_sql import WINDOWS, check, keys_of, up_to
from stellarrow.analysis.request import FiguresRequest
from stellarrow.analysis.windows import NAMES, Analytics, Answer
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.processor import session_figures
from stellarrow.processor.reads.figures import answered, summed_up
from stellarrow.servers import processor_http

from .conftest import Endless, Service, Start, Tables
from .serving import Serving


def until(happened: Callable[[], Any], *, within: float = 600.0) -> None:
    """Wait, on a machine however loaded."""
    deadline = time.monotonic() + within
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def rows_of(tables: Tables, table: str) -> pa.Table:
    """Return what the sessions keep of a table."""
    received = tables.read(table=table, follow=False)
    return pa.Table.from_batches(received.batches, schema=sa.schema(table))


def figures(tables: Tables, name: str, **asked: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    received = tables.read(table=f"analytics/{name}", **asked)
    return received.rows, received.told[-1] if received.told else {}


def decoded(ledgers: tuple[bytes, ...], table: str) -> pa.Table:
    data = b"".join((0x80000000 | len(one)).to_bytes(4, "big") + one for one in ledgers)
    return pa.Table.from_batches([sa.decode(data, [table], network="synthetic")[table]])


def check_all(tables: Tables, rows: Callable[[str], pa.Table], *, last: int) -> None:
    """Assert that every figure, of all and of some keys, is what SQL makes of the rows up to a ledger."""
    for name, kind in NAMES.items():
        held = up_to(rows(kind.table), last)
        for window in WINDOWS:
            found, told = figures(tables, name, window=window)
            if not found:
                assert held.num_rows == 0
                continue
            assert (told["last_ledger"], {one["as_of_ledger"] for one in found}) == (last, {last})
            check(name, window, found, held)
            for key in keys_of(held, 3) if kind.keyed else ():
                of_key, _ = figures(tables, name, window=window, **{str(kind.keyed): key})
                check(name, window, of_key, held, key)


@pytest.fixture
def half(start: Start, endless: Endless) -> Service:
    """A processor whose session waits for ledger 121."""
    service = start(endless)
    endless.give(120)
    session = service.processor.start(100, 139).id
    until(lambda: service.processor.work(session).session.current == 120)
    return service


def test_figures_are_those_of_sql_over_the_rows_at_the_same_ledger(
    half: Service, endless: Endless, ledgers: tuple[bytes, ...]
) -> None:
    check_all(half.tables, lambda table: rows_of(half.tables, table), last=120)
    endless.give(133)
    session = half.processor.works()[0]
    until(lambda: session.session.current == 133)
    check_all(half.tables, lambda table: decoded(ledgers, table), last=133)


def test_figures_name_the_ledger_they_are_of_while_the_session_goes_on(
    half: Service, endless: Endless, monkeypatch: pytest.MonkeyPatch
) -> None:
    request, answer = FiguresRequest(name="storage"), FiguresRequest.answer

    def slow(request: FiguresRequest, analytics: Analytics) -> Answer:
        """Answer, and come back once the session is further."""
        found = answer(request, analytics)
        endless.give(139)
        until(lambda: half.processor.works()[0].session.current == 139)
        return found

    monkeypatch.setattr(FiguresRequest, "answer", slow)
    told = answered(half.processor, request)
    assert (told.to_dict()["last_ledger"], told.rows["as_of_ledger"][0].as_py()) == (120, 120)


def test_a_filter_leaves_figures_of_every_row(
    half: Service, endless: Endless, ledgers: tuple[bytes, ...]
) -> None:
    contract = keys_of(decoded(ledgers, "contract_data"), 1)[0]
    half.processor.configure(sa.Filter(contract_ids=[contract]))
    endless.give(139)
    half.finished(half.processor.works()[0].session.id, within=120)
    assert rows_of(half.tables, "contract_data").num_rows < decoded(ledgers, "contract_data").num_rows
    check_all(half.tables, lambda table: decoded(ledgers, table), last=139)


@pytest.mark.parametrize("filtered", [False, True])
def test_after_a_restart_figures_are_what_they_were(
    start: Start,
    endless: Endless,
    ledgers: tuple[bytes, ...],
    filtered: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was counted since the last save comes out of the spool or, where rows lack there, the source."""
    monkeypatch.setattr(session_figures.SessionFigures, "rest", lambda *_, **__: None)  # as after a kill
    contract = keys_of(decoded(ledgers, "contract_data"), 1)[0]
    where = sa.Filter(contract_ids=[contract]) if filtered else sa.Filter()
    for last in (110, 125, 139):
        service = start(endless, where=where)
        if last == 110:
            service.processor.start(100, 139)
        endless.give(last)
        work = service.processor.works()[0]
        until(lambda: work.session.current == last)  # noqa: B023
        before = work.figures.answering()
        assert before is not None
        check_all(service.tables, lambda table: decoded(ledgers, table), last=last)
        service.close()


def test_figures_of_a_session_that_has_ended_answer_after_a_restart_too(
    start: Start, ledgers: tuple[bytes, ...]
) -> None:
    service = start()
    session = service.processor.start(100, 139).id
    service.finished(session, within=120)
    check_all(service.tables, lambda table: decoded(ledgers, table), last=139)
    service.close()
    again = start()
    assert figures(again.tables, "network", window="total")[1]["session"] == session
    check_all(again.tables, lambda table: decoded(ledgers, table), last=139)


@pytest.mark.parametrize("damage", ["removed", "damaged"])
def test_without_what_was_saved_figures_begin_behind_the_last_ledger_and_say_so(
    start: Start, endless: Endless, half: Service, ledgers: tuple[bytes, ...], damage: str
) -> None:
    half.close()
    (saved,) = half.processor.options.state_dir.glob("sessions/*/figures")
    if damage == "removed":
        saved.unlink()
    else:
        saved.write_bytes(saved.read_bytes()[:-9] + b"123456789")
    endless.give(139)
    service = start(endless)
    service.finished(service.processor.works()[0].session.id, within=120)
    found, told = figures(service.tables, "network", window="total")
    assert (told["first_ledger"], told["last_ledger"]) == (121, 139)
    behind = decoded(ledgers[21:], "ledgers")
    check("network", "total", found, behind)


def test_after_a_time_without_figures_they_begin_anew(
    start: Start, endless: Endless, half: Service, ledgers: tuple[bytes, ...]
) -> None:
    """What a filter has left out meanwhile is noted nowhere."""
    half.close()
    contract = keys_of(decoded(ledgers, "contract_data"), 1)[0]
    without = start(endless, figures_mb=0, where=sa.Filter(contract_ids=[contract]))
    endless.give(130)
    work = without.processor.works()[0]
    until(lambda: work.session.current == 130)
    without.close()
    again = start(endless)
    endless.give(139)
    again.finished(again.processor.works()[0].session.id, within=120)
    found, told = figures(again.tables, "network", window="total")
    assert (told["first_ledger"], told["last_ledger"]) == (131, 139)
    check("network", "total", found, decoded(ledgers[31:], "ledgers"))


def test_where_the_spool_has_let_go_of_rows_the_source_gives_them_again(
    start: Start, endless: Endless, half: Service, ledgers: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_figures.SessionFigures, "rest", lambda *_, **__: None)
    half.close()

    def gone(*_: Any, **__: Any) -> None:
        raise sa.LedgerMissing("trimmed")

    monkeypatch.setattr("stellarrow.spool.spool.Spool.read", gone)
    service = start(endless)
    work = service.processor.works()[0]
    until(lambda: work.figures.answering() is not None and endless._taken >= 120)
    monkeypatch.undo()
    endless.give(125)
    until(lambda: work.session.current == 125)
    check_all(service.tables, lambda table: decoded(ledgers, table), last=125)


def test_figures_may_be_of_a_session_that_is_named(start: Start) -> None:
    service = start()
    first = service.processor.start(100, 110).id
    second = service.processor.start(100, 139).id
    service.finished(first, within=120), service.finished(second, within=120)
    assert figures(service.tables, "network", window="total")[1]["session"] == second
    assert figures(service.tables, "network", session=first)[1]["last_ledger"] == 110


def test_the_foremost_assets_come_with_their_figures(half: Service) -> None:
    found, _ = figures(half.tables, "transfers", top=3, by="transfers", window="total")
    rows = rows_of(half.tables, "token_transfers").filter(pa.compute.field("event_type") == "transfer")
    counts = sorted((one["counts"] for one in rows["contract_id"].value_counts().to_pylist()), reverse=True)
    assert [one["transfers"] for one in found] == counts[:3]


def test_figures_are_answered_between_two_times(half: Service) -> None:
    every, _ = figures(half.tables, "network", window="1m")
    some = every[1:-1]
    start, end = (one["window_start"].strftime("%Y-%m-%dT%H:%M:%SZ") for one in (some[0], some[-1]))
    assert len(every) > 2
    assert figures(half.tables, "network", **{"window": "1m", "from": start, "to": end})[0] == some


def test_before_the_first_session_figures_are_empty(start: Start) -> None:
    service = start()
    assert figures(service.tables, "transfers") == ([], {})
    info = service.tables.info(table="analytics/transfers")
    assert "volume" in info.schema.names


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"table": "analytics/transfer"}, "there are no analytics 'transfer': did you mean transfers?"),
        ({"table": "analytics/network", "asset": "native"}, "is by nothing: it is of the whole network"),
        ({"table": "analytics/events", "asset": "native"}, "is by contract: leave asset out"),
        ({"table": "analytics/events", "window": "2h"}, "window is '2h'"),
        ({"table": "analytics/events", "from": "soon"}, "from is 'soon': write it as"),
        ({"table": "analytics/events", "top": 0}, "top is 0: it must be a number from 1 to 1,000"),
        ({"table": "analytics/events", "top": 3, "by": "size"}, "by is 'size': it must be events"),
        ({"table": "analytics/events", "follow": True}, "the command has 'follow'"),
    ],
)
def test_what_figures_there_are_not_is_told_over_flight(
    half: Service, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(pa.ArrowInvalid) as caught:
        half.tables.info(**asked)
    assert message in str(caught.value)


def test_figures_that_are_not_counted_say_what_they_need(start: Start) -> None:
    none = start(figures_mb=0)
    with pytest.raises(pa.ArrowInvalid, match="keeps no figures: set ANALYTICS_MB"):
        figures(none.tables, "network")
    none.close()
    few = start(tables=("ledgers",))
    few.finished(few.processor.start(100, 139).id, within=120)
    assert figures(few.tables, "network", window="total")[0][0]["ledgers"] == 40
    with pytest.raises(
        pa.ArrowInvalid, match="counted from token_transfers, which the session does not keep"
    ):
        figures(few.tables, "transfers")


Held = dict[str, pa.Table]


def held_in(lake: Path) -> Held:
    """Return all rows that figures are made of."""
    tables = sorted({kind.table for kind in NAMES.values()})
    return {table: sa.scan(lake, table=table, network="synthetic").to_table() for table in tables}


def kill_and_check(
    lake: Path, held: Held, state: Path, kills: int, *flags: str, seed: int, keys: bool = True
) -> None:
    """Kill a processor again and again, and look whether its figures are those of all its ledgers' rows."""
    chance = random.Random(seed)  # noqa: S311
    last = max(held["ledgers"]["ledger_sequence"].to_pylist())
    serving = Serving(
        lake, state, "--network=synthetic", "--start-ledger=100", f"--end-ledger={last}", *flags
    )
    try:
        for _ in range(kills):
            time.sleep(chance.uniform(0, 0.5))
            serving.kill()
            serving.start()
            tables = Tables(serving.flight)
            _, told = figures(tables, "transfers", window="total")
            if told:
                check_at_a_moment(tables, held)
            tables.client.close()
        tables = Tables(serving.flight)
        until(lambda: figures(tables, "network", window="total")[1].get("last_ledger") == last)
        if keys:
            check_all(tables, held.__getitem__, last=last)
        else:
            check_at_a_moment(tables, held)
    finally:
        serving.close()


def check_at_a_moment(tables: Tables, held: Held) -> None:
    """Assert that the figures a session has now, whatever its ledger, are those of SQL at that ledger."""
    for name, kind in NAMES.items():
        for window in ("1m", "1h", "total"):
            found, told = figures(tables, name, window=window)
            if found:
                assert {one["as_of_ledger"] for one in found} == {told["last_ledger"]}
                check(name, window, found, up_to(held[kind.table], told["last_ledger"]))


@pytest.fixture
def long_lake(tmp_path: Path) -> Path:
    folder = tmp_path / "long"
    made = islice(synthetic(30, first=100, ledger_bytes=60_000), 400)
    write_lake(folder, made, first=100, network=sa.Network.of("synthetic"))
    return folder


def test_figures_survive_kills(long_lake: Path, tmp_path: Path) -> None:
    kill_and_check(long_lake, held_in(long_lake), tmp_path / "state", 3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--filter-asset-codes=native",)])
def test_figures_survive_many_kills(long_lake: Path, tmp_path: Path, flags: tuple[str, ...]) -> None:
    held = held_in(long_lake)
    for turn in range(10):
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
        state = tmp_path / "state"
        kill_and_check(long_lake, held, state, 5, *flags, seed=turn, keys=turn == 9)  # keys take longest


def test_metrics_tell_the_whole_and_a_bounded_number_of_assets(start: Start) -> None:
    service = start()
    assert "analytics_last_ledger 0.0" in processor_http.metrics(service.processor).decode()
    service.finished(service.processor.start(100, 139).id, within=120)
    text = processor_http.metrics(service.processor).decode()
    assert "analytics_last_ledger 139.0" in text
    assert 'analytics_window{figure="ledgers",window="total"} 40.0' in text
    transfers = rows_of(service.tables, "token_transfers")["event_type"].to_pylist().count("transfer")
    assert f'analytics_window{{figure="transfers",window="total"}} {transfers:.1f}' in text
    assets = [line for line in text.splitlines() if line.startswith("analytics_asset_transfers{")]
    assert 1 < len(assets) <= 11


def test_figures_in_short_are_those_of_the_foremost_session(half: Service) -> None:
    summary = summed_up(half.processor)
    found, _ = figures(half.tables, "network", window="total")
    assert summary["last_ledger"] == 120
    assert summary["session"] == half.processor.works()[0].session.id
    assert summary["windows"]["network"]["total"]["transactions"] == found[0]["transactions"]
    assert summary["contracts"][0]["events"] >= summary["contracts"][1]["events"]
