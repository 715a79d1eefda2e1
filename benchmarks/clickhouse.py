"""Measure the ClickHouse sink: rows a second into an engine on this machine, commits one by one, memory.

The engine is the tests', in a process of its own that shares the cores; batches are decoded before the clock
starts. See README.md beside this file.
"""

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from secrets import token_hex

import machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import stellarrow as sa
from fakes.clickhouse import serve
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.clickhouse import ClickHouseSink

TABLES = ("contract_data", "contract_events", "token_transfers")
LEDGER_BYTES = 1_700_000
GOAL = 150_000  # rows a second
COMMITS = 200


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Start a server, and yield its address."""
    process = serve(folder)
    try:
        yield f"127.0.0.1:{process.port}"
    finally:
        process.kill()


def batches(ledgers: int, size: int, first: int) -> list[sa.LedgerBatch]:
    decoder = sa.Decoder(TABLES, network="synthetic")
    made = islice(synthetic(2_000, first=first, ledger_bytes=size), ledgers)
    return [
        decoder(sa.LedgerChunk(frame([one], "record-marked"), "record-marked", number, number, "memory"))
        for number, one in enumerate(made, first)
    ]


def shifted(batch: sa.LedgerBatch, ledger: int) -> sa.LedgerBatch:
    """Return a batch as if its rows were of another ledger; decoding as many would take the memory."""
    import pyarrow as pa  # noqa: PLC0415

    tables = {}
    for name, rows in batch.tables.items():
        at = rows.schema.get_field_index("ledger_sequence")
        column = pa.repeat(pa.scalar(ledger, pa.uint32()), rows.num_rows)
        tables[name] = rows.set_column(at, rows.schema.field(at), column)
    return sa.LedgerBatch(ledger, ledger, tables, batch.run)


def bulk(address: str, made: list[sa.LedgerBatch], rounds: int) -> tuple[float, int]:
    """Bring the batches again and again as later ledgers; return rows a second, and how many there were."""
    sink = ClickHouseSink(f"clickhouse://{address}/d{token_hex(4)}", TABLES, network="synthetic")
    sink.write(shifted(made[0], 99))
    sink.commit()  # tables are made
    due = [shifted(one, 100 + at) for at, one in enumerate(made * rounds)]
    rows = sum(table.num_rows for one in due for table in one.tables.values())
    began = time.perf_counter()
    for one in due:
        sink.write(one)
    sink.commit()
    took = time.perf_counter() - began
    sink.close()
    return rows / took, rows


def one_by_one(address: str, made: list[sa.LedgerBatch]) -> list[float]:
    """Commit ledger after ledger, as at the live edge; return the seconds of each."""
    sink = ClickHouseSink(f"clickhouse://{address}/d{token_hex(4)}", TABLES, network="synthetic")
    seconds = []
    for one in made:
        began = time.perf_counter()
        sink.write(one)
        sink.commit()
        seconds.append(time.perf_counter() - began)
    sink.close()
    return seconds[1:]  # the first makes tables


def main() -> None:
    print(" · ".join(f"{name} {value}" for name, value in machine.describe().items()))
    heavy, light = batches(30, LEDGER_BYTES, 100), batches(COMMITS + 1, 60_000, 100)
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as address:
        found = [bulk(address, heavy, 4) for _ in range(3)]
        best = max(rate for rate, _ in found)
        verdict = "reached" if best >= GOAL else "missed"
        print(f"best of 3 of {found[0][1]:,} rows: {best:,.0f} rows/s ({verdict} {GOAL:,})")
        seconds = one_by_one(address, light)
        first, last = seconds[: len(seconds) // 4], seconds[-(len(seconds) // 4) :]
        print(f"commits one by one, {len(seconds)}: p50 {statistics.median(seconds) * 1000:.0f} ms,")
        print(f"p95 {statistics.quantiles(seconds, n=20)[-1] * 1000:.0f} ms; of the first quarter p50")
        print(
            f"{statistics.median(first) * 1000:.0f} ms, of the last {statistics.median(last) * 1000:.0f} ms"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the writer {peak:,.0f} MB")


if __name__ == "__main__":
    main()
