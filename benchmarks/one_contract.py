"""Measure how long a reader looks for one contract in Parquet: as the sink sorts it, and in ledger order.

Both files hold the same rows with the same codec. The other one is as Arrow writes it when told nothing else:
dictionaries tried on every column, groups of a million rows.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import duckdb
import machine
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sinks import FIRST, LEDGER_BYTES, extract
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network

TABLES = ("contract_events", "token_transfers", "contract_data")
SHARES = (0.1, 0.005, 0.001, 0.0)  # of the rows; of each the contract that comes nearest
REPEATS = 5


def with_duckdb(path: Path, contract: str) -> int:
    asked = f"SELECT * FROM read_parquet('{path}') WHERE contract_id = '{contract}'"
    rows: pa.Table = duckdb.connect().sql(asked).to_arrow_table()
    return int(rows.num_rows)


def with_pyarrow(path: Path, contract: str) -> int:
    rows = pq.read_table(path, filters=[("contract_id", "=", contract)], use_threads=False)
    return int(rows.num_rows)


READERS: dict[str, Callable[[Path, str], int]] = {"DuckDB": with_duckdb, "pyarrow": with_pyarrow}


def milliseconds(read: Callable[[Path, str], int], path: Path, contract: str, rows: int) -> float:
    """Return the least processor time of some repeats."""
    took = []
    for _ in range(REPEATS):
        began = time.process_time()
        if read(path, contract) != rows:
            raise SystemExit(f"{path} has another number of rows of {contract}")
        took.append(time.process_time() - began)
    return 1e3 * min(took)


def in_ledger_order(path: Path, aside: Path) -> Path:
    rows = pq.read_table(path).sort_by([("ledger_sequence", "ascending")])
    pq.write_table(rows, aside, compression="zstd", compression_level=3)
    return aside


def contracts(path: Path) -> Iterator[tuple[str, int, float]]:
    """Yield a contract, its rows and their share of all, for every share wanted."""
    held = pq.read_table(path, columns=["contract_id"]).column(0).drop_null()
    counts = [(one["counts"], one["values"]) for one in pc.value_counts(held).to_pylist()]
    for share in SHARES:
        rows, contract = min(counts, key=lambda one: abs(one[0] - share * len(held)))
        yield contract, rows, rows / len(held)


def report(table: str, path: Path, flat: Path) -> Iterator[str]:
    for contract, rows, share in contracts(path):
        cells = []
        for read in READERS.values():
            ours, other = (milliseconds(read, one, contract, rows) for one in (path, flat))
            cells.append(f"{ours:,.0f} | {other:,.0f} | {other / ours:.1f}x")
        yield f"| {table} | {rows:,} ({100 * share:.2g} %) | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=300)
    parser.add_argument("--lake", type=Path, help="synthetic ledgers made before")
    asked = parser.parse_args()
    pa.set_cpu_count(1)
    duckdb.sql("SET threads = 1")
    for name, value in machine.describe().items():
        print(f"- {name}: {value}")
    with tempfile.TemporaryDirectory() as place:
        lake = asked.lake or Path(place, "lake")
        if not asked.lake:
            made = islice(synthetic(ledger_bytes=LEDGER_BYTES, first=FIRST), asked.ledgers)
            write_lake(lake, made, first=FIRST, network=Network.of("synthetic"))
        extract("parquet", lake, Path(place, "out"))
        print(
            "\n| table | rows of the contract |",
            " | ".join(f"{name}, ms | unsorted | " for name in READERS),
            "|",
        )
        print("|---|---:|" + "---:|" * 3 * len(READERS))
        for table in TABLES:
            path = max(Path(place, "out", table).glob("*.parquet"), key=lambda one: one.stat().st_size)
            print("\n".join(report(table, path, in_ledger_order(path, Path(place, f"{table}.parquet")))))
    print(f"\nload after: {machine.load()}")


if __name__ == "__main__":
    main()
