"""Measure stellarrow and its peers side by side in one run: see README.md beside this file."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import machine
import report
import startup
from builds import HERE, Build, build_all
from cases import ours, peers
from corpora import prepare, shared_ledgers, unified
from extract_memory import watch
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
    parser.add_argument(
        "--extract", type=float, metavar="GB", help="also watch the memory of extract over so much XDR"
    )
    parser.add_argument("--output", type=Path, default=HERE / "results" / "latest.json")
    return parser.parse_args()


def say(line: str) -> None:
    """Tell the person who waits; standard output holds the report alone."""
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what is measured how often, and what the report is made of as it grows."""

    effort: Effort
    scratch: Path
    builds: dict[str, Build]
    results: dict[str, Any]

    def sections(self, only: str | None) -> list[Section]:
        """Measure decoding on every corpus, ours and the peers in turns."""
        sections: list[Section] = []
        corpora = list(prepare(self.scratch))
        if only and only not in {corpus.name for corpus in corpora}:
            known = ", ".join(corpus.name for corpus in corpora)
            raise SystemExit(f"there is no corpus {only!r}: choose among {known}")
        for prepared in corpora:
            if only not in (None, prepared.name):
                continue
            say(f"{prepared.name}: {prepared.count}")
            corpus = unified(prepared, self.builds["go"].argv)
            entrants = [*ours(corpus), *peers(corpus, self.builds)]
            figures = play(entrants, repeat=self.effort.repeat, minimum_ms=self.effort.minimum_ms, say=say)
            sections.append(Section(corpus, tuple(figures)))
        self.results["decode"] = [asdict(section) for section in sections]
        return sections

    def threads(self, section: Section) -> Iterator[str]:
        measured = two_threads(
            section.corpus, repeat=self.effort.repeat, minimum_ms=self.effort.minimum_ms, say=say
        )
        self.results["threads"] = [asdict(one) for one in measured]
        return report.threads_section(measured, section.corpus)

    def startup(self, section: Section) -> Iterator[str]:
        say("fresh interpreters")
        imports = startup.imports(repeat=self.effort.starts)
        first = startup.first_call(section.corpus, repeat=self.effort.starts)
        commands = startup.commands(repeat=self.effort.starts)
        self.results["startup"] = [asdict(times) for times in (*imports, first, *commands)]
        return report.startup_section(imports, first, commands)

    def memory(self, gigabytes: float) -> Iterator[str]:
        measured = watch(gigabytes, self.scratch, say=say)
        self.results["extract"] = asdict(measured)
        return report.memory_section(measured)


def main() -> int:
    options = parse()
    effort = Effort(3, 50, 3) if options.quick else Effort(9, 100, 10)
    described = machine.describe()
    builds = build_all(say)
    missing = [f"{build.name}: not measured: {build.reason}" for build in builds.values() if build.reason]
    if shared_ledgers() is None:
        missing.append(
            "the shared ledgers, which the goals are set on, are not here: synthetic ones stand in"
        )
    print("# Benchmarks\n")
    print(report.table(("machine", ""), described.items(), texts=2))
    print("".join(f"- {line}\n" for line in missing))
    results: dict[str, Any] = {"machine": described, "missing": missing}
    with tempfile.TemporaryDirectory(prefix="stellarrow-bench-") as scratch:
        run = Run(effort, Path(scratch), builds, results)
        sections = run.sections(options.only)
        for section in sections:
            tell(report.decode_section(section))
        if not options.only:
            tell(run.threads(sections[0]))
            tell(run.startup(sections[-2]))
        if options.extract:
            tell(run.memory(options.extract))
    described["load after"] = machine.load()
    print(f"Load before the run: {described['load before']}, after: {described['load after']}.")
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(results, indent=1, default=str))
    say(f"every sample is in {options.output}")
    return judge(sections)


def tell(lines: Iterator[str]) -> None:
    for line in lines:
        print(line, flush=True)


def judge(sections: list[Section]) -> int:
    """Fail where rows differ; a goal missed on a busy machine is told in the tables only."""
    differing = report.differing_rows(sections)
    for line in differing:
        print(f"rows differ: {line}")
    return 1 if differing else 0


if __name__ == "__main__":
    raise SystemExit(main())
