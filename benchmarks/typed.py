"""Measure typed tables: events and storage of ledgers in memory, and the JavaScript SDK beside them.

    python benchmarks/typed.py

Ledgers are load-v27's and load-v23's, unpacked, decoded in one call on one thread; each time is the least
CPU time of the rounds, so that what else runs on the machine counts less. The JavaScript SDK parses the 904
events of 77 real interfaces that fit, each from base64; ours are handed over as bytes from Python. npm
fetches the SDK into target/js when it is not there; without Node it is left out. Memory is that of a thousand
contracts at once, in a process of its own.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import sys
import tarfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import corpora
import machine
import pyarrow as pa

import stellarrow as sa
from stellarrow.core.strkey import CONTRACT, encode
from stellarrow.core.typed import Knowledge, TypedTables

ROUNDS = 9
PACKAGE = "@stellar/stellar-sdk@17"  # the first major version that parses events
SDK = Path(__file__).parents[1] / "target" / "js"
EVENTS = "CAFQMN2QWPMLVSZC3KPEOCMFSP4ATAVSQEAVKXW27M3DEQ7SCKNUFHVT"
STORAGE = "CCW3NRDKAR242X3MSKQVFPFB23ZEEKQDGDZLK2P3LDCEIFV4AAR7VJXR"
TRANSFERS = "CDMLFMKMMD7MWZP3FKUBZPVHTUEDLSX4BYGYKH4GCESXYHS3IHQ4EIG4"

# Parses each event once a round, from base64 as an RPC hands it out.
PARSE = """
import { contract } from '@stellar/stellar-sdk';
import { readFileSync } from 'node:fs';
const cases = JSON.parse(readFileSync(0));
for (const one of cases) one.spec = await contract.Spec.fromWasm(Buffer.from(one.code, 'base64'));
let best = Infinity, parsed = 0;
for (let round = 0; round < 5; round += 1) {
  parsed = 0;
  const began = process.cpuUsage().user;
  for (const { spec, events } of cases)
    for (const [topics, value] of events) if (spec.parseEvent(topics, value)) parsed += 1;
  best = Math.min(best, process.cpuUsage().user - began);
}
console.log(parsed, parsed / best * 1e6);
"""


def best(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least CPU seconds of several calls."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        took.append(time.process_time() - began)
    return min(took)


def unpacked(path: Path) -> bytes:
    with pa.CompressedInputStream(path, "zstd") as stream:
        return bytes(stream.read())


def number(value: int) -> bytes:
    return struct.pack(">I", value)


def text(value: str) -> bytes:
    return number(len(value)) + value.encode() + b"\0" * (-len(value) % 4)


def event_entry() -> bytes:
    """SCSpecEntry: event `event(x: i64)`, its value alone in the data."""
    param = text("") + text("x") + number(7) + number(0)
    return (
        number(5) + text("") * 2 + text("event") + number(1) + text("event") + number(1) + param + number(0)
    )


def measured(name: str, data: bytes, tables: TypedTables, names: list[str], network: sa.Network) -> None:
    def decode() -> int:
        made, _ = tables.decode(data, names, network=network, verify_chain=False)
        return sum(rows.num_rows for rows in made.values())

    rows = decode()
    seconds = best(decode)
    print(f"  {name:<34} {rows:>7,} rows {seconds * 1e3:8.1f} ms {rows / seconds:>12,.0f} rows/s")


def ledgers(folder: Path) -> None:
    load, network = unpacked(folder / "load-v27.xdr.zstd"), sa.Network.of("Apply Load")
    for contract, rows in ((EVENTS, "events"), (STORAGE, "storage")):
        known = Knowledge([f"typed:{contract}"], {contract: event_entry()})
        known.learn(load, network, verify_chain=False)
        tables = known.tables()
        names = tables.expand([f"typed:{contract}/{rows}"])
        measured(f"{rows} of load-v27", load, tables, names, network)
    data, network = (
        unpacked(folder / "load-v23.xdr.zstd"),
        sa.Network.of("Standalone Network ; February 2017"),
    )
    tables = Knowledge([f"typed:{TRANSFERS}"], {TRANSFERS: "stellar-asset"}).tables()
    name = f"typed:{TRANSFERS}/events/transfer"
    measured("transfers of load-v23 (few)", data, tables, [name], network)


def sampled(folder: Path, name: str = "pubnet-sample") -> dict[str, bytes]:
    """Return code of a network's contracts by its hash."""
    stored = unpacked(folder.parent / "wasm" / f"{name}.tar.zst")
    with tarfile.open(fileobj=io.BytesIO(stored)) as tar:
        files = [(member.name, tar.extractfile(member)) for member in tar if member.name.endswith(".wasm")]
        return {Path(name).stem: file.read() for name, file in files if file}


def compiling(folder: Path) -> None:
    took = []
    for hash, code in sampled(folder).items():

        def compile_one(hash: str = hash, code: bytes = code) -> None:
            known = Knowledge([f"typed:{hash}"])
            known.add_code(hash, code)
            known.tables()

        took.append(best(compile_one, 3))
    took.sort()
    median, most = took[len(took) // 2] * 1e3, took[-1] * 1e3
    within = sum(one < 1e-3 for one in took)
    print(
        f"  compiling {len(took)} interfaces: median {median:.2f} ms, at most {most:.2f} ms;"
        f" {within} take less than 1 ms"
    )


def peak_mb() -> float:
    """Return how much memory this process had at most."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def thousand(folder: Path) -> None:
    """Compile a thousand contracts' tables, decode a ledger with all of them, and say what that takes."""
    codes = [*sampled(folder).values()]
    names = [encode(sha256(str(number).encode()).digest(), CONTRACT) for number in range(1_000)]
    specs = {name: codes[place % len(codes)] for place, name in enumerate(names)}
    ledger = unpacked(folder / "load-v27.xdr.zstd")
    before = peak_mb()
    asked = [f"typed:{name}" for name in names]
    tables = Knowledge(asked, specs).tables()
    compiled = peak_mb() - before
    found = tables.expand(asked)
    tables.decode(ledger, found, network=sa.Network.of("Apply Load"), verify_chain=False)
    print(
        f"  1,000 contracts at once: {len(found):,} tables, {compiled:.0f} MB compiled,"
        f" {peak_mb() - before:.0f} MB with the rows of one decode"
    )


def fetched() -> bool:
    """Fetch the JavaScript SDK from npm unless it is there; tell whether it is."""
    package = SDK / "node_modules" / "@stellar" / "stellar-sdk"
    if not package.is_dir() and shutil.which("node") and (npm := shutil.which("npm")):
        SDK.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--prefix", str(SDK), "--no-audit", "--no-fund", PACKAGE]
        try:
            subprocess.run(install, capture_output=True, check=True, timeout=300)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"  npm cannot fetch the JavaScript SDK ({error})")
    return package.is_dir()


def fitting(folder: Path) -> list[tuple[bytes, list[tuple[list[str], str]]]]:
    """Return code of real contracts, each with events that fit what it declares, in base64."""
    known = {**sampled(folder), **sampled(folder, "futurenet")}
    events: dict[str, list[tuple[list[str], str]]] = {}
    stored = unpacked(folder.parents[1] / "golden" / "typed_events.synthetic.jsonl.zst")
    for one in map(json.loads, stored.splitlines()):
        if one["kind"] == "fits":
            events.setdefault(one["wasm"], []).append((one["topics"], one["data"]))
    return [(known[hash], made) for hash, made in events.items()]


def beside_javascript(folder: Path) -> None:
    """Measure the same events, which do not come out of ledgers, with ours and with the JavaScript SDK."""
    cases = fitting(folder)
    contract = encode(bytes(32), CONTRACT)
    work = []
    for code, events in cases:
        made = [([*map(b64decode, topics)], b64decode(data)) for topics, data in events]
        work.append((Knowledge([f"typed:{contract}"], {contract: code}).tables(), made * 100))
    rows = sum(len(events) for _, events in work)
    ours = rows / best(lambda: [tables.rows(contract, events=events) for tables, events in work])
    print(f"  {f'events of {len(cases)} interfaces':<34} {rows:>7,} rows {'':11} {ours:>12,.0f} rows/s")
    if not fetched():
        print("  the JavaScript SDK is not here: it takes Node and npm")
        return
    asked = [{"code": b64encode(code).decode(), "events": events} for code, events in cases]
    command = ["node", "--input-type=module", "-e", PARSE]
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, check=False, cwd=SDK
    )
    if done.returncode:
        reason = next((one for one in done.stderr.splitlines() if "Error" in one), done.stderr)
        print(f"  the JavaScript SDK failed: {reason}")
        return
    parsed, theirs = map(float, done.stdout.split())
    told = json.loads((SDK / "node_modules/@stellar/stellar-sdk/package.json").read_text("utf-8"))
    name = f"JavaScript SDK {told['version']}, the same"
    print(
        f"  {name:<34} {parsed:>7,.0f} rows {'':11} {theirs:>12,.0f} rows/s: ours {ours / theirs:.0f} times"
    )


def main() -> None:
    folder = corpora.shared_ledgers()
    if folder is None:
        raise SystemExit("the shared ledgers are not here: set STELLARROW_SHARED")
    if sys.argv[1:] == ["--thousand"]:
        thousand(folder)
        return
    print(", ".join(f"{key}: {value}" for key, value in machine.describe().items()))
    print(f"load: {machine.load()}")
    ledgers(folder)
    beside_javascript(folder)
    compiling(folder)
    sys.stdout.flush()
    subprocess.run([sys.executable, __file__, "--thousand"], check=True)


if __name__ == "__main__":
    main()
