"""Measure what a ledger costs where it is kept: processor time, memory, disk; write docs/capacity.md.

Every place is written by a process of its own, out of the same lake, and costs are of processor time, so that
a machine that others use too gives about the same. `--page` writes the page anew from what was measured last.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import machine
from extract_memory import sample

import stellarrow as sa
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network
from stellarrow.processor.processor import Options, Processor
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries
from stellarrow.sources.files import FileSource

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "capacity.json"
PAGE = ROOT / "docs" / "capacity.md"
PYICEBERG = Path(
    sys.prefix, "servers", "lakehouse", "pyiceberg"
)  # beside what development has: see the Makefile
TABLES = ("ledgers", "contract_data", "contract_events", "token_transfers")
LEDGER_BYTES = 100_000
FIRST = 100
MILLION = 1_000_000
DECODE, SPOOL, POSTGRES = "decode", "spool", "postgresql"
# What a row of the page is called, and the location of the sink in a folder.
PLACES = {
    "Parquet": "parquet:{}/parquet",
    "JSON lines, zstd": "jsonl:{}/jsonl?codec=zstd",
    "CSV": "csv:{}/csv",
    "DuckDB file": "duckdb:{}/tables.duckdb",
    "Delta": "delta:{}/delta",
    "Iceberg": "iceberg:capacity/stellar",
    "PostgreSQL": POSTGRES,
    "a session's spool": SPOOL,
    "nowhere: decoded alone": DECODE,
}
BEGIN, END = "<!-- made by benchmarks/capacity.py -->\n", "<!-- up to here -->\n"


class Memory:
    """The most that this process had in memory, in MB."""

    def __init__(self) -> None:
        self.peak = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            if (now := sample(os.getpid())) is not None:
                self.peak = max(self.peak, now[0])

    def close(self) -> None:
        self._done.set()
        self._thread.join()


def used() -> float:
    taken = resource.getrusage(resource.RUSAGE_SELF)
    return taken.ru_utime + taken.ru_stime


def written(lake: Path, place: str, first: int, last: int) -> sa.Report:
    sinks = [] if place == DECODE else [place]
    return sa.run(lake, tables=TABLES, sinks=sinks, network="synthetic", ledgers=f"{first}:{last}")


def spooled(lake: Path, folder: Path, first: int, last: int) -> int:
    options = Options(state_dir=folder / "state", tables=TABLES, network=Network.of("synthetic"))
    with closing(Processor(lambda: FileSource(lake), options)) as processor:
        session = processor.start(first, last).id
        while not processor.work(session).session.status.is_final:
            time.sleep(0.01)
        processor.drain()
        return sum(processor.work(session).session.counts.rows.values())


def measured(lake: Path, folder: Path, place: str, last: int) -> dict[str, float]:
    """Bring all ledgers but a few into a place; those few are brought before, to load what is needed."""
    warm = FIRST + 9
    spool = place == SPOOL
    _ = spooled(lake, folder, FIRST, warm) if spool else written(lake, place, FIRST, warm)
    before, began = size_of(place, folder), time.perf_counter()
    cpu, memory = used(), Memory()
    rows = (
        spooled(lake, folder, warm + 1, last)
        if spool
        else sum(written(lake, place, warm + 1, last).rows.values())
    )
    taken = {"cpu_seconds": used() - cpu, "seconds": time.perf_counter() - began}
    memory.close()
    disk = size_of(place, folder) - before
    return {**taken, "ledgers": last - warm, "rows": rows, "peak_mb": memory.peak, "disk_bytes": disk}


def size_of(place: str, folder: Path) -> int:
    if place.startswith(POSTGRES):
        import psycopg  # noqa: PLC0415  an extra

        with psycopg.connect(place) as connection:
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            return int(row[0]) if row else 0
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(ledgers: int, titles: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"machine": machine.describe(), "date": date.today().isoformat()}
    found |= {"ledger_bytes": LEDGER_BYTES, "tables": TABLES, "places": {}}
    with tempfile.TemporaryDirectory(prefix="stellarrow-capacity-") as name:
        lake = Path(name, "lake")
        made = islice(synthetic(200, first=FIRST, ledger_bytes=LEDGER_BYTES), ledgers)
        write_lake(lake, made, first=FIRST, network=Network.of("synthetic"))
        for title in titles:
            if (one := in_a_process(lake, PLACES[title], FIRST + ledgers - 1)) is not None:
                found["places"][title] = one
                print(f"{title}: {one}", file=sys.stderr)
    return found


def in_a_process(lake: Path, place: str, last: int) -> dict[str, float] | None:
    """Measure a place in a process of its own; None where what it needs is not here."""
    with tempfile.TemporaryDirectory(prefix="stellarrow-capacity-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if place != POSTGRES:
            return child(lake, folder, place.format(folder), last)
        if find_binaries() is None:
            return None
        with PrivateServer(folder) as server:
            return child(lake, folder, server.url, last)


def child(lake: Path, folder: Path, place: str, last: int) -> dict[str, float] | None:
    argv = [sys.executable, __file__, "--child", str(lake), str(folder), place, str(last)]
    catalog = f"sqlite:///{folder}/catalog.db"
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(PYICEBERG)]))
    environ = {
        **os.environ,
        "PYTHONPATH": path if place.startswith("iceberg") else os.environ.get("PYTHONPATH", ""),
        "PYICEBERG_CATALOG__CAPACITY__URI": catalog,
        "PYICEBERG_CATALOG__CAPACITY__WAREHOUSE": f"file://{folder}",
    }
    done = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{place}: {done.stderr.splitlines()[-1:]}", file=sys.stderr)
        return None
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def table(found: dict[str, Any]) -> str:
    """Return the figures as the page shows them."""
    told = found["machine"]
    measured_on = (
        f"Measured on {found['date']}: {told['cpu']}, {told['cores']} cores, {told['memory']}, load"
        f" {told['load before']} before, Python {told['python']}, pyarrow {told['pyarrow']}; synthetic"
        f" ledgers of {found['ledger_bytes'] // 1000} kB, tables {', '.join(found['tables'])}"
        " (`python benchmarks/capacity.py`)."
    )
    head = ("place", "ledgers/s a core", "rows/s a core", "memory, MB", "bytes a row", "GB a million ledgers")
    lines = [measured_on, "", f"| {' | '.join(head)} |", "|---|---:|---:|---:|---:|---:|"]
    for title, one in found["places"].items():
        ledgers, rows, cpu = one["ledgers"], one["rows"], one["cpu_seconds"]
        disk = one["disk_bytes"]
        stored = [f"{disk / rows:,.0f}", f"{disk / ledgers * MILLION / 1e9:,.0f}"] if disk else ["", ""]
        speed = [f"{ledgers / cpu:,.0f}", f"{rows / cpu:,.0f}", f"{one['peak_mb']:,.0f}"]
        lines.append(f"| {title} | {' | '.join([*speed, *stored])} |")
    first = next(iter(found["places"].values()))
    lines += [
        "",
        f"A ledger of these has {first['rows'] / first['ledgers']:,.0f} rows in the four tables together.",
    ]
    return "\n".join(lines) + "\n"


def replaced(text: str, begin: str, made: str, end: str) -> str:
    """Return a page with what was made between two marks."""
    before, _, rest = text.partition(begin)
    return before + begin + made + end + rest.partition(end)[2]


def page(text: str, found: dict[str, Any]) -> str:
    """Return the page with the figures in it."""
    return replaced(text, BEGIN, table(found), END)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=2_000)
    parser.add_argument(
        "--only", metavar="PLACE", help="measure this place anew, and keep the others' figures"
    )
    parser.add_argument("--page", action="store_true", help="write the page from what was measured last")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        lake, folder, place, last = asked.child
        print(json.dumps(measured(Path(lake), Path(folder), place, int(last))))
        return
    if not asked.page:
        known = json.loads(RESULTS.read_text()) if asked.only else {"places": {}}
        found = measure(asked.ledgers, [asked.only] if asked.only else [*PLACES])
        places = known["places"] | found["places"]
        found["places"] = {title: places[title] for title in PLACES if title in places}
        kept = {name: known[name] for name in ("machine", "date") if name in known}
        RESULTS.write_text(json.dumps(found | kept, indent=1) + "\n")
    PAGE.write_text(page(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
