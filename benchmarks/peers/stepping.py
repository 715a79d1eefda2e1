"""What the peers written in Python share: the flags, the record marks, the timing and the JSON line."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

# RFC 5531, section 11: the high bit says that the fragment is the record's last, the rest is its length.
LENGTH = (1 << 31) - 1


def flags(description: str) -> argparse.ArgumentParser:
    """Return a parser that knows the flags of every peer."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--file", type=Path, required=True, help="record-marked LedgerCloseMeta, uncompressed"
    )
    parser.add_argument("--ledgers", type=int, default=0, help="use only the first N ledgers; 0 takes all")
    parser.add_argument("--repeat", type=int, default=5, help="repetitions after one that warms up")
    parser.add_argument("--minimum-ms", type=int, default=100, help="least time of a repetition")
    parser.add_argument("--step", action="store_true", help="one repetition for each line on standard input")
    return parser


def split(data: bytes, limit: int = 0) -> list[bytes]:
    """Return the bytes of each ledger of a record-marked stream."""
    ledgers: list[bytes] = []
    at = 0
    while at < len(data) and (not limit or len(ledgers) < limit):
        size = int.from_bytes(data[at : at + 4], "big") & LENGTH
        ledgers.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return ledgers


def measure(ledgers: list[bytes], one_pass: Callable[[], int], minimum: float) -> dict[str, float]:
    """Make as many passes as fit the least time; `one_pass` returns the rows it made."""
    passes = rows = 0
    start = time.perf_counter()
    while not passes or time.perf_counter() - start < minimum:
        rows += one_pass()
        passes += 1
    seconds = time.perf_counter() - start
    size = sum(map(len, ledgers))
    return {
        "ledgers": len(ledgers) * passes,
        "bytes": size * passes,
        "rows": rows,
        "passes": passes,
        "seconds": seconds,
    }


def best(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the best repetition, per pass, with the median beside it."""
    seconds = sorted(run["seconds"] / run["passes"] for run in runs)
    once = {key: int(runs[0][key] / runs[0]["passes"]) for key in ("ledgers", "bytes", "rows", "passes")}
    return {**once, "seconds": seconds[0], "median_seconds": statistics.median(seconds)}


def drive(options: argparse.Namespace, ledgers: list[bytes], one_pass: Callable[[], int]) -> None:
    """Measure step by step, or all repetitions at once, and print JSON lines."""
    minimum = options.minimum_ms / 1000
    if options.step:
        for _ in sys.stdin:
            print(json.dumps(measure(ledgers, one_pass, minimum)), flush=True)
        return
    measure(ledgers, one_pass, minimum)  # warms up
    print(json.dumps(best([measure(ledgers, one_pass, minimum) for _ in range(options.repeat)])))
