from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

import stellarrow as sa
from sinks.kept import FormatContract
from stellarrow.sinks.jsonl import JsonLinesSink


class TestJsonLinesSink(FormatContract):
    """JSON lines of ten ledgers a file."""

    format = "jsonl"

    def lines(self, table: str) -> list[dict[str, Any]]:
        paths = sorted((self.folder / table).glob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text().splitlines()]

    def test_each_line_is_a_row_in_the_order_of_the_ledgers(self) -> None:
        self.keep((100, 114))
        rows = self.batch(100, 114).tables["contract_data"].to_pylist()
        lines = self.lines("contract_data")
        assert [line["ledger_key_hash"] for line in lines] == [row["ledger_key_hash"] for row in rows]
        assert list(lines[0]) == sa.schema("contract_data").names

    def test_amounts_and_wide_integers_are_exact_strings(self) -> None:
        self.keep((100, 114))
        balances = [line["balance"] for line in self.lines("contract_data")]
        expected = [row["balance"] for row in self.batch(100, 114).tables["contract_data"].to_pylist()]
        assert balances == [None if one is None else str(one) for one in expected]
        assert any(balances)
        assert isinstance(self.lines("ledgers")[0]["total_coins"], str)
        assert isinstance(self.lines("ledgers")[0]["ledger_sequence"], int)

    def test_times_are_iso_8601(self) -> None:
        self.keep((100, 100))
        closed = self.batch(100, 100).tables["ledgers"].column("closed_at")[0].as_py()
        assert self.lines("ledgers")[0]["closed_at"] == f"{closed:%Y-%m-%dT%H:%M:%SZ}"

    def test_another_codec_is_refused_in_the_same_place(self) -> None:
        self.keep((100, 104))
        with pytest.raises(sa.SchemaMismatch, match="codec 'none', not 'gzip'"):
            JsonLinesSink(self.folder, self.tables, codec="gzip", **self.choices()).coverage()

    def test_an_unknown_codec_is_named(self) -> None:
        with pytest.raises(sa.ConfigError, match="no codec 'snappy': choose none, gzip"):
            JsonLinesSink(self.folder, self.tables, codec="snappy", network="synthetic")


class TestGzippedJsonLinesSink(FormatContract):
    """The same in gzip."""

    format = "jsonl"
    codec = "gzip"

    def test_any_gzip_reads_it(self) -> None:
        self.keep((100, 109))
        held = gzip.decompress((self.folder / "ledgers/0000000100-0000000109.jsonl.gz").read_bytes())
        assert [json.loads(line)["ledger_sequence"] for line in held.splitlines()] == list(range(100, 110))
