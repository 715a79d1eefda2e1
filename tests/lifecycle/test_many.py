"""A hundred thousand files are planned with few operations."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.core.tables import table
from stellarrow.ledgers import LedgerRange
from stellarrow.lifecycle.aging import AgingTable
from stellarrow.lifecycle.plan import ARCHIVE, made_plan
from stellarrow.lifecycle.policies import Policy
from stellarrow.sinks.files.layout import Partition, named_range
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.manifest import Entry, KeptFile
from stellarrow.sinks.files.range_writer import shape_of
from stellarrow.sinks.files.reading import format_of
from stellarrow.storage.files import Found

FILES, LEDGERS, SECONDS = 100_000, 100, 5
BEGAN = 1_700_000_000


class Generated:
    """Files of a hundred ledgers, each made when it is read; every call is counted."""

    def __init__(self, partition: str) -> None:
        facts = {"network": "synthetic", "filter": "", "decoded": "", "format": "jsonl", "codec": "none"}
        self.shape = shape_of(table("ledgers"), facts, format_of("jsonl"), Partition.of(partition))
        data = frame([*islice(synthetic(1, first=100, ledger_bytes=4_096), 1)], "record-marked")
        chunk = sa.LedgerChunk(data, "record-marked", 100, 100, "memory")
        self.row = sa.Decoder(["ledgers"], network="synthetic")(chunk).tables["ledgers"]
        ranges = [LedgerRange(at * LEDGERS, at * LEDGERS + LEDGERS - 1) for at in range(1, FILES + 1)]
        folder = "date=2024-01-01" if self.shape.partition else ""
        self.files = [Found(f"ledgers/{self.shape.path(one, folder)}", 1_000, 0) for one in ranges]
        names = [file.path.rpartition("/")[2].removesuffix(".jsonl") for file in self.files]
        self.files += [Found(f"ledgers/_manifest/{name}.json", 500, 0) for name in names]
        self.calls: Counter[str] = Counter()

    def __str__(self) -> str:
        return "generated"

    def list(self, folder: str, **_: Any) -> list[Found]:
        self.calls["list"] += 1
        return self.files if folder == "ledgers" else []

    def read(self, path: str) -> pa.NativeFile:
        self.calls["read"] += 1
        ledgers = named_range(path)
        assert ledgers
        made = pa.BufferOutputStream()
        writing = self.shape.format.begin(made, self.shape.schema)
        moment = datetime.fromtimestamp(BEGAN + ledgers.end * SECONDS, UTC)
        row = self.row
        for name, value in (("ledger_sequence", ledgers.end), ("closed_at", moment)):
            at = row.schema.get_field_index(name)
            row = row.set_column(at, row.schema.field(at), pa.array([value], row.schema.field(at).type))
        writing.write(row)
        writing.close({})
        data = made.getvalue().to_pybytes()
        if "/_manifest/" in path:
            folder = "date=2024-01-01" if self.shape.partition else ""
            kept = KeptFile(self.shape.path(ledgers, folder), len(data), 1, hashlib.sha256(data).hexdigest())
            data = Entry(ledgers, self.shape.facts, (kept,)).encode()
        return pa.BufferReader(data)


@pytest.mark.parametrize("partition", ["ledgers", "date"])
def test_planning_lists_twice_and_reads_few_of_a_hundred_thousand_files(partition: str) -> None:
    store: Any = Generated(partition)
    looked = AgingTable.look(Listing(store, store.shape))
    half = FILES // 2
    now = BEGAN + (half * LEDGERS + LEDGERS - 1) * SECONDS + 90 * 86_400
    plan = made_plan([looked], {"jsonl": Policy(archive=90 * 86_400)}, has_archive=True, now=now)
    assert plan.problems == []
    assert len(plan.steps) == half
    assert {step.action for step in plan.steps} == {ARCHIVE}
    assert plan.steps[-1].ledgers.end == half * LEDGERS + LEDGERS - 1
    assert all(len(step.files) == 1 for step in plan.steps)
    assert store.calls["list"] <= 2
    assert store.calls["read"] <= 300
