"""What docs/files.md says of unsigned numbers and amounts in other readers, run as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import stellarrow as sa
from sinks.postgres.made import batch
from stellarrow.sinks.files.reading import format_of
from stellarrow.sinks.files.sink import FileSink

DOCS = Path(__file__).parents[2] / "docs" / "files.md"
BLOCKS = dict(re.findall(r"```python\n# (\w+)\n(.*?)```", DOCS.read_text(), re.DOTALL))
AMOUNTS = [2**127 - 1, 2**127 - 1, -(2**127), 10**38, 10**38 - 1, 7, -3]
BIG = 2**32 - 1  # a ledger that an int32 has no room for


def transfer(ledger: int, index: int, amount: int) -> dict[str, Any]:
    return {
        "ledger_sequence": ledger,
        "closed_at": datetime(2026, 1, 1, tzinfo=UTC),
        "transaction_index": 1,
        "transaction_hash": "0" * 64,
        "transaction_successful": True,
        "event_index": index,
        "event_type": "transfer",
        "contract_id": "C" + "A" * 55,
        "amount_raw": amount if abs(amount) < 10**38 else None,
        "amount_text": str(amount),
    }


@pytest.fixture(params=["ledgers", "event_type"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with amounts of every size in `out`, and the same in `signed`."""
    rows = [transfer(100, at, amount) for at, amount in enumerate(AMOUNTS)]
    for name in ("unsigned", "signed"):
        place = tmp_path / ("out" if name == "unsigned" else name)
        sink = FileSink(
            place, ["token_transfers"], format=format_of("parquet"), network="pubnet",
            partition=request.param, unsigned=name,
        )  # fmt: skip
        for ledger, more in ((100, rows), (BIG, [transfer(BIG, 0, 0)])):
            sink.write(batch(ledger, ledger, more, "token_transfers"))
            sink.commit()
        sink.close()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str, code: str) -> dict[str, Any]:
    pytest.importorskip(name)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  our own docs
    return names


@pytest.mark.parametrize("name", ["polars", "pandas", "pyarrow", "duckdb"])
def test_the_lines_for_a_reader_lose_no_sign_and_no_digit(folder: Path, name: str) -> None:
    assert folder.is_dir()
    found = run(name, BLOCKS[name])
    assert (found["difference"], int(found["total"]), found["left_out"]) == (-900, sum(AMOUNTS), 4)


@pytest.mark.slow
def test_the_lines_for_spark_lose_no_sign_and_no_digit(folder: Path) -> None:
    pytest.importorskip("pyspark")
    code = "import warnings; warnings.simplefilter('ignore')\n" + BLOCKS["pyspark"]
    code += "\nprint('found', difference, total, left_out); spark.stop()"
    local = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=folder, timeout=240,
        env={**os.environ, **local, "PYSPARK_PYTHON": sys.executable},
    )  # fmt: skip
    assert f"found -900 {sum(AMOUNTS)} 4" in done.stdout


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


def assert_exact(transfers: pa.Table) -> None:
    assert types(transfers)["ledger_sequence"] == "int64"
    assert sorted(transfers["ledger_sequence"].to_pylist()) == [*([100] * len(AMOUNTS)), BIG]
    assert sum(map(int, transfers["amount_text"].to_pylist())) == sum(AMOUNTS)
    assert transfers["amount_raw"].null_count == 4


def test_a_scan_is_cast_to_what_delta_and_iceberg_take(folder: Path) -> None:
    assert folder.is_dir()
    names: dict[str, Any] = {}
    exec(BLOCKS["scan"], names)  # noqa: S102  our own docs
    assert_exact(names["transfers"])
    assert not [kind for kind in types(names["transfers"]).values() if kind.startswith("uint")]


@pytest.mark.filterwarnings("ignore")
def test_delta_holds_signed_files_whole_and_refuses_others(folder: Path) -> None:
    names = run("deltalake", BLOCKS["deltalake"])
    assert_exact(names["transfers"])
    with pytest.raises(Exception, match="Can't cast value 4294967295 to type Int32"):
        run("deltalake", BLOCKS["deltalake"].replace("signed/", "out/").replace("delta/", "other/"))
    assert (folder / "delta").is_dir()


@pytest.mark.filterwarnings("ignore")
def test_iceberg_holds_signed_files_whole_and_has_no_type_for_others(folder: Path) -> None:
    code = BLOCKS["pyiceberg"].replace("file:///tmp/iceberg", f"file://{folder}/iceberg")
    names = run("pyiceberg", code)
    assert_exact(names["transfers"])
    unsigned = names["pq"].read_table("out/token_transfers", partitioning=None).schema
    other = names["catalog"].create_table("stellar.unsigned", schema=unsigned)
    assert str(other.schema().find_type("ledger_sequence")) == "int"


def differences(reader: str) -> Sequence[str]:
    return [line for line in DOCS.read_text().splitlines() if line.startswith(f"| {reader}")]


def test_what_becomes_of_a_difference_without_a_cast_is_as_the_table_says(folder: Path) -> None:
    pl, pd, duckdb = (pytest.importorskip(name) for name in ("polars", "pandas", "duckdb"))
    wrapped = 2**32 - 900
    frame = pl.read_parquet("out/token_transfers/**/*.parquet", hive_partitioning=False)
    assert frame.select(pl.col("ledger_sequence").min() - 1000).item() == wrapped
    table = pd.read_parquet("out/token_transfers", partitioning=None)
    assert (table["ledger_sequence"] - 1000).iloc[0] == wrapped
    for reader in ("polars", "pandas", "pyarrow"):
        assert str(wrapped) in differences(reader)[0]
    files = "read_parquet('out/token_transfers/**/*.parquet', hive_partitioning = false)"
    with pytest.raises(duckdb.OutOfRangeException):
        duckdb.sql(f"select min(ledger_sequence) - 1000 from {files}").fetchall()
    assert "an error" in differences("DuckDB")[0]
    assert sa.schema("token_transfers").field("ledger_sequence").type == pa.uint32()
    assert (folder / "out").is_dir()
