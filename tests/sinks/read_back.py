"""What every place of rows must give back; the test of one that is no folder of files inherits it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stellarrow as sa
from sinks.holes import assert_told, hole_told
from sinks.kept import in_order

Run = Callable[..., Any]
TABLES = ("--tables", "ledgers,contract_data")
PARTS = ((100, 119), (130, 139))


def expected(
    ledgers: tuple[bytes, ...], table: str, ranges: tuple[tuple[int, int], ...] = PARTS
) -> list[dict[str, Any]]:
    return [
        row
        for first, last in ranges
        for ledger in ledgers[first - 100 : last - 99]
        for row in sa.decode(ledger, tables=[table], network="synthetic")[table].to_pylist()
    ]


def write_parts(place: str, stellarrow: Run, lake: Path) -> str:
    """Write the ledgers of PARTS; return the place."""
    for first, last in PARTS:
        done = stellarrow("extract", lake, *TABLES, "--ledgers", f"{first}:{last}", "--to", place)
        assert done.code == 0, done.err
    return place


class ReadBack:
    """Reads a place with ledgers 100 to 119 and 130 to 139 by the commands and in Python.

    A test's place is the fixture `place`, which nobody has written to.
    """

    is_sorted_otherwise = False  # within a ledger

    @pytest.fixture
    def written(self, place: str, stellarrow: Run, make_lake: Callable[..., Path]) -> str:
        return write_parts(place, stellarrow, make_lake())

    def test_every_way_to_read_tells_of_a_hole(self, written: str, stellarrow: Run) -> None:
        assert_told(written, stellarrow)

    @pytest.mark.parametrize("table", ["ledgers", "contract_data"])
    def test_scan_gives_rows_of_the_tables_types_in_the_order_of_ledgers(
        self, written: str, ledgers: tuple[bytes, ...], table: str
    ) -> None:
        with hole_told(table):
            scan = sa.scan(written, table=table)
        assert scan.schema.equals(sa.schema(table))
        rows, due = scan.to_table().to_pylist(), expected(ledgers, table)
        assert [row["ledger_sequence"] for row in rows] == [row["ledger_sequence"] for row in due]
        assert (in_order(table, rows) if self.is_sorted_otherwise else rows) == due

    def test_scan_gives_some_ledgers_columns_and_rows(self, written: str, ledgers: tuple[bytes, ...]) -> None:
        names = ["ledger_sequence", "ledger_key_hash"]
        some = sa.scan(written, table="contract_data", start=110, end=114, columns=names).to_table()
        due = expected(ledgers, "contract_data", ((110, 114),))
        assert some.column_names == names
        rows, kept = some.to_pylist(), [{name: row[name] for name in names} for row in due]
        if self.is_sorted_otherwise:
            rows, kept = sorted(rows, key=str), sorted(kept, key=str)
        assert rows == kept
        with hole_told("ledgers"):
            filtered = sa.scan(written, table="ledgers", where="ledger_sequence % 2 = 0").to_table()
        assert filtered["ledger_sequence"].to_pylist() == [*range(100, 120, 2), *range(130, 140, 2)]

    def test_scan_refuses_ledgers_and_tables_that_are_not_there(self, written: str) -> None:
        with pytest.raises(sa.LedgerMissing, match="has 100:119, 130:139, but not 120:129"):
            sa.scan(written, table="ledgers", start=100, end=139)
        with pytest.raises(sa.SourceError, match="has no ttl: it has contract_data, ledgers"):
            sa.scan(written, table="ttl")

    def test_coverage_shows_what_is_there_and_verifies_it(self, written: str, stellarrow: Run) -> None:
        done = stellarrow("coverage", written, "--verify", "--json")
        assert done.code == 0, done.out
        found = {one["table"]: one for one in json.loads(done.out)["tables"]}
        assert {name: one["ledgers"] for name, one in found.items()} == {
            "contract_data": "100:119, 130:139",
            "ledgers": "100:119, 130:139",
        }
        of_ledgers = found["ledgers"]
        assert (of_ledgers["missing"], of_ledgers["rows"], of_ledgers["faults"]) == ("120:129", 30, [])
        assert found["contract_data"]["faults"] == []
        assert of_ledgers["last_closed_at"] == found["contract_data"]["last_closed_at"]

    def test_extract_compares_what_is_there_with_the_source(
        self, written: str, stellarrow: Run, make_lake: Callable[..., Path]
    ) -> None:
        done = stellarrow("extract", make_lake(name="again"), *TABLES, "--to", written, "--verify")
        assert done.code == 0, done.err

    def test_sql_asks_the_place(self, written: str, stellarrow: Run) -> None:
        query = "select count(*) as n, max(ledger_sequence) as last from ledgers"
        done = stellarrow("sql", query, "--data", written, "--json")
        assert (json.loads(done.out), done.code) == ({"n": 30, "last": 139}, 0)

    def test_check_finds_all_sound(self, written: str, stellarrow: Run) -> None:
        sound = stellarrow("check", written)
        assert (sound.code, "2 tables of 2 sound" in sound.out) == (0, True), sound.out

    def test_a_place_without_a_table_says_so(self, place: str, stellarrow: Run) -> None:
        for words in (("coverage",), ("sql", "select 1", "--data"), ("check",)):
            done = stellarrow(*words, place)
            assert (done.code in (1, 2), "holds no table" in done.err) == (True, True), done.err
