"""Few rows that the core reads of a row group are those that Arrow reads; what it does not know it leaves."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from stellarrow.analysis.reads.layouts import Layouts, layout_of
from stellarrow.core.few_rows import Terms

ROWS = 3_000
SCHEMA = pa.schema(
    [
        pa.field("ledger_sequence", pa.uint32(), nullable=False),
        pa.field("closed_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("from", pa.string()),
        pa.field("to", pa.string(), nullable=False),
        pa.field("contract_id", pa.string()),
        pa.field("amount", pa.decimal128(38, 0)),
        pa.field("is_paid", pa.bool_()),
        pa.field("number", pa.int64()),
        pa.field("never", pa.string()),
    ]
)
WRITINGS: dict[str, dict[str, Any]] = {
    "as ours are": {"compression": "zstd"},
    "of many pages": {"compression": "zstd", "max_rows_per_page": 100, "write_batch_size": 50},
    "plain": {"compression": "none", "use_dictionary": False},
    "of large plain pages": {"compression": "zstd", "use_dictionary": False},
    "of a full dictionary": {
        "compression": "zstd",
        "dictionary_pagesize_limit": 2_000,
        "write_batch_size": 64,
    },
}


def account(at: int) -> str:
    return f"G{at:055}"


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    dice = random.Random(7)  # noqa: S311  rows that are the same each time
    began = datetime(2026, 1, 1, tzinfo=UTC)
    return pa.Table.from_pylist(
        [
            {
                "ledger_sequence": 100 + at // 50,
                "closed_at": began + timedelta(microseconds=at * 1_001),
                "from": account(dice.randrange(600)) if dice.random() < 0.7 else None,
                "to": account(int(dice.random() ** 6 * 600)),
                "contract_id": f"C{at // 40:055}" if dice.random() < 0.9 else None,
                "amount": Decimal(dice.randrange(-(10**30), 10**30)) if dice.random() < 0.8 else None,
                "is_paid": dice.choice([True, False, None]),
                "number": dice.choice([None, -at, at << 40]),
            }
            for at in range(ROWS)
        ],
        SCHEMA,
    )


@pytest.fixture(params=WRITINGS)
def path(request: pytest.FixtureRequest, rows: pa.Table, tmp_path: Path) -> Path:
    """A file of two row groups."""
    how = WRITINGS[request.param]
    pq.write_table(
        rows, tmp_path / "rows.parquet", row_group_size=ROWS // 2 + 1, write_page_checksum=True, **how
    )
    return tmp_path / "rows.parquet"


def terms_of(*columns: str, text: str) -> Terms:
    return [[[([SCHEMA.names.index(one) for one in columns], text)]]]


def few(path: Path, terms: Terms, *, schema: pa.Schema = SCHEMA) -> Iterator[pa.RecordBatch | None]:
    """Yield what the core reads of each row group, however many rows."""
    layout = layout_of(pq.read_metadata(path))
    assert layout.knows(schema)
    with pa.OSFile(str(path)) as file:
        for group in range(len(layout.rows)):
            yield layout.few(file, group, schema, terms)


def expected(rows: pa.Table, mask: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows.filter(mask).to_pylist()
    return found


def has(rows: pa.Table, text: str, *columns: str) -> Any:
    found = [pc.fill_null(pc.equal(rows[one], text), False) for one in columns]
    mask = found[0]
    for other in found[1:]:
        mask = pc.or_(mask, other)
    return mask


def read(path: Path, terms: Terms) -> list[dict[str, Any]]:
    found = [*few(path, terms)]
    assert None not in found
    assert all(one.schema.equals(SCHEMA) for one in found if one)
    return [row for one in found if one for row in one.to_pylist()]


def test_rows_of_a_text_in_one_of_some_columns_are_arrows(path: Path, rows: pa.Table) -> None:
    for at in range(40, 600, 23):
        found = read(path, terms_of("from", "to", text=account(at)))
        assert found == expected(rows, has(rows, account(at), "from", "to"))
    assert read(path, terms_of("from", "to", text="G")) == []
    assert read(path, terms_of("never", text="G")) == []


def test_alternatives_and_terms_are_what_they_are_in_sql(path: Path, rows: pa.Table) -> None:
    source, target = SCHEMA.names.index("from"), SCHEMA.names.index("to")
    for at in range(40, 75, 5):
        contract = f"C{at:055}"
        held = rows.filter(has(rows, contract, "contract_id")).to_pylist()
        one, other = held[0], held[-1]
        pairs = [(one["from"] or "G", one["to"]), (other["from"] or "G", other["to"])]
        term = [[([source], payer), ([target], paid)] for payer, paid in pairs]
        found = read(path, [*terms_of("contract_id", text=contract), term])
        assert found == [row for row in held if (row["from"], row["to"]) in pairs]


def test_more_rows_than_are_few_are_left_to_arrow(path: Path) -> None:
    found = [*few(path, terms_of("to", text=account(0)))]
    assert found == [None, None]


def test_a_column_that_the_file_lacks_is_null(path: Path, rows: pa.Table) -> None:
    schema = SCHEMA.append(pa.field("later", pa.string()))
    where = [[[([SCHEMA.names.index("from"), schema.names.index("later")], account(5))]]]
    found = [row for one in few(path, where, schema=schema) if one for row in one.to_pylist()]
    assert found == [{**row, "later": None} for row in expected(rows, has(rows, account(5), "from"))]


def test_columns_that_the_file_lacks_all_of_have_no_text(path: Path) -> None:
    layout = layout_of(pq.read_metadata(path))
    where: Terms = [[[([0], account(5))]]]
    with pa.OSFile(str(path)) as file:
        found = layout.few(file, 1, pa.schema([pa.field("later", pa.string())]), where)
    assert found is not None
    assert found.num_rows == 0


@pytest.mark.parametrize("encoding", ["DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"])
def test_encodings_of_others_are_not_known(rows: pa.Table, tmp_path: Path, encoding: str) -> None:
    how: dict[str, Any] = {"use_dictionary": False, "column_encoding": {"from": encoding}}
    pq.write_table(rows, tmp_path / "rows.parquet", compression="zstd", **how)
    assert [*few(tmp_path / "rows.parquet", terms_of("from", text=account(5)))] == [None]


def test_types_and_codecs_of_others_are_not_known(rows: pa.Table, tmp_path: Path) -> None:
    other = SCHEMA.set(0, SCHEMA.field(0).with_type(pa.int64()))
    pq.write_table(rows, tmp_path / "rows.parquet", compression="snappy")
    layout = layout_of(pq.read_metadata(tmp_path / "rows.parquet"))
    assert not layout.knows(other)
    lists = pa.table({"ledger_sequence": pa.array([1], pa.uint32()), "a": [["b"]]})
    pq.write_table(lists, tmp_path / "lists.parquet")
    assert not layout_of(pq.read_metadata(tmp_path / "lists.parquet")).knows(lists.schema)
    assert [*few(tmp_path / "rows.parquet", terms_of("from", text=account(5)))] == [None]


def test_bytes_that_are_damaged_are_left_to_arrow_or_harm_nothing(path: Path) -> None:
    dice = random.Random(3)  # noqa: S311  harm that is the same each time
    whole = path.read_bytes()
    layout = layout_of(pq.read_metadata(path))
    terms = terms_of("from", "to", text=account(5))
    end = max(one.starts[1] + one.sizes[1] for one in layout.columns.values())
    none = 0
    for _ in range(300):
        at = dice.randrange(4, end)
        harmed = whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :]
        with pa.BufferReader(harmed) as file:
            found = [layout.few(file, group, SCHEMA, terms) for group in range(2)]
        none += None in found
    assert none > 100
    with pa.BufferReader(whole[: end - 1]) as file:
        assert layout.few(file, 1, SCHEMA, terms) is None


def test_layouts_are_let_go_of_when_they_are_many(path: Path) -> None:
    few, many = Layouts(most_bytes=1), Layouts()
    with pa.OSFile(str(path)) as file:
        for layouts in (few, many):
            assert layouts.of("", file) is None
            assert layouts.of("digest", file) == layout_of(pq.read_metadata(path))
    assert few.size_bytes == 0
    assert many.size_bytes > 0
    assert many.of("digest", pa.BufferReader(b"")) is not None
