"""`sa.analytics`: the same figures from ledgers, from stored tables and from a processor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from fakes.process import free_port
from figures_by_sql import WINDOWS, check, keys_of
from stellarrow.analysis.request import FiguresRequest, is_figures, of_query, parse
from stellarrow.analysis.windows import NAMES
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.sources.files import FileSource

TABLES = sorted({kind.table for kind in NAMES.values()})
REAL = sorted((Path(sa.__file__).parent / "data" / "ledgers").glob("*.zst*"))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures") / "lake"
    made = islice(synthetic(20, first=100, ledger_bytes=30_000), 60)
    write_lake(folder, made, first=100, network=sa.Network.of("synthetic"))
    return folder


@pytest.fixture(scope="module")
def stored(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    for ledgers in ("100:119", "120:159"):
        sa.run(lake, tables=TABLES, sinks=f"parquet:{folder}", ledgers=ledgers)
    return folder


@pytest.fixture
def flight(lake: Path, tmp_path: Path) -> Iterator[str]:
    processor = Processor(lambda: FileSource(lake), Options(state_dir=tmp_path / "state"))
    session = processor.start(100, 159).id
    assert processor.work(session).join(120)
    with closing(processor), closing(FlightServer(Address("127.0.0.1", 0), processor)) as server:
        yield f"flight://{server.address}"


def rows_of(lake: Path | str, name: str, **asked: Any) -> pa.Table:
    return sa.scan(lake, table=NAMES[name].table, **asked).to_table()


@pytest.mark.parametrize("name", NAMES)
def test_ledgers_stored_tables_and_a_processor_give_the_same_figures(
    lake: Path, stored: Path, flight: str, name: str
) -> None:
    for window in WINDOWS:
        found = sa.analytics(lake, name, window=window)
        check(name, window, found.to_pylist(), rows_of(lake, name))
        assert sa.analytics(stored, name, window=window) == found
        assert sa.analytics(flight, name, window=window).to_pylist() == found.to_pylist()


@pytest.mark.parametrize("name", [name for name, kind in NAMES.items() if kind.keyed])
def test_figures_of_one_key_are_those_of_sql(lake: Path, stored: Path, flight: str, name: str) -> None:
    rows = rows_of(lake, name)
    (key,) = keys_of(rows, 1)
    asked: dict[str, Any] = {str(NAMES[name].keyed): key}
    for place in (lake, stored, flight):
        check(name, "1m", sa.analytics(place, name, window="1m", **asked).to_pylist(), rows, key)


def test_the_foremost_are_the_same_from_everywhere(lake: Path, stored: Path, flight: str) -> None:
    asked: dict[str, Any] = {"top": 4, "by": "transfers", "window": "total"}
    found = sa.analytics(lake, "transfers", **asked).to_pylist()
    assert len(found) == 4
    assert sa.analytics(stored, "transfers", **asked).to_pylist() == found
    assert sa.analytics(flight, "transfers", **asked).to_pylist() == found


def test_figures_of_some_ledgers_are_of_these_alone(lake: Path, stored: Path) -> None:
    for place in (lake, stored):
        for ledgers in ("110:131", sa.LedgerRange(110, 131)):
            found = sa.analytics(place, "transfers", window="1m", ledgers=ledgers)
            check("transfers", "1m", found.to_pylist(), rows_of(lake, "transfers", start=110, end=131))
            assert set(found["as_of_ledger"].to_pylist()) == {131}


def test_every_window_of_ledgers_is_counted_however_many(lake: Path) -> None:
    everything = sa.analytics(lake, "network", window="1m")
    starts = [one.strftime("%Y-%m-%dT%H:%M:%SZ") for one in everything["window_start"].to_pylist()]
    found = sa.analytics(lake, "network", window="1m", start=starts[1], end=starts[2])
    assert found == everything.slice(1, 2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name[:12])
def test_figures_of_real_ledgers_are_those_of_sql(path: Path, name: str) -> None:
    rows = rows_of(path, name, network="pubnet")
    for window in ("1m", "7d", "total"):
        found = sa.analytics(path, name, window=window, network="pubnet")
        check(name, window, found.to_pylist(), rows)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"name": "volume"}, "there are no analytics 'volume'"),
        ({"window": "2h"}, "window is '2h'"),
        ({"contract": "C"}, "analytics/transfers is by asset: leave contract out"),
        ({"top": 0}, "top is 0: it must be a number from 1 to 1,000"),
        ({"by": "volume"}, "by orders the foremost: say how many with top"),
        ({"top": 3, "asset": "XLM"}, "the foremost are of all"),
        ({"start": "soon"}, "from is 'soon': write it as 2024-07-01 or -1d"),
        ({"token": "x"}, "session and token are of a processor"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_read(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(sa.ConfigError) as caught:
        sa.analytics("no-such-place", asked.pop("name", "transfers"), **asked)
    assert message in str(caught.value)


def test_a_processor_that_is_not_there_is_told() -> None:
    with pytest.raises(sa.SourceUnavailable, match="does not answer"):
        sa.analytics(f"flight://127.0.0.1:{free_port()}", "network")


def test_what_a_processor_refuses_is_told(flight: str) -> None:
    with pytest.raises(sa.SourceError, match="refuses analytics/network: there is no session 'x'"):
        sa.analytics(flight, "network", session="x")


def test_a_folder_without_the_table_says_which_it_has(lake: Path, tmp_path: Path) -> None:
    sa.run(lake, tables=["ledgers"], sinks=f"parquet:{tmp_path}")
    with pytest.raises(sa.SourceError, match="was extracted without token_transfers: it has ledgers"):
        sa.analytics(tmp_path, "transfers")


def test_a_request_is_the_same_as_command_and_as_parameters() -> None:
    asked = FiguresRequest(name="transfers", window="5m", start="2024-07-01", end="2024-07-02", key="native")
    parameters = {"window": "5m", "from": "2024-07-01", "to": "2024-07-02", "asset": "native"}
    assert of_query("transfers", parameters) == asked
    assert parse(asked.ticket()) == asked
    assert is_figures(asked.ticket())
    assert of_query("events", {"top": "5", "by": "events"}) == FiguresRequest(
        name="events", top=5, by="events"
    )


def test_other_commands_are_none_of_figures() -> None:
    others = (b"", b"{", b"[]", b'{"table": "token_transfers"}', b'{"table": 5}', b"\xff")
    assert not any(map(is_figures, others))


def test_a_parameter_that_is_unknown_is_answered_with_the_nearest() -> None:
    with pytest.raises(sa.ConfigError, match="there is no parameter 'windw': did you mean 'window'"):
        of_query("transfers", {"windw": "5m"})
