"""Measure the Kafka sink: rows a second into a broker on this machine, commits one by one, memory.

The broker is the tests', in a process of its own that shares the cores; batches are decoded before the clock
starts. See README.md beside this file.
"""

import resource
import statistics
import subprocess
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
from fakes.process import Process, free_port
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.sinks.kafka import KafkaSink

TABLES = ("contract_data", "contract_events", "token_transfers")
LEDGER_BYTES = 1_700_000
GOAL = 300_000  # rows a second, as Arrow IPC
COMMITS = 200
SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
"""


@contextmanager
def broker(folder: Path) -> Iterator[str]:
    """Start a broker, and yield its address."""
    jars = Path(sys.prefix, "servers", "kafka")
    if not (jars / ".jars").is_file():
        raise SystemExit("there is no Kafka broker: make servers fetches it where there are Maven and Java")
    port, settings = free_port(), folder / "server.properties"
    settings.write_text(SETTINGS.format(port=port, controller=free_port(), folder=folder))
    java = ["java", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", f"{jars}/*"]
    make = [*java, "kafka.tools.StorageTool", "format", "-t", "c3RlbGxhcnJvdy10ZXN0cw", "-c", str(settings)]
    subprocess.run(make, check=True, capture_output=True)
    process = Process([*java, "kafka.Kafka", settings], port=port, log=folder / "log", patience=180)
    try:
        yield f"127.0.0.1:{port}"
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


def bulk(address: str, made: list[sa.LedgerBatch], options: str, rounds: int) -> tuple[float, int]:
    """Bring the batches again and again as later ledgers; return rows a second, and how many there were."""
    sink = KafkaSink(f"kafka://{address}/?topic_prefix={token_hex(4)}.{options}", TABLES, network="synthetic")
    sink.write(shifted(made[0], 99))
    sink.commit()  # topics are made, the transaction's id is known
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
    sink = KafkaSink(f"kafka://{address}/?topic_prefix={token_hex(4)}.", TABLES, network="synthetic")
    seconds = []
    for one in made:
        began = time.perf_counter()
        sink.write(one)
        sink.commit()
        seconds.append(time.perf_counter() - began)
    sink.close()
    return seconds[1:]  # the first makes topics


def main() -> None:
    print(" · ".join(f"{name} {value}" for name, value in machine.describe().items()))
    heavy, light = batches(30, LEDGER_BYTES, 100), batches(COMMITS + 1, 60_000, 100)
    with tempfile.TemporaryDirectory() as folder, broker(Path(folder)) as address:
        print("\n| what | rows/s | goal |\n| --- | --- | --- |")
        for name, options, rounds in (("Arrow IPC", "", 4), ("JSON rows", "&format=json", 1)):
            found = [bulk(address, heavy, options, rounds) for _ in range(3)]
            best = max(rate for rate, _ in found)
            goal = f"{'reached' if best >= GOAL else 'missed'} {GOAL:,}" if not options else ""
            print(f"| {name}, best of 3 of {found[0][1]:,} rows | {best:,.0f} | {goal} |")
        seconds = one_by_one(address, light)
        first, last = seconds[: len(seconds) // 4], seconds[-(len(seconds) // 4) :]
        print(f"\ncommits one by one, {len(seconds)}: p50 {statistics.median(seconds) * 1000:.0f} ms,")
        print(f"p95 {statistics.quantiles(seconds, n=20)[-1] * 1000:.0f} ms; of the first quarter p50")
        print(
            f"{statistics.median(first) * 1000:.0f} ms, of the last {statistics.median(last) * 1000:.0f} ms"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"peak memory of the writer {peak:,.0f} MB, {sum(map(held, heavy)) / 1e6:,.0f} MB of it the batches"
    )


def held(batch: sa.LedgerBatch) -> int:
    return sum(rows.nbytes for rows in batch.tables.values())


if __name__ == "__main__":
    main()
