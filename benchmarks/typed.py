"""Measure typed tables: events and storage of ledgers in memory, and the JavaScript SDK beside them.

    python benchmarks/typed.py

Ledgers are load-v27's and load-v23's, unpacked, decoded in one call on one thread; each time is the best
of the rounds. The JavaScript SDK (`npm install @stellar/stellar-sdk` in target/js) parses the same events,
each from base64; without Node or the SDK it is left out.
"""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import tarfile
import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import corpora
import machine
import pyarrow as pa

import stellarrow as sa
from stellarrow.core.typed import Knowledge, TypedTables

ROUNDS = 9
SDK = Path(__file__).parents[1] / "target" / "js"
EVENTS = "CAFQMN2QWPMLVSZC3KPEOCMFSP4ATAVSQEAVKXW27M3DEQ7SCKNUFHVT"
STORAGE = "CCW3NRDKAR242X3MSKQVFPFB23ZEEKQDGDZLK2P3LDCEIFV4AAR7VJXR"
TRANSFERS = "CDMLFMKMMD7MWZP3FKUBZPVHTUEDLSX4BYGYKH4GCESXYHS3IHQ4EIG4"

# Parses each event once a round, from base64 as an RPC hands it out.
PARSE = """
import { contract } from '@stellar/stellar-sdk';
import { readFileSync } from 'node:fs';
const { entries, events } = JSON.parse(readFileSync(0));
const spec = new contract.Spec(entries);
const parse = ([topics, value]) => spec.parseEvent(topics, value);
if (!parse(events[0])) throw new Error('nothing was parsed');
let best = Infinity;
for (let round = 0; round < 5; round += 1) {
  const began = process.cpuUsage().user;
  events.forEach(parse);
  best = Math.min(best, process.cpuUsage().user - began);
}
console.log(events.length / best * 1e6);
"""


def best(call: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the least seconds of several calls."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
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
        measured(f"{rows} of load-v27", load, tables, tables.expand([f"typed:{contract}/{rows}"]), network)
    data, network = (
        unpacked(folder / "load-v23.xdr.zstd"),
        sa.Network.of("Standalone Network ; February 2017"),
    )
    tables = Knowledge([f"typed:{TRANSFERS}"], {TRANSFERS: "stellar-asset"}).tables()
    name = f"typed:{TRANSFERS}/events/transfer"
    measured("transfers of load-v23 (few)", data, tables, [name], network)


def compiling(folder: Path) -> None:
    stored = unpacked(folder.parent / "wasm" / "pubnet-sample.tar.zst")
    with tarfile.open(fileobj=io.BytesIO(stored)) as tar:
        files = [(member.name, tar.extractfile(member)) for member in tar if member.name.endswith(".wasm")]
        codes = {Path(name).stem: file.read() for name, file in files if file}
    took = []
    for hash, code in codes.items():
        known = Knowledge([f"typed:{hash}"])
        began = time.perf_counter()
        known.add_code(hash, code)
        known.tables()
        took.append(time.perf_counter() - began)
    took.sort()
    median, most = took[len(took) // 2] * 1e3, took[-1] * 1e3
    print(f"  compiling {len(took)} interfaces: median {median:.2f} ms, at most {most:.2f} ms")


def javascript(folder: Path) -> None:
    if not shutil.which("node") or not (SDK / "node_modules" / "@stellar" / "stellar-sdk").is_dir():
        print("  the JavaScript SDK is not here: npm install --prefix target/js @stellar/stellar-sdk")
        return
    data = unpacked(folder / "load-v27.xdr.zstd")
    rows = sa.decode(data, ["contract_events"], network="Apply Load", verify_chain=False)["contract_events"]
    events = [(row["topics_xdr"], row["data_xdr"]) for row in rows.slice(0, 20_000).to_pylist()]
    entries = [b64encode(event_entry()).decode()]
    done = subprocess.run(
        ["node", "--input-type=module", "-e", PARSE],
        input=json.dumps({"entries": entries, "events": events}),
        capture_output=True,
        text=True,
        check=False,
        cwd=SDK,
    )
    if done.returncode:
        reason = next((one for one in done.stderr.splitlines() if "Error" in one), done.stderr)
        print(f"  the JavaScript SDK failed: {reason}")
        return
    print(f"  JavaScript SDK, the same events{'':32} {float(done.stdout):>12,.0f} events a CPU second")


def main() -> None:
    folder = corpora.shared_ledgers()
    if folder is None:
        raise SystemExit("the shared ledgers are not here: set STELLARROW_SHARED")
    print(", ".join(f"{key}: {value}" for key, value in machine.describe().items()))
    print(f"load: {machine.load()}")
    ledgers(folder)
    compiling(folder)
    javascript(folder)


if __name__ == "__main__":
    main()
