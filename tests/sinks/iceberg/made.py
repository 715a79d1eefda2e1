"""What tests of the Iceberg sink share: a catalog of a test's own, and what PyIceberg sees in it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.delta.opening import options
from sinks.iceberg.opening import configure
from sinks.kept import in_order
from sinks.lasting import LastingContract, Work, count_methods, without
from sinks.shared import SharedSinkContract
from stellarrow.core.tables import columns_of
from stellarrow.sinks.iceberg import IcebergSink
from stellarrow.sinks.iceberg.book import IcebergBook
from stellarrow.sinks.iceberg.catalog import FileUpload, Namespace
from stellarrow.sinks.iceberg.location import Location
from stellarrow.sinks.lakehouse import coverage

URL = "iceberg:test/stellar?ledgers=10"


def table_of(name: str, place: str = URL) -> Any:
    """Return a table as PyIceberg has it, None where there is none."""
    with closing(Namespace(Location.parse(place))) as namespace:
        return namespace.load(name)


def plain_rows(name: str) -> list[dict[str, Any]]:
    table = table_of(name)
    return table.scan().to_arrow().to_pylist() if table else []


class IcebergContract(SharedSinkContract, LastingContract):
    """The Iceberg sink, with files of ten ledgers and a catalog in SQLite."""

    stride = 13
    longest = 3.0
    choices = ""  # of the URL

    @pytest.fixture(autouse=True)
    def _catalog(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("TYPE", "URI", "WAREHOUSE"):
            monkeypatch.setenv(f"PYICEBERG_CATALOG__TEST__{name}", "")
        self.folder = tmp_path / "out"
        configure(self.folder)

    def move(self, name: str) -> None:
        self.folder = self.folder.parent / name
        configure(self.folder)

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> IcebergSink:
        return IcebergSink(URL + self.choices, tables or self.tables, options=options(**choices))

    def opening(self) -> str:
        return (
            "from pathlib import Path\n"
            "from sinks.iceberg.opening import opened\n"
            "from sinks.iceberg.stepping import step_through\n"
            "import stellarrow.sinks.iceberg.book, stellarrow.sinks.iceberg.upkeep\n"
            "step_through(step)\n"
            f"sink = opened(Path({str(self.folder)!r}), {self.tables!r})"
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        return in_order(table, plain_rows(table))

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))

    def everything(self) -> dict[str, Any]:
        held = {name: table.metadata_location for name in self.tables if (table := table_of(name))}
        warehouse = self.folder / "warehouse"
        files = {str(path): path.read_bytes() for path in sorted(warehouse.rglob("*")) if path.is_file()}
        return held | files

    def landing(self) -> tuple[Any, str]:
        return IcebergBook, "_committed"

    def tend(self) -> None:
        """Merge, and let snapshots expire, as other programs do."""
        IcebergSink.compact(URL, 10)
        for name in self.tables:
            if (table := table_of(name)) and len(table.metadata.snapshots) > 1:
                old = [one.snapshot_id for one in table.metadata.snapshots[:-1]]
                table.maintenance.expire_snapshots().by_ids(old).commit()

    def count_work(self, work: Work) -> None:
        from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO  # noqa: PLC0415

        count_methods(self.patches, work, FileUpload, {"write": lambda _, data: memoryview(data).nbytes})
        count_methods(self.patches, work, PyArrowFile, {"open": lambda file, *_, **__: len(file)})
        count_methods(self.patches, work, PyArrowFileIO, dict.fromkeys(("new_input", "new_output", "delete")))
        count_methods(self.patches, work, IcebergBook, {"_committed": None})

    def settle(self, sink: Any) -> None:
        sink._upkeep.wait()

    def keep_as_before(self, column: str, batch: sa.LedgerBatch, **choices: Any) -> None:
        def columns(*given: Any, **named: Any) -> pa.Schema:
            known = columns_of(*given, **named)
            return known.remove(known.get_field_index(column)) if column in known.names else known

        with self.patches.context() as patched:
            patched.setattr(coverage, "columns_of", columns)
            sink = self.open(**choices)
            sink.write(without(column, batch))
            sink.commit()
            sink.close()
