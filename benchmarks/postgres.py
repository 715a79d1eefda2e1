"""Measure the PostgreSQL sink beside a raw COPY and psycopg's own, and queries over many rows.

Client and server share the machine. Rates are of contract_data 2.0 rows, decoded beforehand; every round
takes each case once, in a fresh database, and compares it to that round's raw COPY. CPU is that of the
server's processes and of this one, which other work on the machine moves less than it moves rates.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import machine
import psycopg
from postgres_rows import CONTRACTS, HOT, contract_id, generated

import stellarrow as sa
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network
from stellarrow.sinks.postgres import PostgresSink
from stellarrow.sinks.postgres.copy import copy_rows
from stellarrow.sinks.postgres.ddl import layout
from stellarrow.sinks.postgres.embedded import PrivateServer

SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "checkpoint_timeout": "30min", "jit": "off"}
LIVE_GOAL, BACKFILL_GOAL = 50_000, 100_000
QUERY_GOAL_MS, KEPT_SPEED_GOAL, RSS_GOAL_MB = 50, 0.7, 300
TABLE = ["contract_data"]
PARTITION = 1_000  # ledgers: the least that is loaded bare by itself


@dataclass(slots=True)
class Case:
    """Rows a second of each round, and the CPU of server and client in microseconds a row."""

    name: str
    goal: int | None = None
    rates: list[float] = field(default_factory=list)
    server: list[float] = field(default_factory=list)
    client: list[float] = field(default_factory=list)

    def row(self, ceiling: "Case") -> str:
        median = statistics.median(self.rates)
        cpu = f"{statistics.median(self.server):.1f} + {statistics.median(self.client):.1f}"
        share = statistics.median(one / most for one, most in zip(self.rates, ceiling.rates, strict=True))
        reached = "" if self.goal is None else f"{self.goal:,}: {'yes' if median >= self.goal else 'no'}"
        return f"| {self.name} | {median:,.0f} | {max(self.rates):,.0f} | {cpu} | {share:.2f} | {reached} |"


def made(ledgers: int, *, first: int = 2) -> list[sa.LedgerBatch]:
    """Decode synthetic ledgers of a load test's size, ten a batch."""
    decoder = sa.Decoder(TABLE, network="synthetic", verify_chain=False)
    endless = synthetic(20_000, first=first, ledger_bytes=1_300_000)
    found = []
    for at in range(first, first + ledgers, 10):
        data = frame(list(islice(endless, 10)), "record-marked")
        found.append(decoder(sa.LedgerChunk(data, "record-marked", at, at + 9, "memory")))
    return found


def fresh(server: PrivateServer, name: str = "bench") -> str:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute("CHECKPOINT")
    return server.url.replace("/postgres?", f"/{name}?")


def warm(server: PrivateServer) -> None:
    """Touch all of the shared buffers, or the first case pays for their pages."""
    with psycopg.connect(fresh(server), autocommit=True) as connection:
        connection.execute("CREATE TABLE wide AS SELECT repeat('x', 900) FROM generate_series(1, 1200000)")


def sunk(
    url: str,
    batches: list[sa.LedgerBatch],
    mode: str,
    *,
    partition: int = PARTITION,
    profile: str | None = None,
) -> None:
    with closing(
        PostgresSink(url, TABLE, network="synthetic", mode=mode, profile=profile, partition_ledgers=partition)
    ) as sink:
        for batch in batches:
            sink.write(batch)
        sink.commit()


def bare(url: str, batches: list[sa.LedgerBatch]) -> None:
    """COPY by pgpq into a table without an index: the ceiling."""
    with _bare_table(url) as connection:
        for batch in batches:
            with connection.transaction():
                copy_rows(
                    connection, "bare", layout(TABLE[0]), rows=[batch.tables[TABLE[0]]], batch=uuid.uuid4()
                )


def write_row(url: str, batches: list[sa.LedgerBatch]) -> None:
    """The same by psycopg's copy.write_row."""
    columns = ", ".join(batches[0].tables[TABLE[0]].schema.names)
    with _bare_table(url) as connection:
        connection.execute("ALTER TABLE bare ALTER batch_id DROP NOT NULL")
        for batch in batches:
            with connection.cursor() as cursor, cursor.copy(f"COPY bare ({columns}) FROM STDIN") as copy:
                for row in zip(
                    *(column.to_pylist() for column in batch.tables[TABLE[0]].columns), strict=True
                ):
                    copy.write_row(row)


def _bare_table(url: str) -> psycopg.Connection:
    with closing(PostgresSink(url, TABLE, network="synthetic")) as sink:
        sink.write(made(1)[0])
        sink.commit()
    connection = psycopg.connect(url, autocommit=True)
    connection.execute("CREATE TABLE bare (LIKE contract_data.entries INCLUDING DEFAULTS)")
    return connection


def speeds(server: PrivateServer, ledgers: int, rounds: int, *, partition: int) -> Iterator[str]:
    batches = made(ledgers)
    rows = sum(batch.tables[TABLE[0]].num_rows for batch in batches)
    cases: dict[str, tuple[Case, Callable[[str, list[sa.LedgerBatch]], None]]] = {
        "bare": (Case("COPY (pgpq), no index: the ceiling"), bare),
        "write_row": (Case("psycopg copy.write_row, no index"), write_row),
        "live": (
            Case("live: indexes, states, coverage", LIVE_GOAL),
            lambda url, batches: sunk(url, batches, "live", partition=partition),
        ),
        "backfill": (
            Case("backfill: indexes built, states, attached", BACKFILL_GOAL),
            lambda url, batches: sunk(url, batches, "backfill", partition=partition),
        ),
        "lean live": (
            Case("live, profile lean"),
            lambda url, batches: sunk(url, batches, "live", partition=partition, profile="lean"),
        ),
        "lean backfill": (
            Case("backfill, profile lean"),
            lambda url, batches: sunk(url, batches, "backfill", partition=partition, profile="lean"),
        ),
    }
    warm(server)
    for _ in range(rounds):
        for case, work in cases.values():
            url = fresh(server)
            cpu, own, began = server_cpu(server), time.process_time(), time.perf_counter()
            work(url, batches)
            case.rates.append(rows / (time.perf_counter() - began))
            case.client.append((time.process_time() - own) / rows * 1e6)
            case.server.append((server_cpu(server) - cpu) / rows * 1e6)
    yield f"{rows:,} rows a round, {rounds} rounds, partitions of {partition:,} ledgers\n"
    yield "| case | rows/s, median | best | CPU of server + client, µs a row | of the ceiling | goal |"
    yield "|---|---:|---:|---:|---:|---|"
    yield from (case.row(cases["bare"][0]) for case, _ in cases.values())


def server_cpu(server: PrivateServer) -> float:
    """Return the seconds that the server and those of its processes that have ended took."""
    time.sleep(0.2)  # for the last of them to end
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def many_rows(server: PrivateServer, count: int, profile: str) -> Iterator[str]:
    """Load many rows, ask, and write on."""
    url = fresh(server, "many")
    before = _live_rate(fresh(server, "none"), profile)
    began, ledger = time.perf_counter(), 10_000_000
    with closing(PostgresSink(url, TABLE, network="synthetic", mode="backfill", profile=profile)) as sink:
        for batch in generated(count, first=ledger):
            sink.write(batch)
        sink.commit()
    seconds = time.perf_counter() - began
    rate = count / seconds
    loaded = f"{count:,} rows of {CONTRACTS:,} contracts backfilled in {seconds:,.0f} s ({rate:,.0f} rows/s)"
    yield f"\nprofile {profile}: {loaded}\n"
    yield "| query | ms, median of 20 | worst | goal |"
    yield "|---|---:|---:|---|"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE contract_data.current_states")
        connection.execute(
            "INSERT INTO stellar.assets VALUES (%s, 'credit_alphanum4', 'HOT', 'GISSUER')", [contract_id(HOT)]
        )
        for name, sql, parameters in _questions():
            yield _asked(connection, name, sql, parameters)
    after = _live_rate(url, profile)
    kept = after / before
    yield (
        f"\nlive into these: {after:,.0f} rows/s, into none: {before:,.0f}: {kept:.2f}"
        f" (goal {KEPT_SPEED_GOAL}: {'yes' if kept >= KEPT_SPEED_GOAL else 'no'})"
    )


def _questions() -> Iterator[tuple[str, str, list[list[object]]]]:
    spread = [
        contract_id(at * 49_999 % CONTRACTS) for at in range(1, 21)
    ]  # not the hot one, of a million states
    yield "get_top_holders", "SELECT * FROM contract_data.get_top_holders('HOT', 'GISSUER')", [[]] * 20
    history = "SELECT * FROM contract_data.get_balance_history(%s)"
    yield "get_balance_history, the busiest token", history, [[contract_id(HOT)]] * 20
    yield "get_balance_history, any contract", history, [[one] for one in spread]
    state = "SELECT * FROM contract_data.current_states WHERE contract_id = %s"
    yield "the latest state of a contract", state, [[one] for one in spread]
    held = "SELECT * FROM contract_data.current_states WHERE balance_holder = %s ORDER BY balance DESC"
    yield "what a contract holds now", held, [[one] for one in spread]
    moved = "SELECT * FROM contract_data.entries WHERE contract_id = %s AND balance_holder = %s"
    yield "balance history of a holder", moved, [[contract_id(HOT), one] for one in spread]


def _asked(connection: psycopg.Connection, name: str, sql: str, parameters: list[list[object]]) -> str:
    took = []
    for values in parameters:
        began = time.perf_counter()
        connection.execute(sql.encode(), values).fetchall()
        took.append((time.perf_counter() - began) * 1_000)
    median = statistics.median(took)
    return (
        f"| {name} | {median:.1f} | {max(took):.1f} | {QUERY_GOAL_MS}:"
        f" {'yes' if median < QUERY_GOAL_MS else 'no'} |"
    )


def _live_rate(url: str, profile: str) -> float:
    rates = []
    for first in (50_000_000, 50_001_000, 50_002_000):
        batches = list(generated(100_000, first=first, seed=first))
        began = time.perf_counter()
        sunk(url, batches, "live", profile=profile)
        rates.append(100_000 / (time.perf_counter() - began))
    return statistics.median(rates)


# Not getrusage, whose peak begins with that of the process we were forked from.
CLIENT = """
import sys
from stellarrow.cli import invoke
assert not invoke(["extract", sys.argv[1], "--tables", "contract_data", "--to", sys.argv[2]])
status = open("/proc/self/status").read()
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


def memory(server: PrivateServer, ledgers: int) -> Iterator[str]:
    """Watch an extract from a lake to the database, decoding included."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder)
        heavy = islice(synthetic(20_000, first=2, ledger_bytes=1_300_000), ledgers)
        write_lake(lake, heavy, first=2, network=Network.of("synthetic"))
        for mode in ("live", "backfill"):
            url = fresh(server).replace("postgresql:", "postgres:") + f"&mode={mode}"
            done = subprocess.run(
                [sys.executable, "-c", CLIENT, str(lake), url], capture_output=True, text=True, check=True
            )
            peak = float(done.stdout.split()[-1])
            reached = "yes" if peak < RSS_GOAL_MB else "no"
            yield f"\nextract, {mode}: peak RSS {peak:.0f} MB (goal {RSS_GOAL_MB}: {reached})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=4_000, help="of 1.3 MB, a round")
    parser.add_argument("--partition", type=int, default=PARTITION, help="ledgers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=10_000_000, help="for the queries; 0 leaves them out")
    parser.add_argument("--profile", default="full", choices=("full", "lean"), help="for the queries")
    parser.add_argument("--folder", type=Path, default=None, help="for the database")
    chosen = parser.parse_args()
    answer = machine.describe()
    print(f"{answer['cpu']}, {answer['cores']} cores, load before {answer['load before']}\n")
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        Path(folder).chmod(0o755)
        with PrivateServer(Path(folder, "server"), settings=SETTINGS) as server:
            parts = [
                speeds(server, chosen.ledgers, chosen.rounds, partition=chosen.partition),
                memory(server, min(chosen.ledgers, 600)),
            ]
            for part in [*parts, many_rows(server, chosen.rows, chosen.profile)] if chosen.rows else parts:
                for line in part:
                    print(line, flush=True)
    print(
        f"\nload after {machine.load()}, this process's peak RSS "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB"
    )


if __name__ == "__main__":
    main()
