"""What tests of the Delta sink share: tables of a test's own, and what is in them by their log alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import stellarrow as sa
from sinks.delta.opening import options
from sinks.kept import in_order
from sinks.lasting import LastingContract, Work, count_methods, without
from sinks.shared import SharedSinkContract
from stellarrow.core.tables import columns_of
from stellarrow.sinks.delta import DeltaSink
from stellarrow.sinks.lakehouse import coverage
from stellarrow.storage.files import FileStore
from stellarrow.storage.local_files import LocalFiles


def plain_files(table: Path) -> list[str]:
    """Read a table's log as its format says, from its first commit, without any code of ours."""
    files: dict[str, None] = {}
    for commit in sorted((table / "_delta_log").glob("*.json")):
        for line in commit.read_text().splitlines():
            action = json.loads(line)
            if "add" in action:
                files[action["add"]["path"]] = None
            if "remove" in action:
                del files[action["remove"]["path"]]
    return [unquote(path) for path in files]


def plain_rows(table: Path) -> list[dict[str, Any]]:
    found = [pq.ParquetFile(table / path).read() for path in plain_files(table)]
    return [row for one in found for row in one.to_pylist()]


class DeltaContract(SharedSinkContract, LastingContract):
    """The Delta sink, in a folder, with files of ten ledgers."""

    ledgers_per_file = 10
    stride = 19  # before every single step: the slow test

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
        module = "__import__('stellarrow.storage.local_files').storage.local_files"
        return f"{module}.LocalFiles({str(self.folder)!r})"

    def open(self, *, tables: tuple[str, ...] | None = None, **choices: Any) -> DeltaSink:
        return DeltaSink(
            self.store(),
            tables or self.tables,
            options=options(**choices),
            ledgers_per_file=self.ledgers_per_file,
        )

    def opening(self) -> str:
        return (
            "from sinks.delta.opening import options\n"
            "from sinks.stepping import Stepping\n"
            "from stellarrow.sinks.delta import DeltaSink\n"
            f"sink = DeltaSink(Stepping({self.store_source()}, step), {self.tables!r}, options=options(),"
            f" ledgers_per_file={self.ledgers_per_file})"
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        return in_order(table, plain_rows(self.root / table))

    def expected(self, table: str, first: int, last: int) -> list[dict[str, Any]]:
        return in_order(table, super().expected(table, first, last))

    def everything(self) -> dict[str, bytes | None]:
        return {
            str(path.relative_to(self.root.parent)): path.read_bytes() if path.is_file() else None
            for path in [self.root, *sorted(self.root.rglob("*"))]
            if path.exists()
        }

    def upload(self) -> type:
        begun = self.store().create()
        begun.discard()
        return type(begun)

    def landing(self) -> tuple[Any, str]:
        return self.upload(), "place"

    def tend(self) -> None:
        """Merge, and write checkpoints; what other programs do here has tests of its own."""
        DeltaSink.compact(f"delta:{self.folder}", self.ledgers_per_file)

    def count_work(self, work: Work) -> None:
        sizes = {"write": lambda _, data: memoryview(data).nbytes, "place": None}
        count_methods(self.patches, work, self.upload(), sizes)
        count_methods(self.patches, work, type(self.store()), dict.fromkeys(("list", "read", "remove")))

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
