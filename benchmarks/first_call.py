"""Time the first decode in this process and the median of fifty later ones; prints one JSON line."""

import json
import statistics
import sys
import time
from pathlib import Path

import stellarrow as sa


def main() -> None:
    file, tables, passphrase = sys.argv[1:]
    data = Path(file).read_bytes()
    names = tables.split(",")
    taken: list[float] = []
    for _ in range(51):
        start = time.perf_counter()
        sa.decode(data, tables=names, network=passphrase)
        taken.append((time.perf_counter() - start) * 1000)
    print(json.dumps({"first_ms": taken[0], "later_ms": statistics.median(taken[1:])}))


if __name__ == "__main__":
    main()
