"""Measure each stage on one core and on two, and write what follows for more into docs/capacity.md.

Every run is a process of its own, held to its cores; one core and two take turns, and medians count. Beside
them stands what the cores themselves do: a loop and a copy of memory, alone and beside another one. `--page`
writes the page anew from what was measured last.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import machine
from capacity import PAGE, replaced
from player import cores, pinned

import stellarrow as sa
from stellarrow.cli.commands.synth import write_lake
from stellarrow.core.framing import plain_bytes
from stellarrow.core.synthetic import synthetic
from stellarrow.ledgers import Network
from stellarrow.net.address import Address
from stellarrow.processor.processor import Options, Processor
from stellarrow.servers.processor_flight import FlightServer
from stellarrow.sinks.postgres.embedded import PrivateServer, find_binaries
from stellarrow.sources.files import FileSource

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "cores.json"
TABLES = ("ledgers", "contract_data", "contract_events", "token_transfers")
LEDGER_BYTES = 1_000_000
FIRST, WARM = 100, 10  # the first ledgers load what is needed, and are not timed
COPY_BYTES = 64 << 20  # more than any cache
PROBE_SECONDS = 0.5
STAGES = {
    "decode": "decoded alone",
    "parquet": "lake → Parquet",
    "jsonl": "lake → JSON lines",
    "postgres": "lake → PostgreSQL, its server on the same cores",
    "spool": "lake → a session's spool",
    "flight": "spool → one Flight client, on the same cores",
}
BEGIN, END = "<!-- made by benchmarks/cores.py -->\n", "<!-- up to here: cores -->\n"
CLIENT = """
import sys
from pyarrow import flight
client = flight.connect(sys.argv[1], generic_options=[("grpc.http2.bdp_probe", 0)])
client.wait_for_available()
for _ in sys.stdin:
    print(sum(one.data.num_rows for one in client.do_get(flight.Ticket(sys.argv[2].encode()))), flush=True)
"""


def used() -> float:
    taken = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in taken)


def timed(work: Callable[[], int], ledgers: int) -> dict[str, float]:
    """Return what some work took; it returns how many rows it made."""
    began, cpu = time.perf_counter(), used()
    rows = work()
    return {"seconds": time.perf_counter() - began, "cpu": used() - cpu, "rows": rows, "ledgers": ledgers}


def written(lake: Path, places: Sequence[str], threads: int, last: int) -> dict[str, float]:
    def run(first: int, end: int) -> int:
        report = sa.run(
            lake, tables=TABLES, sinks=places, network="synthetic", workers=threads, ledgers=f"{first}:{end}"
        )
        return sum(report.rows.values())

    run(FIRST, FIRST + WARM - 1)
    return timed(lambda: run(FIRST + WARM, last), last - FIRST - WARM + 1)


def in_postgres(lake: Path, folder: Path, threads: int, last: int) -> dict[str, float]:
    with PrivateServer(folder) as server:
        return written(lake, [server.url], threads, last)


def in_session(lake: Path, folder: Path, threads: int, last: int, *, read: bool) -> dict[str, float]:
    options = Options(
        state_dir=folder / "state", tables=TABLES, network=Network.of("synthetic"), workers=threads
    )
    with closing(Processor(lambda: FileSource(lake), options)) as processor:

        def spooled(first: int, end: int) -> int:
            session = processor.start(first, end).id
            while not processor.work(session).session.status.is_final:
                time.sleep(0.005)
            return sum(processor.work(session).session.counts.rows.values())

        spooled(FIRST, FIRST + WARM - 1)
        took = timed(lambda: spooled(FIRST + WARM, last), last - FIRST - WARM + 1)
        return fetched(processor) if read else took


def fetched(processor: Processor) -> dict[str, float]:
    """Read one table of all sessions three times in a process of its own, of which the last counts."""
    ticket = json.dumps({"table": "contract_events", "follow": False})
    with closing(FlightServer(Address("127.0.0.1", 0), processor)) as server:
        argv = [sys.executable, "-c", CLIENT, f"grpc://{server.address}", ticket]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
            read = partial(asked, client)
            read()
            took = [timed(read, 1) for _ in range(3)]
            if client.stdin:
                client.stdin.close()
    return min(took, key=lambda one: one["seconds"])


def asked(process: subprocess.Popen[str]) -> int:
    """Say a word to a process, and return the number that it answers with."""
    print("go", file=process.stdin, flush=True)
    return int(process.stdout.readline()) if process.stdout else 0


def stage(name: str, lake: Path, folder: Path, threads: int, last: int) -> dict[str, float]:
    if name == "postgres":
        return in_postgres(lake, folder, threads, last)
    if name in ("spool", "flight"):
        return in_session(lake, folder, threads, last, read=name == "flight")
    return written(lake, [] if name == "decode" else [f"{name}:{folder}/out"], threads, last)


def probe(kind: str) -> dict[str, float]:
    """Loop, or copy memory, for a while after a line on stdin; return work a second, and a CPU second."""
    source, target = bytearray(COPY_BYTES), bytearray(COPY_BYTES)
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - began < PROBE_SECONDS:
        if kind == "copy":
            target[:] = source
            done += COPY_BYTES
        else:
            done += sum(1 for _ in range(100_000))
    return {"a_second": done / (time.perf_counter() - began), "a_cpu": done / (time.process_time() - cpu)}


def child(words: Sequence[str], on: set[int]) -> subprocess.Popen[str]:
    argv = [sys.executable, __file__, "--child", *words]
    with pinned(on):
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def probed(kinds: Sequence[str], free: Sequence[int]) -> dict[str, float]:
    """Return what the first of some probes did, each on a core of its own, all at once."""
    running = [child(["probe", kind], {core}) for kind, core in zip(kinds, free, strict=False)]
    for one in running:
        if one.stdout:
            one.stdout.readline()
    for one in running:
        print(file=one.stdin, flush=True)
    answers = [json.loads(one.communicate()[0]) for one in running]
    found: dict[str, float] = answers[0]
    return found


def of_machine(free: Sequence[int], rounds: int) -> dict[str, float]:
    """Return how much of its speed a core keeps while the other one works, and what memory gives."""
    found: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, kinds in {
            "loop alone": ["loop"],
            "loop beside a loop": ["loop", "loop"],
            "copy alone": ["copy"],
            "copy beside a copy": ["copy", "copy"],
        }.items():
            found.setdefault(name, []).append(probed(kinds, free)["a_cpu"])
    return {name: max(taken) for name, taken in found.items()}


def measure(ledgers: int, rounds: int) -> dict[str, Any]:
    free = sorted(cores())
    found: dict[str, Any] = {"machine": machine.describe(), "date": date.today().isoformat()}
    found |= {"ledger_bytes": LEDGER_BYTES, "tables": TABLES, "rounds": rounds, "stages": {}}
    found["cores"] = of_machine(free, rounds + 2) if len(free) > 1 else {}
    last = FIRST + ledgers - 1
    with tempfile.TemporaryDirectory(prefix="stellarrow-cores-") as name:
        lake = Path(name, "lake")
        made = islice(synthetic(200, first=FIRST, ledger_bytes=LEDGER_BYTES), ledgers)
        write_lake(lake, made, first=FIRST, network=Network.of("synthetic"))
        found["traffic"] = traffic(lake)
        for one in STAGES:
            if one == "postgres" and find_binaries() is None:
                continue
            runs: dict[int, list[dict[str, float]]] = {1: [], 2: []}
            for _ in range(rounds):
                for count in (1, 2)[: len(free)]:
                    runs[count].append(in_a_process(one, lake, free[:count], last))
            found["stages"][one] = {str(count): middle(taken) for count, taken in runs.items() if taken}
            print(f"{one}: {found['stages'][one]}", file=sys.stderr)
    return found


def in_a_process(name: str, lake: Path, on: Sequence[int], last: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="stellarrow-cores-") as folder:
        Path(folder).chmod(0o755)
        running = child(["stage", name, str(lake), folder, str(len(on)), str(last)], set(on))
        answer = running.communicate()[0]
    if running.returncode:
        raise SystemExit(f"{name} on {len(on)} cores failed")
    found: dict[str, float] = json.loads(answer)
    return found


def middle(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def traffic(lake: Path) -> dict[str, float]:
    """Return the bytes of a ledger, as stored, as XDR, and as columns."""
    source, decoder = FileSource(lake), sa.Decoder(TABLES, network="synthetic")
    chunks = list(source.read(sa.LedgerRange(FIRST, FIRST + 19)))
    batches = [decoder(chunk) for chunk in chunks]
    count = sum(batch.run.count for batch in batches)
    columns = sum(rows.nbytes for batch in batches for rows in batch.tables.values())
    return {
        "stored": sum(len(chunk.data) for chunk in chunks) / count,
        "plain": sum(plain_bytes(chunk) for chunk in chunks) / count,
        "columns": columns / count,
    }


def table(found: dict[str, Any]) -> str:
    """Return the figures, and what follows from them, as the page shows them."""
    told = found["machine"]
    measured_on = (
        f"Measured on {found['date']}: {told['cpu']}, {told['cores']} cores, load {told['load before']}"
        f" before, Python {told['python']}, pyarrow {told['pyarrow']}; synthetic ledgers of"
        f" {found['ledger_bytes'] // 1000} kB, tables {', '.join(found['tables'])}, medians of"
        f" {found['rounds']} (`python benchmarks/cores.py`)."
    )
    lines = [
        measured_on,
        "",
        "| stage | on one core | on two | times | efficiency | CPU, two to one | on 4, 8, 16 at most |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, runs in found["stages"].items():
        lines.append(row(name, runs["1"], runs["2"]) if "2" in runs else f"| {STAGES[name]} | |")
    extrapolated = (
        "- **On 4, 8, 16 at most** is one process, by Amdahl's law from what two cores gave over one. It is"
        " an extrapolation; nobody measured it."
    )
    lines += ["", extrapolated]
    return "\n".join([*lines, *of_the_machine(found)]) + "\n"


def row(name: str, one: dict[str, float], two: dict[str, float]) -> str:
    is_flight = name == "flight"
    unit = "k rows/s" if is_flight else "ledgers/s"
    work = [run["rows"] / 1_000 if is_flight else run["ledgers"] for run in (one, two)]
    rates = [done / run["seconds"] for done, run in zip(work, (one, two), strict=True)]
    times = rates[1] / rates[0]
    shown = [f"{rate:,.0f} {unit}" for rate in rates]
    most = [f"{rates[0] * speedup(times, count):,.0f}" for count in (4, 8, 16)]
    more = "" if is_flight else ", ".join(most)
    cpu = (two["cpu"] / work[1]) / (one["cpu"] / work[0])
    return (
        f"| {STAGES[name]} | {shown[0]} | {shown[1]} | {times:.2f} | {times / 2:.2f} | {cpu:.2f} | {more} |"
    )


def speedup(of_two: float, count: int) -> float:
    """Return how many times faster so many cores are at most, by Amdahl's law from what two are."""
    serial = min(1.0, max(0.0, 2 / of_two - 1))
    return 1 / (serial + (1 - serial) / count)


def of_the_machine(found: dict[str, Any]) -> list[str]:
    kept, size = found["cores"], found["traffic"]
    if not kept:
        return []
    loop = kept["loop beside a loop"] / kept["loop alone"]
    copy = kept["copy beside a copy"] / kept["copy alone"]
    alone, both = kept["copy alone"] / 1e9, 2 * kept["copy beside a copy"] / 1e9
    bytes_a_ledger = size["stored"] + 2 * size["plain"] + 2 * size["columns"]
    most = 2 * both * 1e9 / bytes_a_ledger  # a copy reads and writes
    kind = "cores of their own" if loop > 0.9 else "threads of one core, whatever the system says"
    of_cores = (
        f"- **The cores.** A loop that touches no memory keeps {loop:.0%} of its speed while the other core"
        f" loops, too: these are {kind}. A copy of memory keeps {copy:.0%}: {alone:.1f} GB/s on one,"
        f" {both:.1f} on both."
    )
    of_memory = (
        f"- **Memory** bounds all processes of a machine together. A ledger of these is"
        f" {size['stored'] / 1e6:.2f} MB stored, {size['plain'] / 1e6:.2f} of XDR and"
        f" {size['columns'] / 1e6:.2f} of columns: read once, written and read, written and read. That is"
        f" {bytes_a_ledger / 1e6:.1f} MB to and from memory where no cache holds it, so this memory lets at"
        f" most {most:,.0f} ledgers/s be decoded on any number of cores."
    )
    return [of_cores, of_memory]


def page(text: str, found: dict[str, Any]) -> str:
    """Return the page with the figures in it."""
    return replaced(text, BEGIN, table(found), END)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ledgers", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="write the page from what was measured last")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        kind, *words = asked.child
        if kind == "probe":
            print(json.dumps(probe(words[0])))
        else:
            name, lake, folder, threads, last = words
            print(json.dumps(stage(name, Path(lake), Path(folder), int(threads), int(last))))
        return
    if not asked.page:
        RESULTS.write_text(json.dumps(measure(asked.ledgers, asked.rounds), indent=1) + "\n")
    PAGE.write_text(page(PAGE.read_text(), json.loads(RESULTS.read_text())))


if __name__ == "__main__":
    main()
