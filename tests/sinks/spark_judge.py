"""Spark as a judge of Delta and Iceberg tables: every row that it reads, and the coverage that it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
from pyarrow import feather

import stellarrow as sa
from fakes.engines import SparkSession
from stellarrow.sinks.files.signed import signed

_WRITE = "import pyarrow.feather as feather\nfeather.write_feather(table.toArrow(), out)\n"
_DELTA = f"""
table = spark.read.format("delta").load(place)
{_WRITE}
log = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, place)
named = log.update(False, spark._jvm.scala.Option.empty(), spark._jvm.scala.Option.empty()).transactions()
answer = named.get("stellarrow").get()
"""
# A catalog has the name by which its tables are kept there, so each has a session of its own.
_ICEBERG = f"""
session = spark.newSession()
for name, value in settings.items():
    session.conf.set("spark.sql.catalog.test" + name, value)
if asked:
    session.sql(asked).collect()
table = session.table("test." + place)
{_WRITE}
told = session.sql("show tblproperties test." + place + " ('stellarrow.coverage')").collect()
answer = told[0]["value"]
"""


class SparkJudge:
    """Asks Spark; what it reads is put into files below a folder."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self._spark = spark
        self._out = folder / "read.arrow"

    def delta(self, table: Path) -> tuple[pa.Table, dict[str, Any]]:
        """Return the rows of a Delta table, and the text of its coverage."""
        number = self._spark.run(_DELTA, place=str(table), out=str(self._out))
        return feather.read_table(self._out), json.loads(
            (table / "_stellarrow" / f"{number}.json").read_text()
        )

    def iceberg(self, folder: Path, table: str, asked: str = "") -> tuple[pa.Table, dict[str, Any]]:
        """Return the rows of a table of a catalog in SQLite, and its coverage, once `asked` was done."""
        settings = {
            "": "org.apache.iceberg.spark.SparkCatalog",
            ".catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
            ".uri": f"jdbc:sqlite:{folder}/catalog.db",
            ".warehouse": f"file:{quote(str(folder))}/warehouse",
            ".jdbc.schema-version": "V1",
            ".cache-enabled": "false",
        }
        text = self._spark.run(_ICEBERG, settings=settings, place=table, out=str(self._out), asked=asked)
        return feather.read_table(self._out), json.loads(text)

    def do(self, code: str, **names: Any) -> Any:
        """Run a piece of Python in Spark."""
        return self._spark.run(code, **names)


def assert_read_alike(found: tuple[pa.Table, dict[str, Any]], place: str, table: str) -> None:
    """Check that Spark read what our reader reads, and found the coverage that stellarrow tells of."""
    rows, told = found
    scanned = sa.scan(place, table=table)
    wanted = scanned.to_table()
    order = [(name, "ascending") for name in sa.keys(table)]
    due = wanted.cast(signed(wanted.schema)).sort_by(order)
    assert due.num_rows
    assert rows.cast(due.schema).sort_by(order).equals(due)
    held = sa.LedgerSet(sa.LedgerRange(first, last) for first, last in told["ledgers"])
    assert held == sa.LedgerSet.of(rows["ledger_sequence"].unique().to_pylist())
    assert sum(told["rows"].values()) == rows.num_rows
