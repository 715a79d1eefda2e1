"""Figures over time windows: what they cost a processor, how soon they answer, and how much memory they take.

python benchmarks/figures.py [LEDGERS]; they are synthetic, 1.33 MB each. Then ten million transfers of a
hundred thousand assets are counted, and every figure is asked for.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial, partialmethod
from itertools import islice
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pyarrow as pa
from corpora import SHARED, shared_ledgers
from peers.stepping import split

import stellarrow as sa
from processor import FIRST, LEDGER_BYTES, Memory
from stellarrow.analysis.windows import NAMES, WINDOWS, Analytics
from stellarrow.core.synthetic import synthetic
from stellarrow.processor.processor import Options, Processor
from stellarrow.processor.session_figures import SessionFigures

TURNS = 5
TRANSFERS = 10_000_000
ASSETS = 100_000
ACCOUNTS = 1_000_000
LEDGERS = 2_000  # of the ten million, five seconds apart
MOST_MS = 100.0
MOST_MB = 200.0


def processed(made: Sequence[bytes], figures_mb: int, *, first: int, network: str) -> tuple[float, float]:
    """Return the processor seconds of a session over the ledgers, and those of them that figures took."""
    with tempfile.TemporaryDirectory() as folder, measured() as took:
        options = Options(state_dir=Path(folder), figures_mb=figures_mb)
        processor = Processor(lambda: Memory(made, first=first, network=network), options)
        with closing(processor):
            began = time.process_time()
            work = processor.work(processor.start(first, first + len(made) - 1).id)
            work.join(600)
            seconds = time.process_time() - began
        if work.session.current != first + len(made) - 1:
            raise SystemExit(f"the session ended early: {work.message}")
        return seconds, sum(took)


@contextmanager
def measured() -> Iterator[list[float]]:
    """Yield the processor seconds of every call that counts or saves, while sessions work."""
    took: list[float] = []
    wrapped = {name: getattr(SessionFigures, name) for name in ("expect", "count", "save_in_time", "resume")}

    def timed_of(figures: SessionFigures, call: Callable[..., None], *words: Any) -> None:
        began = time.thread_time()
        call(figures, *words)
        took.append(time.thread_time() - began)

    try:
        for name, call in wrapped.items():
            setattr(SessionFigures, name, partialmethod(timed_of, call))
        yield took
    finally:
        for name, call in wrapped.items():
            setattr(SessionFigures, name, call)


def cost(title: str, made: Sequence[bytes], *, first: int = FIRST, network: str = "synthetic") -> None:
    """Print what figures take of a processor, and what it takes without them, in turns."""
    without, with_figures = [], []
    for _ in range(TURNS):
        without.append(processed(made, 0, first=first, network=network)[0])
        with_figures.append(processed(made, 192, first=first, network=network))
    shares = [figures / (seconds - figures) for seconds, figures in with_figures]
    each = 1e3 * min(figures for _, figures in with_figures) / len(made)
    print(
        f"{title}: figures take {statistics.median(shares):.1%} on top of the processor (median of {TURNS}"
        f" turns, at least {min(shares):.1%}), {each:.2f} ms a ledger; the processor"
        f" {min(without):.2f} s without, {min(seconds for seconds, _ in with_figures):.2f} s with them"
    )


def transfers() -> Iterator[pa.RecordBatch]:
    """Yield ledgers of transfers: few assets have most of them, as on the network."""
    chance = np.random.default_rng(1)
    contracts = pa.array([f"C{number:055d}" for number in range(ASSETS)])
    accounts = pa.array([f"G{number:055d}" for number in range(ACCOUNTS)])
    rows = TRANSFERS // LEDGERS
    schema = sa.schema("token_transfers")
    for ledger in range(LEDGERS):
        assets = np.minimum(chance.zipf(1.3, rows) - 1, chance.integers(0, ASSETS, rows))
        columns = {
            "ledger_sequence": pa.array(np.full(rows, FIRST + ledger, np.uint32)),
            "closed_at": pa.array(np.full(rows, (1_700_000_000 + 5 * ledger) * 1_000_000)),
            "transaction_index": pa.array(np.arange(rows, dtype=np.uint32) // 4 + 1),
            "event_type": pa.repeat("transfer", rows),
            "contract_id": contracts.take(pa.array(assets)),
            "from": accounts.take(pa.array(np.minimum(chance.zipf(1.2, rows), ACCOUNTS - 1))),
            "to": accounts.take(pa.array(chance.integers(0, ACCOUNTS, rows))),
            "amount_raw": pa.array(chance.integers(1, 10**12, rows)),
            "amount_text": pa.repeat("1", rows),
        }
        made = [
            columns[field.name].cast(field.type) if field.name in columns else pa.nulls(rows, field.type)
            for field in schema
        ]
        fields = [field.with_nullable(True) for field in schema]
        yield pa.RecordBatch.from_arrays(made, schema=pa.schema(fields))


def resident_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def counted() -> Analytics:
    analytics = Analytics()
    took, before = 0.0, resident_mb()
    for ledger, batch in enumerate(transfers()):
        began = time.process_time()
        last = sa.LedgerRange(FIRST + ledger, FIRST + ledger)
        analytics.add({"token_transfers": batch}, last, 1_700_000_000 + 5 * ledger)
        took += time.process_time() - began
    state = analytics.size_bytes / (1 << 20)
    told = analytics.foremost("transfers", "total", limit=ASSETS + 2)["contract_id"].drop_null().to_pylist()
    print(
        f"{TRANSFERS:,} transfers of {ASSETS:,} assets: {1e9 * took / TRANSFERS:.0f} ns each,"
        f" {len(set(told)):,} told apart, state {state:.0f} MB;"
        f" the process at most {resident_mb():.0f} MB, {before:.0f} before"
    )
    if state > MOST_MB:
        raise SystemExit(f"the state takes more than {MOST_MB:.0f} MB")
    return analytics


def milliseconds(ask: Callable[[], object]) -> float:
    """Return the least CPU time of three: one thread answers, and others use the machine, too."""
    took = []
    for _ in range(3):
        began = time.thread_time()
        ask()
        took.append(1e3 * (time.thread_time() - began))
    return min(took)


def asked(analytics: Analytics) -> None:
    """Print how long the slowest figure takes."""
    keys = analytics.foremost("transfers", "total", limit=1_000)["contract_id"].drop_null().to_pylist()
    slowest = dict.fromkeys(("a series of all", "a series of one asset", "foremost 100"), 0.0)
    for window in WINDOWS:
        asks = {"a series of all": [partial(analytics.series, "transfers", window)]}
        of_one = [partial(analytics.series, "transfers", window, key=key) for key in keys[::100]]
        asks["a series of one asset"] = of_one
        orders = NAMES["transfers"].orders
        asks["foremost 100"] = [
            partial(analytics.foremost, "transfers", window, by=by, limit=100) for by in orders
        ]
        for kind, some in asks.items():
            slowest[kind] = max(slowest[kind], *map(milliseconds, some))
    began = time.perf_counter()
    saved = analytics.saved()
    took = time.perf_counter() - began
    again = Analytics()
    began = time.perf_counter()
    again.restore(saved)
    print(
        f"slowest answers, of CPU: {', '.join(f'{name} {one:.1f} ms' for name, one in slowest.items())};"
        f" saved in {took:.2f} s as {len(saved) / (1 << 20):.0f} MB,"
        f" read in {time.perf_counter() - began:.2f} s"
    )
    if max(slowest.values()) > MOST_MS:
        raise SystemExit(f"a figure takes more than {MOST_MS:.0f} ms")


def load_test() -> None:
    """Measure the shared ledgers of a load test."""
    folder = shared_ledgers()
    if folder is None:
        print("ledgers of a load test: not measured, the shared ledgers are not here")
        return
    with pa.input_stream(folder / SHARED[0].file, compression="zstd") as stream:
        made = split(stream.read())
    network = SHARED[0].passphrase
    first = sa.decode(made[0], ["ledgers"], network=network)["ledgers"]["ledger_sequence"][0].as_py()
    cost("ledgers of a load test", made, first=first, network=network)


def main() -> None:
    print(", ".join(f"{name} {value}" for name, value in machine.describe().items()))
    ledgers = int(sys.argv[1]) if len(sys.argv) > 1 else 150
    cost("synthetic ledgers", list(islice(synthetic(2_000, first=FIRST, ledger_bytes=LEDGER_BYTES), ledgers)))
    load_test()
    asked(counted())


if __name__ == "__main__":
    main()
