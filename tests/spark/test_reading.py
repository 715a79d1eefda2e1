"""What `spark.read.format("stellarrow")` reads is what `sa.scan` reads, in a real Spark."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import feather

import stellarrow as sa
from fakes.engines import SparkSession
from stellarrow.spark.columns import signed

pytestmark = pytest.mark.slow
Lake = Callable[..., Path]
BEGIN = """
from stellarrow.spark import register
register(spark)
spark.conf.set("spark.sql.python.filterPushdown.enabled", pushes)
import pyarrow.feather as feather
def read(place, **options):
    return spark.read.format("stellarrow").options(**options).load(place)
"""
WRITE = BEGIN + "feather.write_feather(read(place, **options).toArrow(), out)"


def in_order(table: pa.Table) -> pa.Table:
    order = [(name, "ascending") for name in table.column_names if name.endswith(("sequence", "index"))]
    return table.sort_by(order)


def expected(table: pa.Table) -> pa.Table:
    return in_order(table.cast(signed(table.schema)))


def read(spark: SparkSession, place: object, out: Path, *, pushes: bool = True, **options: str) -> pa.Table:
    spark.run(WRITE, place=str(place), out=str(out), options=options, pushes=str(pushes).lower())
    return in_order(feather.read_table(out))


@pytest.mark.parametrize("table", ["ledgers", "contract_events", "contract_data", "token_transfers"])
def test_rows_of_ledgers_are_those_of_a_scan(
    spark: SparkSession, make_lake: Lake, tmp_path: Path, table: str
) -> None:
    lake = make_lake()
    found = read(spark, lake, tmp_path / "rows", table=table, partitions="3")
    wanted = expected(sa.scan(lake, table=table).to_table())
    assert wanted.num_rows
    assert found.cast(wanted.schema).equals(wanted)


@pytest.mark.parametrize("place", ["parquet:{}", "jsonl:{}", "delta:{}"])
def test_rows_of_stored_tables_are_those_of_a_scan(
    spark: SparkSession, make_lake: Lake, tmp_path: Path, place: str
) -> None:
    sink = place.format(tmp_path / "out")
    sa.run(make_lake(), tables=["contract_events"], sinks=sink)
    named = sink if place.startswith("delta") else str(tmp_path / "out")
    wanted = expected(sa.scan(named, table="contract_events").to_table())
    found = read(spark, named, tmp_path / "rows", table="contract_events", ledgers="100:134")
    wanted = wanted.filter(pc.field("ledger_sequence") <= 134)
    assert found.cast(wanted.schema).equals(wanted)
    contract = next(one for one in wanted.column("contract_id").to_pylist() if one)
    code = f"{BEGIN}answer = read(place, **options).where(f\"contract_id = '{{contract}}'\").count()"
    names = {"place": named, "options": {"table": "contract_events", "ledgers": "100:134"}, "pushes": "true"}
    count = spark.run(code, contract=contract, **names)
    assert count == wanted.column("contract_id").to_pylist().count(contract)


def test_conditions_on_ledgers_keep_other_ledgers_unread(
    spark: SparkSession, make_lake: Lake, tmp_path: Path
) -> None:
    lake = make_lake()
    wanted = expected(sa.scan(lake, table="ledgers", ledgers="105,107:109").to_table())
    for file in sorted(lake.rglob("*.zst")):
        if not any(f"--{number}." in file.name for number in (105, 106, 107, 108, 109)):
            file.write_bytes(b"nothing that could be read")
    code = f"""{BEGIN}
where = "ledger_sequence > 104 and ledger_sequence <= 109 and ledger_sequence in (105, 107, 108, 109, 400)"
feather.write_feather(read(place, table="ledgers").where(where).toArrow(), out)
"""
    out = tmp_path / "rows"
    spark.run(code, place=str(lake), out=str(out), pushes="true")
    assert in_order(feather.read_table(out)).cast(wanted.schema).equals(wanted)
    with pytest.raises(RuntimeError, match=r"DecodeError"):
        spark.run(code, place=str(lake), out=str(out), pushes="false")


def test_conditions_on_contracts_and_types_leave_the_rows_they_are_true_of(
    spark: SparkSession, make_lake: Lake, tmp_path: Path
) -> None:
    lake = make_lake()
    rows = sa.scan(lake, table="token_transfers").to_table()
    types = rows.column("event_type").to_pylist()
    contracts = [one for one in rows.column("contract_id").to_pylist() if one]
    assert types
    assert contracts
    code = f"{BEGIN}answer = read(place, table='token_transfers').where(where).count()"
    for column, values in (("event_type", types), ("contract_id", contracts)):
        value = max(set(values), key=values.count)
        for pushes in ("true", "false"):
            where = f"{column} = '{value}' and ledger_sequence >= 100"
            assert spark.run(code, place=str(lake), where=where, pushes=pushes) == values.count(value)
    listed = read(
        spark,
        lake,
        tmp_path / "rows",
        table="token_transfers",
        contract_ids=f"{contracts[0]}, {contracts[-1]}",
    )
    assert {*listed.column("contract_id").to_pylist()} == {contracts[0], contracts[-1]}


def test_columns_are_those_of_the_option_or_the_schema_and_sql_reads_a_view(
    spark: SparkSession, make_lake: Lake, tmp_path: Path
) -> None:
    lake = make_lake()
    found = read(spark, lake, tmp_path / "rows", table="ledgers", columns="ledger_hash, ledger_sequence")
    assert found.column_names == ["ledger_hash", "ledger_sequence"]
    code = f"""{BEGIN}
asked = spark.read.schema("ledger_sequence bigint").format("stellarrow").options(table="ledgers").load(place)
spark.sql(f"create temporary view seen using stellarrow options (path '{{place}}', table 'ledgers')")
answer = [asked.columns, asked.count(), spark.sql("select max(ledger_sequence) from seen").first()[0]]
spark.sql("drop view seen")
"""
    assert spark.run(code, place=str(lake), pushes="true") == [["ledger_sequence"], 40, 139]


def test_what_cannot_be_asked_is_told_in_our_words(
    spark: SparkSession, make_lake: Lake, tmp_path: Path
) -> None:
    lake = make_lake()
    asked: list[tuple[dict[str, Any], str]] = [
        ({"tabel": "ledgers"}, "did you mean table"),
        ({"table": "ledgers", "partitions": "no"}, "whole number from 1"),
        ({"table": "ledgers", "decoded": "perhaps"}, "true or false"),
        (
            {"table": "typed:CAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSC4/events/transfer"},
            "extract it",
        ),
    ]
    for options, word in asked:
        with pytest.raises(RuntimeError, match=word):
            read(spark, lake, tmp_path / "rows", pushes=True, **options)


def test_a_backfill_in_the_session_that_is_there_brings_what_one_run_brings(
    spark: SparkSession, make_lake: Lake, tmp_path: Path
) -> None:
    lake = make_lake()
    sa.run(lake, tables=["ledgers", "contract_events"], sinks=f"parquet:{tmp_path}/one?ledgers=5")
    code = """
import stellarrow as sa
report = sa.backfill(lake, tables=["ledgers", "contract_events"], sinks=to, engine="spark", workers=2)
again = sa.backfill(lake, tables=["ledgers", "contract_events"], sinks=to, engine="spark")
answer = [report.ledgers, report.total, report.skipped, again.total, again.skipped, spark.range(3).count()]
"""
    told = spark.run(code, lake=str(lake), to=f"parquet:{tmp_path}/many?ledgers=5")
    assert told == [40, 40, 0, 0, 40, 3]
    for table in ("ledgers", "contract_events"):
        one, many = (in_order(sa.scan(tmp_path / name, table=table).to_table()) for name in ("one", "many"))
        assert one.equals(many)


def test_a_task_that_cannot_be_done_is_told_with_its_ledgers(
    spark: SparkSession, make_lake: Lake, tmp_path: Path
) -> None:
    lake = make_lake()
    victim = sorted(lake.rglob("*.zst"))[7]
    victim.write_bytes(victim.read_bytes()[:-30])
    code = """
import stellarrow as sa
try:
    sa.backfill(lake, tables=["ledgers"], sinks=to, engine="spark", workers=2)
except sa.TaskFailed as error:
    answer = str(error)
"""
    told = spark.run(code, lake=str(lake), to=f"parquet:{tmp_path}/out?ledgers=5")
    assert told.startswith("ledgers 1")
    assert "Traceback" not in told


def test_the_page_reads_as_printed(spark: SparkSession, make_lake: Lake) -> None:
    page = (Path(__file__).parents[2] / "docs" / "spark.md").read_text()
    block = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    public, numbers = "s3://aws-public-blockchain/v1.1/stellar/ledgers/pubnet/", "58752000 and 58752999"
    assert public in block
    assert numbers in block
    block = (
        block.replace(public, str(make_lake()))
        .replace(numbers, "110 and 119")
        .replace(".show()", ".collect()")
    )
    spark.run(block + "\nanswer = events.where('ledger_sequence < 110').count()")
