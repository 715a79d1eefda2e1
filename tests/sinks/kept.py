"""What every sink of files must do beside the contract; the test of a format or a layout inherits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.harmed import HarmContract
from sinks.lasting import LastingContract, Work, count_methods, without
from sinks.shared import SharedSinkContract
from sinks.stepping import Died, Stepping, dying_at
from stellarrow.core.tables import columns_of
from stellarrow.sinks.files import range_writer
from stellarrow.sinks.files.compaction import compact, windows
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.reading import format_of, listings, rows_of
from stellarrow.sinks.files.sink import FileSink
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles


class FormatContract(HarmContract, LastingContract):
    """A sink of files of ten ledgers in a folder."""

    tables: tuple[str, ...] = ("ledgers", "contract_data", "contract_events")
    format = "parquet"
    codec: str | None = None
    partition = "ledgers"
    ledgers_per_file = 10

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path / "out"

    @property
    def root(self) -> Path:
        return self.folder

    def move(self, name: str) -> None:
        self.folder = self.folder.parent / name

    def store(self) -> FileStore:
        return LocalFiles(self.folder)

    def store_source(self) -> str:
        """Return Python source of an expression that is the store."""
        module = "__import__('stellarrow.storage.local_files').storage.local_files"
        return f"{module}.LocalFiles({str(self.folder)!r})"

    def choices(self) -> dict[str, Any]:
        return {
            "network": "synthetic",
            "partition": self.partition,
            "ledgers_per_file": self.ledgers_per_file,
        }

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> FileSink:
        made = {"format": format_of(self.format, self.codec), **self.choices(), **choices}
        return FileSink(self.store(), tables or self.tables, **made)

    def opening(self) -> str:
        return (
            "from sinks.stepping import Stepping\n"
            "from stellarrow.sinks.files.reading import format_of\n"
            "from stellarrow.sinks.files.sink import FileSink\n"
            f"sink = FileSink(Stepping({self.store_source()}, step), {self.tables!r},"
            f" format=format_of({self.format!r}, {self.codec!r}), **{self.choices()!r})"
        )

    def listing(self, table: str) -> Listing:
        return next(one for one in listings(self.store()) if one.shape.folder == table)

    def rows(self, table: str) -> list[dict[str, Any]]:
        held = [one for one in listings(self.store()) if one.shape.folder == table]
        batches = [batch for one in held for batch in rows_of(one)]
        if not batches:
            return []
        return in_order(table, pa.Table.from_batches(batches).to_pylist())

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def everything(self) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(self.root.parent)): path.read_bytes() if path.is_file() else None
            for path in [self.root, *sorted(self.root.rglob("*"))]
            if path.exists()
        }

    def compact(self) -> int:
        return sum(
            compact(listing, around)
            for listing in listings(self.store())
            for around in windows(listing, self.ledgers_per_file)
        )

    def upload(self) -> type:
        """Return the class of what is on its way to the store."""
        begun = self.store().create()
        begun.discard()
        return type(begun)

    def landing(self) -> tuple[Any, str]:
        return self.upload(), "place"

    def tend(self) -> None:
        self.compact()

    def count_work(self, work: Work) -> None:
        sizes = {"write": lambda _, data: memoryview(data).nbytes, "place": None}
        count_methods(self.patches, work, self.upload(), sizes)
        names = ("list", "read", "remove", "move")
        count_methods(self.patches, work, type(self.store()), dict.fromkeys(names))

    def settle(self, sink: Any) -> None:
        sink._compactions.wait()

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        def columns(*given: Any, **named: Any) -> pa.Schema:
            known = columns_of(*given, **named)
            return known.remove(known.get_field_index(column)) if column in known.names else known

        with self.patches.context() as patched:
            patched.setattr(range_writer, "columns_of", columns)
            sink = self.open(**choices)
            sink.write(without(column, batch))
            sink.commit()
            sink.close()

    def test_what_following_leaves_is_made_one_file_a_range(self) -> None:
        self.keep(*((ledger, ledger) for ledger in range(100, 130)))
        expected = self.files()
        self.move("followed")
        sink = self.open()
        for ledger in range(100, 130):
            sink.write(self.batch(ledger, ledger))
            sink.commit()
        sink.close()
        self.assert_holds("100:129")
        assert self.files().keys() == expected.keys()
        if self.partition == "ledgers":
            assert self.files() == expected

    def test_a_file_whose_writer_died_before_entering_it_is_entered_by_the_next(self) -> None:
        if self.partition != "ledgers":
            return  # there the entry is what makes a range count
        self.keep((100, 129))
        expected = self.files()
        self.store().remove(["contract_data/_manifest/0000000110-0000000119.json"])
        before = self.files()
        assert before != expected
        asked = self.open()
        assert str(asked.coverage()) == "100:129"
        asked.close()
        assert self.files() == before
        sink = self.open()
        sink.commit()
        sink.close()
        assert self.files() == expected


class FileContract(FormatContract, SharedSinkContract):
    """The same, killed and shared by writers: what depends on layout and store, not on format."""

    def test_compaction_that_dies_at_any_step_loses_and_doubles_nothing(self) -> None:
        self.let_compaction_die(self.stride)

    @pytest.mark.slow
    def test_compaction_that_dies_at_every_single_step_loses_and_doubles_nothing(self) -> None:
        if self.stride == 1:
            pytest.skip("another test tries each step")
        self.let_compaction_die(1)

    def let_compaction_die(self, stride: int) -> None:
        for step in range(1, 100, stride):
            self.move(f"compaction-{step}")
            for ledger in range(100, 104):
                self.keep((ledger, ledger))
            try:
                for listing in listings(Stepping(self.store(), dying_at(step))):
                    for around in windows(listing, 10):
                        compact(listing, around)
            except Died:
                self.assert_holds("100:103")
                self.compact()
                self.keep((104, 109))
                self.assert_holds("100:109")
                continue
            break
        assert step > 10
        self.assert_holds("100:103")


def in_order(table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = sa.keys(table)
    return sorted(rows, key=lambda row: [(row[name] is not None, row[name]) for name in keys])
