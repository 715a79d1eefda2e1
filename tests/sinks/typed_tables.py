"""What a place of rows must do with contracts' own tables; the test of a sink that takes them inherits it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stellarrow as sa
from sinks.lasting import together
from stellarrow.core.typed import Knowledge, TypedTables
from stellarrow.core.typed_columns import own_columns
from stellarrow.protocols import Compacting, Forgetting
from stellarrow.registry import SinkOptions, open_sink, sink_entry
from typed_specs import CONTRACT, SCALARS, Kind, event_of, interface, text, transfer_spec, u32, value_of

COIN = "CCTQ4JULOE33DGJZSTNT2JAEDXSY5QY2HWYSHG2QZJ6CZ2NUKULJSO6A"  # whose transfers synthetic ledgers have
EVENTS = f"typed:{COIN}/events"
TRANSFERS = f"{EVENTS}/Transfer"
STORAGE = f"typed:{COIN}/storage"
MOVED = f"typed:{CONTRACT}/events/Moved"
_COMPOSED = (
    Kind("enum"),
    Kind("option", (Kind("i128"),)),
    Kind("vec", (Kind("u256"),)),
    Kind("vec", (Kind("option", (Kind("timepoint"),)),)),
    Kind("map", (Kind("symbol"), Kind("u64"))),
    Kind("tuple", (Kind("u32"), Kind("timepoint"), Kind("bytes"))),
    Kind("struct", (Kind("bool"), Kind("i128"), Kind("vec", (Kind("u32"),)))),
    Kind("union", (Kind("u64"), Kind("vec", (Kind("tuple", (Kind("i128"), Kind("string"))),)))),
)
Run = Callable[..., Any]


def known() -> TypedTables:
    """Make tables of the transfers of synthetic ledgers, found by their names as long as they are held."""
    return Knowledge([EVENTS], {COIN: transfer_spec("i128")}).tables()


class TypedTablesContract:
    """Before a sink's own test: all its promises, kept with a contract's own tables."""

    tables: tuple[str, ...] = (TRANSFERS, f"{EVENTS}/_other")

    @pytest.fixture(autouse=True)
    def _known(self) -> None:
        self.known = known()

    @property
    def address(self) -> str:
        """What the place is called where rows are scanned."""
        raise NotImplementedError

    def opening(self) -> str:
        source: str = super().opening()  # type: ignore[misc]  # what comes behind it has it
        return f"from sinks.typed_tables import known\nheld = known()\n{source}"

    def rows(self, table: str) -> list[dict[str, Any]]:
        if table not in self.tables or not table.startswith("typed:"):
            found: list[dict[str, Any]] = super().rows(table)  # type: ignore[misc]  # as above
            return found
        read = [
            row
            for one in _held(self.address)
            for part in one.ledgers
            for batch in (one.read(one.schema.names, part) if one.name == table else ())
            for row in batch.to_pylist()
        ]
        return in_order(table, read)

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))  # type: ignore[misc]  # as above


def in_order(table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = sa.keys(table)
    return sorted(rows, key=lambda row: [(row[name] is not None, row[name]) for name in keys])


@cache
def all_kinds() -> tuple[tuple[Kind, ...], tuple[tuple[bytes, ...], ...]]:
    """Return declared types of every kind, and values of each."""
    kinds = (*map(Kind, SCALARS), *_COMPOSED)
    found: list[tuple[bytes, ...]] = []

    @settings(max_examples=12, derandomize=True, database=None, deadline=None)
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        found.append(tuple(value_of(data.draw, kind)[0] for kind in kinds))

    draw()
    return kinds, tuple(found)


def odd_spec() -> bytes:
    """SCSpecEntry: `Moved`, whose names differ in their case alone, or are no words, inside a struct, too."""
    names = (b"x", b"X", b"a b")
    fields = b"".join(text(b"") + text(name) + Kind("u32").declared for name in names)
    struct = u32(1) + text(b"") * 2 + text(b"Odd") + u32(len(names)) + fields
    held = [(b"a", "u32"), (b"A", "u32"), (b"b c", "symbol"), (b"d\"'`", "i128"), (b"odd", "")]
    params = b"".join(
        text(b"") + text(name) + (Kind(of).declared if of else u32(2000) + text(b"Odd")) + u32(0)
        for name, of in held
    )
    event = (
        u32(5) + text(b"") * 2 + text(b"Moved") + u32(1) + text(b"moved") + u32(len(held)) + params + u32(2)
    )
    return struct + event


def odd_event() -> tuple[list[bytes], bytes]:
    """Return an event of it: topics and data."""

    def of(entries: list[tuple[bytes, bytes]]) -> bytes:
        made = b"".join(u32(15) + text(name) + xdr for name, xdr in sorted(entries))
        return u32(17) + u32(1) + u32(len(entries)) + made

    number = u32(3) + u32(7)
    odd = of([(b"x", number), (b"X", u32(3) + u32(8)), (b"a b", u32(3) + u32(9))])
    amount = u32(10) + (-(2**127)).to_bytes(16, "big", signed=True)
    held = [(b"a", number), (b"A", u32(3) + u32(5)), (b"b c", u32(15) + text(b"word")), (b"d\"'`", amount)]
    return [u32(15) + text(b"moved")], of([*held, (b"odd", odd)])


class TypedReadBack:
    """Writes contracts' own tables to a place and reads them by the commands and in Python.

    A test's place is the fixture `place`, which nobody has written to.
    """

    latest: datetime | None = None  # time that the place has; what is later is null, beside its seconds

    def expected(self, rows: pa.RecordBatch) -> list[dict[str, Any]]:
        return [
            {
                name: None if isinstance(value, datetime) and self.latest and value > self.latest else value
                for name, value in row.items()
            }
            for row in rows.to_pylist()
        ]

    def test_values_of_every_type_and_of_any_name_come_back(self, place: str) -> None:
        kinds, values = all_kinds()
        events = [event_of([*one], 0) for one in values]
        for at, (spec, made) in enumerate(((interface([*kinds], 0), events), (odd_spec(), [odd_event()])), 1):
            known = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: spec})
            known.seed(_columns(place))
            tables = known.tables()
            rows = of_ledger(tables.rows(CONTRACT, events=made)[MOVED], at)
            write(place, {MOVED: rows}, at)
            assert {*rows.column("spec_status").to_pylist()} == {"decoded"}
            back = sa.scan(place, table=MOVED, ledgers=f"{at}:{at}").to_table().select(rows.schema.names)
            assert back.to_pylist() == self.expected(rows)
            assert _columns(place)[MOVED].equals(sa.schema(MOVED), check_metadata=True)

    def test_columns_come_with_new_code_and_rows_stay(
        self, place: str, make_lake: Callable[..., Path], tmp_path: Path
    ) -> None:
        lake, files = make_lake(100, 105), f"parquet:{tmp_path}/files"
        for ledgers, kind in (("100:101", "i128"), ("102:103", "val"), ("104:105", "i128")):
            for to in (place, files):
                specs = {COIN: transfer_spec(kind)}
                sa.run(lake, tables=[f"typed:{COIN}", "ledgers"], sinks=to, specs=specs, ledgers=ledgers)
        found, due = (sa.scan(one, table=TRANSFERS) for one in (place, files))
        assert found.schema.equals(due.schema, check_metadata=True)
        *_, later = [field.name for field in own_columns(found.schema)]
        rows = in_order(TRANSFERS, found.to_table().to_pylist())
        assert rows == in_order(TRANSFERS, due.to_table().to_pylist())
        assert {row["ledger_sequence"] in (102, 103): row[later] is None for row in rows} == {
            True: False,
            False: True,
        }
        sink: Any = sink_entry(place).load()
        if isinstance(sink, Compacting):
            sink.compact(place, 10)
        if isinstance(sink, Forgetting):
            sink.forget(place, TRANSFERS, sa.LedgerSet([sa.LedgerRange(101, 101)]))
            assert _covered(place) == "100, 102:105"
            specs = {COIN: transfer_spec("i128")}
            sa.run(lake, tables=[f"typed:{COIN}", "ledgers"], sinks=place, specs=specs, ledgers="101:101")
        assert _covered(place) == "100:105"
        assert rows == in_order(TRANSFERS, sa.scan(place, table=TRANSFERS).to_table().to_pylist())

    def test_two_that_begin_at_once_with_other_columns_have_both_in_one_table(self, place: str) -> None:
        sinks, held = [], []
        for ledger, kinds in ((1, [Kind("u32")]), (2, [Kind("u32"), Kind("bool")])):
            held.append(Knowledge([MOVED], {CONTRACT: interface(kinds, 0)}).tables())
            sinks.append(_opened(place, [MOVED]))
            values = [u32(3) + u32(ledger), u32(0) + u32(1)]
            rows = held[-1].rows(CONTRACT, events=[event_of(values[: len(kinds)], 0)])[MOVED]
            sinks[-1].write(_batch({MOVED: of_ledger(rows, ledger)}, ledger))
        together(*(sink.commit for sink in sinks))
        for sink in sinks:
            sink.close()
        back = sa.scan(place, table=MOVED).to_table().to_pylist()
        assert [(row["ledger_sequence"], row["p0"], row["p1"]) for row in back] == [
            (1, 1, None),
            (2, 2, True),
        ]
        held.append(Knowledge([MOVED], {CONTRACT: interface([Kind("symbol")], 0)}).tables())
        with closing(_opened(place, [MOVED])) as sink:
            values = [u32(15) + text(b"word")]
            rows = held[-1].rows(CONTRACT, events=[event_of(values, 0)])[MOVED]
            with pytest.raises(sa.SchemaMismatch, match="column p0 as uint32 and as string"):
                _keep(sink, _batch({MOVED: of_ledger(rows, 3)}, 3))

    def test_every_command_reads_them_by_the_names_that_files_have(
        self, place: str, stellarrow: Run, make_lake: Callable[..., Path], tmp_path: Path
    ) -> None:
        lake, files, specs = make_lake(100, 102), f"parquet:{tmp_path}/files", {COIN: transfer_spec("i128")}
        for to in (place, files):
            sa.run(lake, tables=[f"typed:{COIN}", "ledgers"], sinks=to, specs=specs)
        names = {one.name for one in _held(place)}
        assert {TRANSFERS, f"{STORAGE}/_other", "ledgers"} <= names
        told = stellarrow("coverage", place, "--verify", "--json")
        found = {one["table"]: one for one in json.loads(told.out)["tables"]}
        assert (told.code, {*found}) == (0, names), told.err
        assert {(one["ledgers"], len(one["faults"])) for one in found.values()} == {("100:102", 0)}
        words = (
            "--tables",
            f"typed:{COIN}",
            "--spec",
            f"{COIN}={tmp_path / 'coin.spec'}",
            "--network",
            "synthetic",
        )
        (tmp_path / "coin.spec").write_bytes(transfer_spec("i128"))
        done = stellarrow("extract", lake, *words, "--to", place, "--verify")
        assert done.code == 0, done.err + done.out
        sound = stellarrow("check", place)
        assert (sound.code, f"{len(names)} tables of {len(names)} sound" in sound.out) == (0, True), sound.out
        loose = sa.scan(place, table=f"{EVENTS}/transfer", where="amount > 0", columns=["to", "amount"])
        assert loose.to_table().num_rows
        asked = 'select count(*) as n, sum(amount) as whole, max("from") as sender from typed.coin_Transfer'
        states = f'select count(*) as n from typed."{COIN}_state_Balance"'
        for query in (asked, states) if f"{STORAGE}/Balance" in names else (asked,):
            answers = [
                stellarrow("sql", query, "--data", to, "--csv", "--name", f"coin={COIN}")
                for to in (place, str(tmp_path / "files"))
            ]
            assert [one.code for one in answers] == [0, 0], answers
            assert answers[0].out == answers[1].out
        if f"{STORAGE}/Balance" in names:
            state = sa.scan(place, table=f"typed:{COIN}/state/Balance").to_table()
            due = sa.scan(files, table=f"typed:{COIN}/state/Balance").to_table()
            assert sorted(state.to_pylist(), key=str) == sorted(due.to_pylist(), key=str)


def _held(place: str) -> list[Any]:
    kind: Any = sink_entry(place).load()
    return list(kind.held(place))


def _covered(place: str) -> str:
    return str(next(one.ledgers for one in _held(place) if one.name == TRANSFERS))


def _columns(place: str) -> dict[str, pa.Schema]:
    kind: Any = sink_entry(place).load()
    return dict(kind.typed_columns(place))


def _opened(place: str, tables: list[str]) -> sa.Sink:
    return open_sink(place, tables, SinkOptions(network=sa.Network.of("synthetic")))


def _batch(tables: dict[str, pa.RecordBatch], ledger: int) -> sa.LedgerBatch:
    return sa.LedgerBatch(ledger, ledger, tables, sa.LedgerRun(1, ledger, ledger, 0, 0, "", "", 0, 0))


def write(place: str, tables: dict[str, pa.RecordBatch], ledger: int) -> None:
    with closing(_opened(place, [*tables])) as sink:
        _keep(sink, _batch(tables, ledger))


def _keep(sink: sa.Sink, batch: sa.LedgerBatch) -> None:
    sink.write(batch)
    sink.commit()


def of_ledger(rows: pa.RecordBatch, ledger: int) -> pa.RecordBatch:
    at = rows.schema.get_field_index("ledger_sequence")
    return rows.set_column(at, rows.schema.field(at), pa.array([ledger] * rows.num_rows, pa.uint32()))
