from __future__ import annotations

import csv
import json
from typing import Any

import stellarrow as sa
from sinks.kept import FormatContract


class TestCsvSink(FormatContract):
    """CSV of ten ledgers a file, in zstd."""

    format = "csv"
    codec = "zstd"


class TestPlainCsvSink(FormatContract):
    """The same without compression."""

    format = "csv"

    def lines(self, table: str) -> list[dict[str, Any]]:
        path = self.folder / table / "0000000100-0000000109.csv"
        with path.open(newline="") as file:
            return list(csv.DictReader(file))

    def test_any_reader_of_csv_reads_it(self) -> None:
        self.keep((100, 109))
        rows = self.batch(100, 109).tables["contract_data"].to_pylist()
        lines = self.lines("contract_data")
        assert list(lines[0]) == sa.schema("contract_data").names
        assert [line["balance"] for line in lines] == [
            "" if row["balance"] is None else str(row["balance"]) for row in rows
        ]

    def test_lists_are_json(self) -> None:
        self.keep((100, 109))
        rows = self.batch(100, 109).tables["contract_events"].to_pylist()
        topics = [json.loads(line["topics_xdr"]) for line in self.lines("contract_events")]
        assert topics == [row["topics_xdr"] for row in rows]
