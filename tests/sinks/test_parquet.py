from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stellarrow as sa
from sinks.kept import FileContract
from sinks.lasting import FlatContract
from stellarrow.core.framing import frame
from stellarrow.sinks.files import runs
from stellarrow.sinks.files.formats.parquet import Parquet
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink
from stellarrow.sinks.parquet import ParquetSink


class TestParquetSink(FileContract, FlatContract):
    """Parquet files of ten ledgers in a folder."""

    tables: tuple[str, ...] = ("ledgers", "contract_data")

    def open(self, **choices: Any) -> ParquetSink:
        asked = {"tables": self.tables, **self.choices(), **choices}
        return ParquetSink(self.folder, asked.pop("tables"), **asked)

    def widen(self) -> None:
        self.ledgers_per_file = 1_000

    def paths(self, table: str) -> list[Path]:
        return sorted((self.folder / table).glob("*.parquet"))

    def names(self, table: str) -> list[str]:
        return [path.name for path in self.paths(table)]

    def test_files_are_cut_at_aligned_ledgers_and_named_after_them(self) -> None:
        self.keep((105, 123))
        assert self.names("ledgers") == [
            "0000000105-0000000109.parquet",
            "0000000110-0000000119.parquet",
            "0000000120-0000000123.parquet",
        ]
        assert self.names("contract_data") == self.names("ledgers")

    def test_a_full_file_is_durable_before_the_commit(self) -> None:
        self.keep((100, 114), commit=False)
        assert self.names("ledgers") == ["0000000100-0000000109.parquet"]

    def test_a_file_tells_what_it_holds(self) -> None:
        self.keep((100, 104))
        answer = pq.read_metadata(self.paths("contract_data")[0]).metadata
        assert {name: value for name, value in answer.items() if name.startswith(b"stellarrow.")} == {
            b"stellarrow.table": b"contract_data",
            b"stellarrow.schema_version": b"2.0",
            b"stellarrow.network": b"Stellarrow Synthetic Network ; November 2026",
            b"stellarrow.filter": b"",
            b"stellarrow.decoded": b"",
            b"stellarrow.transfers": b"",
            b"stellarrow.format": b"parquet",
            b"stellarrow.codec": b"zstd",
            b"stellarrow.partition": b"",
            b"stellarrow.first_ledger": b"100",
            b"stellarrow.last_ledger": b"104",
        }

    def test_the_schema_comes_back_with_its_descriptions(self) -> None:
        self.keep((100, 104))
        assert pq.read_schema(self.paths("contract_data")[0]).equals(
            sa.schema("contract_data"), check_metadata=True
        )

    def test_ledgers_without_rows_are_covered_too(self) -> None:
        where = sa.Filter(contract_ids=["CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAD2KM"])
        decoder = sa.Decoder(["contract_data"], network="synthetic", where=where)
        data = frame(self.ledgers[:3], "record-marked")
        sink = ParquetSink(self.folder, ["contract_data"], network="synthetic", where=where)
        sink.write(decoder(sa.LedgerChunk(data, "record-marked", 100, 102, "memory")))
        sink.commit()
        assert str(sink.coverage()) == "100:102"
        assert self.rows("contract_data") == []

    def test_a_table_that_came_later_is_filled_in(self) -> None:
        with_one = ParquetSink(self.folder, ["ledgers"], network="synthetic", ledgers_per_file=10)
        with_one.write(self.batch(100, 119))
        with_one.commit()
        before = {path: path.stat().st_mtime_ns for path in self.paths("ledgers")}
        sink = self.open()
        assert not sink.coverage()
        sink.write(self.batch(100, 119))
        sink.commit()
        sink.close()
        assert str(sink.coverage()) == "100:119"
        assert {path: path.stat().st_mtime_ns for path in self.paths("ledgers")} == before

    @pytest.mark.parametrize(
        ("choices", "fact"),
        [
            ({"network": "pubnet"}, "network 'Stellarrow Synthetic Network ; November 2026', not 'Public"),
            (
                {"where": sa.Filter(include_deleted=False)},
                "filter 'none', not '{\"include_deleted\": false}'",
            ),
        ],
    )
    def test_a_folder_of_something_else_is_refused(self, choices: dict[str, Any], fact: str) -> None:
        self.keep((100, 104))
        with pytest.raises(sa.SchemaMismatch, match=fact):
            self.open(**choices).coverage()

    def test_decoded_values_are_kept_and_are_another_schema(self) -> None:
        sink = self.open(decoded=True)
        decoder = sa.Decoder(self.tables, network="synthetic", decoded=True)
        data = frame(self.ledgers[:3], "record-marked")
        sink.write(decoder(sa.LedgerChunk(data, "record-marked", 100, 102, "memory")))
        sink.commit()
        assert all(row["key_json"] for row in self.rows("contract_data"))
        with pytest.raises(sa.SchemaMismatch, match="decoded 'yes', not 'no'"):
            self.open().coverage()

    def test_a_folder_of_another_version_is_refused(self) -> None:
        self.keep((100, 104))
        with pytest.raises(sa.SchemaMismatch, match=r"schema version '2.0', not '1.0'"):
            ParquetSink(self.folder, ["contract_data@1.0"], network="synthetic").coverage()

    def test_two_versions_cannot_share_a_folder(self) -> None:
        with pytest.raises(sa.ConfigError, match="share one folder"):
            ParquetSink(self.folder, ["contract_data@1.0", "contract_data"], network="synthetic")
        with pytest.raises(sa.ConfigError, match="ledgers is named twice: name it once"):
            ParquetSink(self.folder, ["ledgers", "ledgers"], network="synthetic")

    @pytest.mark.parametrize(
        "name", ["mine.parquet", ".DS_Store", "_SUCCESS", "0000000100-0000000104.parquet.crc"]
    )
    def test_a_foreign_file_is_passed_over(self, name: str) -> None:
        self.keep((100, 104))
        (self.folder / "ledgers" / name).touch()
        self.keep((105, 109))
        self.assert_holds("100:109")

    def test_a_table_in_another_format_is_refused_without_its_manifest_too(self) -> None:
        self.keep((100, 104))
        shutil.rmtree(self.folder / "ledgers" / "_manifest")
        with pytest.raises(sa.SchemaMismatch, match=r"0000000104.parquet is of another format"):
            FileSink(self.folder, ["ledgers"], format=format_of("csv"), network="synthetic").coverage()

    def test_a_broken_file_is_named(self) -> None:
        self.keep((100, 104))
        self.paths("ledgers")[0].write_bytes(b"PAR1")
        with pytest.raises(
            sa.SinkError, match=r"0000000104.parquet has 4 bytes, not the .*: run stellarrow check"
        ):
            self.rows("ledgers")

    def test_what_a_dead_writer_left_is_removed_and_what_a_living_one_writes_is_not(self) -> None:
        living = self.open()
        living.write(self.batch(100, 101))
        left = self.folder / ".writing-1-deadbeef"
        left.mkdir()
        (left / "half").write_bytes(b"half")
        self.keep((110, 111))
        assert not left.exists()
        living.commit()
        living.close()
        assert str(living.coverage()) == "100:101"
        assert list(self.folder.glob(".*")) == []

    def test_two_writers_of_the_same_ledgers_leave_one_file(self) -> None:
        one, other = self.open(), self.open()
        for sink in (one, other):
            sink.write(self.batch(100, 104))
        one.commit()
        before = self.paths("ledgers")[0].read_bytes()
        other.commit()
        assert self.paths("ledgers")[0].read_bytes() == before
        assert self.names("ledgers") == ["0000000100-0000000104.parquet"]

    def test_a_place_one_cannot_write_to_is_a_sink_error(self) -> None:
        self.folder.write_text("a file")
        with pytest.raises(sa.SinkError, match=r"ledgers/_manifest \(Not a .*: a file is where a folder"):
            self.open().coverage()

    def test_a_table_that_is_not_decoded_is_named(self) -> None:
        sink = ParquetSink(self.folder, ["contract_events"], network="synthetic")
        with pytest.raises(sa.ConfigError, match="contract_events, which is not decoded"):
            sink.write(self.batch(100, 104))

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
    @given(st.lists(st.integers(101, 139), max_size=8, unique=True))
    def test_the_bytes_do_not_depend_on_how_the_rows_arrive(self, cuts: list[int]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            # Small enough that forty ledgers cross every bound.
            patch.setattr(Parquet, "block", 7)
            patch.setattr(runs, "SORTED", runs.Length(rows=30, text=20_000))
            patch.setattr(runs, "_BLOCK", 11)
            edges = sorted({100, *cuts, 140})
            written = []
            for name, ranges in (
                ("whole", [(100, 139)]),
                ("parts", [(first, after - 1) for first, after in pairwise(edges)]),
            ):
                self.folder = self.folder.parent / f"{name}-{len(os.listdir(self.folder.parent))}"
                self.keep(*ranges)
                written.append([path.read_bytes() for path in self.paths("contract_data")])
        assert written[0] == written[1]

    def test_rows_come_back_from_many_row_groups_and_runs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Parquet, "block", 7)
        monkeypatch.setattr(runs, "SORTED", runs.Length(rows=20, text=1 << 20))
        monkeypatch.setattr(runs, "_BLOCK", 9)
        self.tables = ("contract_events", "token_transfers", "contract_data")
        self.keep((100, 139))
        assert pq.read_metadata(self.paths("contract_events")[0]).num_row_groups > 5
        self.assert_holds("100:139")

    def test_row_groups_have_the_same_rows_however_they_arrive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(runs, "AS_IT_COMES", runs.Length(rows=8, text=1 << 20))
        monkeypatch.setattr(Parquet, "block", 5)
        self.keep(*((number, number) for number in range(100, 139)))
        held = pq.read_metadata(self.paths("ledgers")[0])
        assert [held.row_group(at).num_rows for at in range(held.num_row_groups)] == [5, 3, 2]


FULL_DISK = """
import pathlib, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
import stellarrow as sa
from stellarrow.sinks.parquet import ParquetSink
data = sa.synth(50, 20, ledger_bytes=20_000)
batch = sa.Decoder(["contract_data"], network="synthetic")(sa.LedgerChunk(data, "auto", 2, 51, "memory"))
sink = ParquetSink(sys.argv[1], ["contract_data"], network="synthetic")
try:
    sink.write(batch)
    sink.commit()
except sa.SinkError as error:
    print(error)
sink.close()
print(*(path for path in pathlib.Path(sys.argv[1]).rglob("*") if path.is_file() or path.name[0] == "."))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
sink = ParquetSink(sys.argv[1], ["contract_data"], network="synthetic")
sink.write(batch)
sink.commit()
sink.close()
"""


def test_a_full_disk_is_a_sink_error_leaves_nothing_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE
    found = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)], capture_output=True, text=True, check=True
    )
    refused, left = found.stdout.splitlines()
    assert "cannot write to" in refused
    assert "make room" in refused
    assert left == ""
    assert [path.name for path in tmp_path.glob("contract_data/*.parquet")] == [
        "0000000002-0000000051.parquet"
    ]
