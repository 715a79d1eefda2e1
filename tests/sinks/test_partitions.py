from __future__ import annotations

import re

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.kept import FileContract, FormatContract
from stellarrow.sinks.files import runs
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.layout import NO_VALUE, Partition


class TestByContract(FileContract):
    """Parquet in a folder for each beginning of a contract id."""

    tables = ("ledgers", "contract_data")
    partition = "contract_id:4"
    stride = 4

    def test_rows_lie_in_the_folder_of_their_contract(self) -> None:
        self.keep((100, 119))
        for path in self.folder.glob("contract_data/*=*/*.parquet"):
            rows = self.listing("contract_data").shape.format.read(
                pa.OSFile(str(path)), sa.schema("contract_data")
            )
            contracts = {row[:4] for batch in rows for row in batch.column("contract_id").to_pylist()}
            assert {f"contract_prefix={one}" for one in contracts} == {path.parent.name}

    def test_rows_come_back_from_many_runs_of_dictionaries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Parquet, "block", 7)
        monkeypatch.setattr(runs, "SORTED", runs.Length(rows=20, text=1 << 20))
        monkeypatch.setattr(runs, "_BLOCK", 9)
        self.keep((100, 119))
        self.assert_holds("100:119")

    def test_a_table_without_the_column_has_no_folders(self) -> None:
        self.keep((100, 109))
        assert [path.name for path in self.folder.glob("ledgers/*.parquet")] == [
            "0000000100-0000000109.parquet"
        ]

    def test_what_no_entry_names_is_removed_by_the_next_writer(self) -> None:
        self.keep((100, 109))
        orphan = self.folder / "contract_data" / "contract_prefix=CAAA" / "0000000120-0000000125.parquet"
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"of a writer that died")
        self.assert_holds("100:109")
        self.keep((110, 119))
        assert not orphan.exists()

    def test_another_partition_is_refused_in_the_same_place(self) -> None:
        self.keep((100, 104))
        with pytest.raises(sa.SchemaMismatch, match="partition 'contract_id:4', not 'date'"):
            self.open(tables=("contract_data",), partition="date").coverage()


class TestByEventType(FormatContract):
    """JSON lines in a folder for each type of event."""

    format = "jsonl"
    partition = "event_type"
    tables = ("ledgers", "contract_events")


class TestByHour(FormatContract):
    """Parquet in a folder for each hour."""

    partition = "hour"

    def test_folders_are_named_after_the_hour(self) -> None:
        self.keep((100, 109))
        names = [path.parent for path in self.folder.glob("ledgers/**/*.parquet")]
        assert names
        for name in names:
            assert re.fullmatch(r"hour=\d{4}-\d\d-\d\dT\d\d", name.name)


def folders(partition: str, values: list[str | None]) -> list[str]:
    chosen = Partition.of(partition)
    assert chosen
    places, names = chosen.folders(pa.array(values, pa.string()))
    return [names[place] for place in places.to_pylist()]


def test_a_row_without_a_value_goes_where_hive_puts_it() -> None:
    assert folders("asset_code", ["USD", None, "USD"]) == [
        "asset_code=USD",
        f"asset_code={NO_VALUE}",
        "asset_code=USD",
    ]


def test_a_value_that_is_no_folder_name_is_escaped() -> None:
    assert folders("asset_code", ["../a b"]) == ["asset_code=..%2Fa%20b"]


@pytest.mark.parametrize("text", ["day", "contract_id:2", "contract_id:x", "event_types"])
def test_an_unknown_partition_is_refused(text: str) -> None:
    with pytest.raises(sa.ConfigError, match=re.escape(f"partition {text!r} is unknown: choose ledgers")):
        Partition.of(text)
