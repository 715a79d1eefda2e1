"""Measure stellarrow and its peers side by side in one run: see README.md beside this file."""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import machine
import report
import startup
from builds import HERE, Build, build_all
from cases import ours, peers
from corpora import prepare, shared_ledgers
from report import Section
from rounds import play
from threads import two_threads


@dataclass(frozen=True, slots=True)
class Effort:
    """How often and how long everything is repeated."""

    repeat: int
    minimum_ms: int
    starts: int


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three short rounds instead of nine")
    parser.add_argument("--only", metavar="CORPUS", help="decode this corpus only, such as load-v27")
    parser.add_argument("--extract", type=float, metavar="GB", help="also watch the memory of extract over so much XDR")
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest.json")
    return parser.parse_args()


def say(line: str) -> None:
    """Tell the person who waits; standard output holds the report alone."""
    print(line, file=sys.stderr, flush=True)


def decode_sections(scratch: Path, builds: dict[str, Build], effort: Effort, only: str | None) -> list[Section]:
    sections: list[Section] = []
    for corpus in prepare(scratch):
        if only not in (None, corpus.name):
            continue
        say(f"{corpus.name}: {corpus.ledgers:,} ledgers")
        entrants = [*ours(corpus), *peers(corpus, builds)]
        figures = play(entrants, repeat=effort.repeat, minimum_ms=effort.minimum_ms, say=say)
        sections.append(Section(corpus, tuple(figures)))
    return sections


def main() -> int:
    options = parse()
    effort = Effort(3, 50, 3) if options.quick else Effort(9, 100, 10)
    said: list[str] = ["# Benchmarks\n"]
    described = machine.describe()
    said.append(report.table(("machine", ""), described.items()))
    builds = build_all(say)
    with tempfile.TemporaryDirectory(prefix="stellarrow-bench-") as scratch:
        sections = decode_sections(Path(scratch), builds, effort, options.only)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
