"""A table as a lazy stream: out of ledgers, out of what was extracted, into whatever takes Arrow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import stellarrow as sa
from stellarrow.sinks.parquet import ParquetSink
from stellarrow.sources.files import FileSource

Make = Callable[..., Path]


def whole(lake: Path, table: str, **choices: object) -> pa.Table:
    """Return what decode says of every ledger of a lake."""
    chunks = FileSource(lake).read(sa.LedgerRange(100))
    decoder = sa.Decoder([table], network="synthetic", **choices)  # type: ignore[arg-type]
    return pa.Table.from_batches(decoder(chunk).tables[table] for chunk in chunks)


def extract(lake: Path, folder: Path, *tables: str, ledgers: str | None = None) -> Path:
    sink = ParquetSink(folder, tables, network="synthetic", ledgers_per_file=10)
    sa.run(FileSource(lake), tables=tables, sinks=[sink], network="synthetic", ledgers=ledgers)
    sink.close()
    return folder


def test_a_scan_of_a_lake_has_the_rows_that_decode_has(make_lake: Make) -> None:
    lake = make_lake()
    scan = sa.scan(lake, table="contract_events")
    assert pa.table(scan) == whole(lake, "contract_events")
    assert scan.schema == sa.schema("contract_events")


def test_every_consumer_gets_a_fresh_pass(make_lake: Make) -> None:
    scan = sa.scan(str(make_lake()), table="contract_events")
    assert pa.table(scan) == pa.table(scan) == scan.to_reader().read_all()


def test_polars_duckdb_and_pandas_take_it_as_it_is(make_lake: Make) -> None:
    lake = make_lake()
    events = sa.scan(lake, table="contract_events")
    count = len(whole(lake, "contract_events"))
    assert len(pl.DataFrame(events)) == len(pl.from_arrow(events)) == count
    assert duckdb.execute("select count(*) from events").fetchall() == [(count,)]
    assert duckdb.execute("select ledger_sequence from events limit 3").fetchall() == [(100,)] * 3
    assert len(pa.table(events).to_pandas()) == count


def test_a_schema_that_is_asked_for_is_given(make_lake: Make) -> None:
    scan = sa.scan(make_lake(), table="ledgers", columns=["ledger_sequence"])
    wanted = pa.schema([("ledger_sequence", pa.int64())])
    reader = pa.RecordBatchReader._import_from_c_capsule(scan.__arrow_c_stream__(wanted.__arrow_c_schema__()))
    assert reader.read_all().schema.types == [pa.int64()]


@pytest.mark.parametrize(
    ("asked", "ends"),
    [
        ({"start": 110, "end": 119}, (110, 119)),
        ({"start": 130}, (130, 139)),
        ({"end": 104}, (100, 104)),
        ({"ledgers": "105:+2"}, (105, 106)),
        ({"ledgers": sa.LedgerRange(120, 121)}, (120, 121)),
        ({"ledgers": "latest"}, (139, 139)),
    ],
)
@pytest.mark.parametrize("extracted", [False, True])
def test_ledgers_are_chosen(
    make_lake: Make, tmp_path: Path, extracted: bool, asked: dict[str, object], ends: tuple[int, int]
) -> None:
    first, last = ends
    place = extract(make_lake(), tmp_path / "out", "ledgers") if extracted else make_lake()
    scan = sa.scan(place, table="ledgers", **asked)  # type: ignore[arg-type]
    assert pa.table(scan)["ledger_sequence"].to_pylist() == list(range(first, last + 1))


@pytest.mark.parametrize("extracted", [False, True])
def test_rows_and_columns_are_chosen(make_lake: Make, tmp_path: Path, extracted: bool) -> None:
    lake = make_lake()
    place = extract(lake, tmp_path / "out", "contract_events") if extracted else lake
    where = "event_index = 0 and ledger_sequence % 3 = 1"
    expected = whole(lake, "contract_events", where=where)
    assert 0 < len(expected) < len(whole(lake, "contract_events"))
    names = ["event_name", "contract_id"]
    plain = sa.scan(place, table="contract_events", where=where, columns=names)
    assert pa.table(plain).sort_by("contract_id") == expected.select(names).sort_by("contract_id")
    made = sa.scan(
        place, table="contract_events", where=where, columns=["contract_id", "ledger_sequence * 2 as twice"]
    )
    assert made.schema.names == ["contract_id", "twice"]
    twice = sorted(2 * ledger for ledger in expected["ledger_sequence"].to_pylist())
    assert sorted(pa.table(made)["twice"].to_pylist()) == twice


def test_a_filter_is_asked_of_extracted_files_where_they_can_answer(make_lake: Make, tmp_path: Path) -> None:
    lake = make_lake()
    place = extract(lake, tmp_path / "out", "contract_events")
    contract = whole(lake, "contract_events")["contract_id"][0].as_py()
    where = sa.Filter(contract_ids=[contract])
    assert len(pa.table(sa.scan(place, table="contract_events", where=where))) == len(
        whole(lake, "contract_events", where=where)
    )
    with pytest.raises(sa.ConfigError, match="asset_codes cannot be asked of extracted files: ask in SQL"):
        sa.scan(place, table="contract_events", where=sa.Filter(asset_codes=["USDC"]))


@pytest.mark.parametrize(
    "place", ["jsonl:{}", "csv:{}", "parquet:{}?partition=event_type", "parquet:{}?partition=date"]
)
def test_every_format_and_partition_is_read(make_lake: Make, tmp_path: Path, place: str) -> None:
    lake, folder = make_lake(), tmp_path / "out"
    sa.run(lake, tables=["contract_events"], sinks=[place.format(folder)])
    kept = sa.scan(folder, table="contract_events", where="event_index = 0")
    direct = sa.scan(lake, table="contract_events", where="event_index = 0")
    keys = [(name, "ascending") for name in sa.keys("contract_events")]
    assert pa.table(kept).sort_by(keys) == pa.table(direct).sort_by(keys)


def test_ledgers_in_two_files_are_read_once(make_lake: Make, tmp_path: Path) -> None:
    lake = make_lake()
    folder = extract(lake, tmp_path / "out", "ledgers")
    again = extract(lake, tmp_path / "again", "ledgers", ledgers="105:107")
    for path in (again / "ledgers").glob("*.parquet"):
        path.rename(folder / "ledgers" / path.name)
    scan = sa.scan(folder, table="ledgers")
    assert pa.table(scan)["ledger_sequence"].to_pylist() == list(range(100, 140))


def test_what_is_not_there_is_told_and_never_a_hole(make_lake: Make, tmp_path: Path) -> None:
    folder = extract(make_lake(), tmp_path / "out", "ledgers", ledgers="100:104,110:114")
    with pytest.raises(sa.LedgerMissing, match=r"but not 105:109: extract them, or ask for what is there"):
        sa.scan(folder, table="ledgers", start=100, end=114)
    with pytest.raises(sa.SourceError, match="was extracted without contract_events: it has ledgers"):
        sa.scan(folder, table="contract_events")
    with pytest.raises(sa.LedgerMissing, match=r"ledger 140 is not in .*, whose newest is 139"):
        sa.scan(make_lake(), table="ledgers", start=130, end=150).to_reader().read_all()
    with pytest.raises(sa.SourceUnavailable, match="does not exist"):
        sa.scan(tmp_path / "nowhere", table="ledgers").to_reader().read_all()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"table": "ledger"}, "there is no table 'ledger'"),
        (
            {"table": "ledgers", "columns": ["closed"]},
            "ledgers has no column 'closed': did you mean 'closed_at'?",
        ),
        ({"table": "ledgers", "columns": "closed_at"}, "columns is 'closed_at': give a list of names"),
        ({"table": "ledgers", "columns": []}, "columns is []: give a list of names"),
        ({"table": "contract_events", "columns": ["data_json"]}, "only where decoded columns are asked for"),
        ({"table": "ledgers", "start": 1, "ledgers": "1:2"}, "give one of them"),
        ({"table": "ledgers", "start": 5, "end": 4}, "5"),
        ({"table": "ledgers", "where": "base_fee"}, "not true or false"),
        (
            {"table": "ledgers", "columns": ["closed_at"], "where": sa.Filter(select="base_fee")},
            "columns say what the filter's select says",
        ),
        ({"table": "contract_events", "where": sa.Filter(contract_ids=["CA"])}, "contract_ids"),
    ],
)
def test_wrong_arguments_are_told_before_anything_is_read(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(sa.ConfigError) as error:
        sa.scan("not opened", **wrong)  # type: ignore[arg-type]
    assert told in str(error.value)


class Counted(FileSource):
    """A source that tells how far it was read."""

    read_chunks = 0

    def read(self, ledgers: sa.LedgerRange) -> Iterator[sa.LedgerChunk]:
        for chunk in super().read(ledgers):
            self.read_chunks += 1
            yield chunk


def test_nothing_is_read_before_it_is_asked_for(make_lake: Make) -> None:
    source = Counted(make_lake())
    scan = sa.scan(source, table="ledgers", network="synthetic")
    reader = scan.to_reader()
    assert (scan.schema, source.read_chunks) == (reader.schema, 0)
    assert len(reader.read_all()) == 40
    assert source.read_chunks == 40


def test_who_stops_early_leaves_no_threads(make_lake: Make) -> None:
    before = set(threading.enumerate())
    events = sa.scan(make_lake(), table="contract_events")
    reader = events.to_reader()
    reader.read_next_batch()
    del reader
    assert duckdb.execute("select ledger_sequence from events limit 1").fetchall() == [(100,)]
    assert set(threading.enumerate()) <= before


def test_sql_expressions_need_an_extra_that_is_named(
    make_lake: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys  # noqa: PLC0415

    for name in [name for name in sys.modules if name.startswith("stellarrow.sql")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlglot", None)
    lake = make_lake()
    with pytest.raises(sa.ConfigError, match=r"pip install 'stellarrow\[sql\]'"):
        sa.scan(lake, table="ledgers", where="base_fee > 1")
    assert len(pa.table(sa.scan(lake, table="ledgers", columns=["base_fee"]))) == 40


def test_every_consumer_is_told_what_is_wrong_in_a_sentence(tmp_path: Path) -> None:
    nothing = sa.scan(tmp_path / "nowhere", table="ledgers")
    asks: list[Callable[[], object]] = [
        lambda: pa.table(nothing),
        lambda: pl.DataFrame(nothing),
        lambda: duckdb.connect().register("nothing", nothing).execute("from nothing").fetchall(),
    ]
    for ask in asks:
        with pytest.raises(
            Exception, match="nowhere does not exist: name a file, a folder or a glob"
        ) as answer:
            ask()
        assert "Traceback" not in str(answer.value)


@pytest.mark.parametrize("spelling", ["{}", "file://{}"])
def test_a_hole_in_a_lake_is_an_error_however_the_lake_is_written(make_lake: Make, spelling: str) -> None:
    lake = make_lake()
    (hole,) = lake.rglob("*--120.xdr.zst")
    hole.unlink()
    place = spelling.format(lake)
    with pytest.raises(sa.LedgerMissing, match="ledger 120 is missing in "):
        sa.scan(place, table="ledgers", network="synthetic").to_table()
    with pytest.raises(sa.LedgerMissing, match="ledger 120 is missing in "):
        sa.analytics(place, "transfers", network="synthetic", window="total")
    some = sa.scan(lake, table="ledgers", ledgers="100:119,121:139").to_table()
    assert some.num_rows == 39


def test_files_that_somebody_put_side_by_side_may_leave_ledgers_out() -> None:
    place = Path(sa.__file__).parent / "data" / "ledgers"
    assert sa.scan(place, table="ledgers").to_table().num_rows == 2


@pytest.mark.parametrize("asked", [{"start": 150}, {"ledgers": "150:"}, {"ledgers": "100:102,150:"}], ids=str)
def test_who_asks_for_what_begins_behind_the_last_ledger_is_told(
    make_lake: Make, tmp_path: Path, asked: dict[str, Any]
) -> None:
    lake = make_lake()
    for place in (lake, f"file://{lake}", extract(lake, tmp_path / "out", "ledgers")):
        with pytest.warns(sa.LedgersAbsent, match="nothing from ledger 150 on: the last ledger here is 139"):
            sa.scan(place, table="ledgers", **asked).to_table()
    with pytest.warns(sa.LedgersAbsent, match="nothing from ledger 150 on"):
        sa.analytics(lake, "events", ledgers=sa.LedgerRange(150))


def test_who_asks_for_what_comes_next_is_told_nothing(make_lake: Make) -> None:
    assert sa.scan(make_lake(), table="ledgers", start=140).to_table().num_rows == 0


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (np.int64(102), np.uint16(103)),
        (np.datetime64("2023-11-14T22:13:30.000000000"), np.datetime64("2023-11-14T22:13:35")),
        (pd.Timestamp("2023-11-14T22:13:30Z"), pd.Timestamp("2023-11-14T22:13:35")),
        (pd.Timestamp("2023-11-14T22:13:25.000000001Z"), pd.Timestamp("2023-11-14T22:13:39.999999999")),
        (datetime(2023, 11, 14, 22, 13, 25, 900_000), datetime(2023, 11, 14, 22, 13, 35, 1, UTC)),
    ],
    ids=str,
)
def test_ends_may_be_numbers_and_times_of_numpy_and_pandas(make_lake: Make, start: Any, end: Any) -> None:
    rows = sa.scan(make_lake(), table="ledgers", start=start, end=end).to_table()
    assert rows["ledger_sequence"].to_pylist() == [102, 103]


@pytest.mark.parametrize("wrong", [np.datetime64("2023"), np.datetime64("NaT"), pd.NaT, np.True_], ids=repr)
def test_what_could_be_a_year_or_a_ledger_or_nothing_is_refused(wrong: Any) -> None:
    with pytest.raises(sa.ConfigError, match="start is"):
        sa.scan("/nowhere", table="ledgers", start=wrong)
