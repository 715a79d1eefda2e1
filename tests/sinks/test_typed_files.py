"""Contracts' own columns in files of every format, over declarations that grow and change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import stellarrow as sa
from stellarrow.core.typed import Knowledge
from stellarrow.core.typed_columns import own_columns, united
from stellarrow.sinks.files.formats.csv import Csv
from stellarrow.sinks.files.formats.jsonl import JsonLines
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink
from typed_specs import CONTRACT, KINDS, Kind, event_of, interface, transfer_spec, u32, value_of

FORMATS = ("parquet", "jsonl", "csv")


def busiest(lake: Path) -> str:
    events = sa.scan(lake, table="contract_events").to_table()
    found = (
        events.group_by("contract_id").aggregate([([], "count_all")]).sort_by([("count_all", "descending")])
    )
    return str(found.column("contract_id")[0])


def kept(rows: Iterator[pa.RecordBatch]) -> list[dict[str, object]]:
    return [row for batch in rows for row in batch.to_pylist()]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(st.data())
def test_columns_of_any_type_come_back_out_of_text(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(KINDS, min_size=1, max_size=4))
    made = [[value_of(data.draw, kind)[0] for kind in kinds] for _ in range(data.draw(st.integers(1, 3)))]
    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: interface(kinds, 0)}).tables()
    (rows,) = tables.rows(CONTRACT, events=[event_of(values, 0) for values in made]).values()
    for format in (JsonLines(), Csv()):
        assert kept(written_and_read(format, rows)) == rows.to_pylist()


class Kept(BytesIO):
    """What is written, also once it is closed."""

    text = b""

    def close(self) -> None:
        self.text = self.getvalue()
        super().close()


def written_and_read(format: JsonLines | Csv, rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    out = Kept()
    writing = format.begin(pa.PythonFile(out, mode="w"), rows.schema)
    writing.write(rows)
    writing.close({})
    return format.read(pa.BufferReader(out.text or out.getvalue()), rows.schema)


@pytest.mark.parametrize("format", FORMATS)
def test_columns_are_united_by_name_and_a_changed_type_gets_a_column_of_its_own(
    format: str,
    make_lake: Callable[..., Path],
    tmp_path: Path,
    stellarrow: Callable[..., tuple[int, str, str]],
) -> None:
    lake, out = make_lake(100, 103), tmp_path / "out"
    contract = busiest(lake)
    for ledgers, kind in (("100:101", "i128"), ("102:102", "val"), ("103:103", "i128")):
        sa.run(
            lake,
            tables=[f"typed:{contract}/events"],
            sinks=f"{format}:{out}",
            specs={contract: transfer_spec(kind)},
            ledgers=ledgers,
        )
    found = sa.scan(out, table=f"typed:{contract}/events/Transfer")
    names = [field.name for field in own_columns(found.schema)]
    later = names[-1]
    assert names == ["from", "to", "amount", "amount_text", later]
    assert re.fullmatch("amount_[0-9a-f]{8}", later)
    rows = found.to_table().to_pylist()
    plain = sa.scan(lake, table="contract_events").to_table().to_pylist()
    assert len(rows) == [(row["contract_id"], row["event_name"]) for row in plain].count(
        (contract, "transfer")
    )
    for row in rows:
        amounts = row["amount_text"], row[later]
        assert [one is None for one in amounts] == (
            [True, False] if row["ledger_sequence"] == 102 else [False, True]
        )
    query = 'select count(*) n, count(amount_text) old, count("from") who from typed.coin_Transfer'
    code, told, error = stellarrow("sql", query, "--data", out, "--csv", "--name", f"coin={contract}")
    assert code == 0, error
    old = sum(row["amount_text"] is not None for row in rows)
    assert told.split()[1] == f"{len(rows)},{old},{len(rows)}"


def test_files_of_before_there_were_names_of_declarations_are_continued() -> None:
    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: transfer_spec("i128")}).tables()
    name = f"typed:{CONTRACT}/events/Transfer"
    whole = sa.schema(name)
    old = pa.schema(
        [one.with_metadata({b"description": (one.metadata or {})[b"description"]}) for one in whole]
    )
    assert own_columns(old) == own_columns(whole)
    known = Knowledge([name], {CONTRACT: transfer_spec("u64")})
    known.seed({name: old})
    grown = known.tables()
    names = [field.name for field in own_columns(sa.schema(name))]
    assert names[:4] == ["from", "to", "amount", "amount_text"]
    assert len(names) == 5
    assert {*tables.names} == {*grown.names}


def test_two_that_did_not_know_of_each_other_are_told() -> None:
    schemas = []
    for kind in ("i128", "u64"):
        tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: transfer_spec(kind)}).tables()
        schemas.append(sa.schema(f"typed:{CONTRACT}/events/Transfer"))
        assert tables.names
    with pytest.raises(sa.SchemaMismatch, match=r"the column amount as decimal128\(38, 0\) and as uint64"):
        united(schemas)


def test_rows_none_of_which_has_an_item_in_a_list_of_structs_are_kept(tmp_path: Path) -> None:
    kinds = [Kind("map", (Kind("symbol"), Kind("u64")))]
    tables = Knowledge([f"typed:{CONTRACT}"], {CONTRACT: interface(kinds, 0)}).tables()
    nothing = u32(17) + u32(1) + u32(0)
    name = f"typed:{CONTRACT}/events/Moved"
    rows = tables.rows(CONTRACT, events=[event_of([nothing], 0)] * 2)[name]
    sink = FileSink(tmp_path, [name], format=format_of("parquet"), network="synthetic")
    sink.write(sa.LedgerBatch(0, 0, {name: rows}, sa.LedgerRun(1, 0, 0, 0, 0, "", "", 0, 0)))
    sink.commit()
    sink.close()
    assert [row["p0"] for row in sa.scan(tmp_path, table=name).to_table().to_pylist()] == [[], []]
