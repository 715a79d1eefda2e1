"""Writes the figures as Markdown tables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import startup
import threads
from cases import Case, is_small
from corpora import Corpus
from extract_memory import FLAT_GOAL, PEAK_GOAL_MB, Memory
from rounds import Figure
from startup import Times
from threads import Threads

# Whom our cases are set against: the column's head, and the peer's key given the mode of the same rows.
WHOLE_FROM_MB = 10  # slower figures show a decimal
AGAINST = (
    ("Go SDK, same rows", "go {mode}"),
    ("same, all cores", "go {mode}, all cores"),
    ("stellar-xdr crate, full decode", "crate"),
    ("same, mimalloc", "crate-mimalloc"),
    ("Python stellar-sdk, full decode", "python"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """One corpus and what everybody reached on it."""

    corpus: Corpus
    figures: tuple[Figure, ...]

    def named(self, key: str) -> Figure | None:
        found = (figure for figure in self.figures if figure.entrant.key == key and figure.samples)
        return next(found, None)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """Return a Markdown table whose first `texts` columns are aligned left; short rows end in empty cells."""
    ruler = ["---"] * texts + ["---:"] * (len(head) - texts)
    full = ([*row, *[""] * (len(head) - len(row))] for row in (head, ruler, *rows))
    return "\n".join("| " + " | ".join(row) + " |" for row in full) + "\n"


def reached(best: float, median: float, goal: float) -> str:
    """Judge by the median; a goal that only the best repetition reached is not reached."""
    if median >= goal:
        return "yes"
    return "best only" if best >= goal else "no"


def goal_of(case: Case, figure: Figure, corpus: Corpus) -> tuple[str, str]:
    """Return our case's goal on this corpus and whether it was reached."""
    if is_small(corpus):
        if case.goal_small_ledgers is None:
            return "", ""
        verdict = reached(figure.best_ledgers, figure.median_ledgers, case.goal_small_ledgers)
        return f"{case.goal_small_ledgers:,.0f} ledgers/s", verdict
    if case.goal_mb is None:
        return "", ""
    return f"{case.goal_mb:,.0f} MB/s", reached(figure.best_mb, figure.median_mb, case.goal_mb)


def decode_section(section: Section) -> Iterator[str]:
    """Yield the two tables of a corpus: ours with the ratios of the medians, then the peers."""
    corpus = section.corpus
    yield f"## {corpus.name}: {corpus.what} ({corpus.count}, {corpus.bytes / 1e6:,.1f} MB)\n"
    head = ("stellarrow, one core", "MB/s median", "best", "ledgers/s", "rows", "goal", "reached")
    ours = [figure for figure in section.figures if figure.entrant.case]
    yield table((*head, *(name for name, _ in AGAINST)), (our_row(figure, section) for figure in ours))
    rest = [figure for figure in section.figures if not figure.entrant.case]
    yield table(
        ("peer", "what it does", "MB/s median", "best", "ledgers/s", "rows"), map(peer_row, rest), texts=2
    )


def our_row(figure: Figure, section: Section) -> list[str]:
    name = figure.entrant.does
    case = figure.entrant.case
    if not figure.samples or case is None:
        return [name, f"not measured: {figure.reason}"]
    goal, verdict = goal_of(case, figure, section.corpus)
    return [name, *rates(figure), goal, verdict, *(
        ratio(figure, section.named(key.format(mode=case.same_rows))) for _, key in AGAINST
    )]  # fmt: skip


def peer_row(figure: Figure) -> list[str]:
    entrant = figure.entrant
    if not figure.samples:
        return [entrant.who, entrant.does, f"not measured: {figure.reason}"]
    return [entrant.who, entrant.does, *rates(figure)]


def rates(figure: Figure) -> list[str]:
    digits = 0 if figure.median_mb >= WHOLE_FROM_MB else 1
    rows = f"{figure.rows:,}" if figure.rows else ""
    return [
        f"{figure.median_mb:,.{digits}f}",
        f"{figure.best_mb:,.{digits}f}",
        f"{figure.median_ledgers:,.0f}",
        rows,
    ]


def ratio(figure: Figure, peer: Figure | None) -> str:
    return f"{figure.median_mb / peer.median_mb:,.1f}x" if peer else "not measured"


def threads_section(measured: Sequence[Threads], corpus: Corpus) -> Iterator[str]:
    yield f"## Two threads against one ({corpus.name}, one call a ledger)\n"
    yield table(("tables", "one, MB/s", "two, MB/s", "ratio", "goal", "reached"), map(threads_row, measured))


def threads_row(measured: Threads) -> list[str]:
    if measured.one is None or measured.two is None:
        return [measured.case.name, f"not measured: {measured.reason}"]
    verdict = reached(measured.ratio, measured.ratio, threads.GOAL)
    return [
        measured.case.name, f"{measured.one.median_mb:,.0f}", f"{measured.two.median_mb:,.0f}",
        f"{measured.ratio:.2f}x", f"{threads.GOAL}x", verdict,
    ]  # fmt: skip


def startup_section(imports: Sequence[Times], first: Times, commands: Sequence[Times]) -> Iterator[str]:
    """Yield the table of a fresh interpreter; the import is judged by what it adds to a bare one."""
    yield "## A fresh interpreter\n"
    bare, *_, ours = imports
    rows = [times_row(times, None) for times in imports]
    if ours.ms and bare.ms:
        added = Times("stellarrow's import alone", tuple(taken - bare.median for taken in ours.ms))
        rows.append(times_row(added, startup.IMPORT_GOAL_MS))
    rows.append(times_row(first, startup.FIRST_CALL_GOAL_MS))
    goals = (startup.VERSION_GOAL_MS, startup.EXTRACT_GOAL_MS)
    rows += [times_row(one, goal) for one, goal in zip(commands, goals, strict=True)]
    yield table(("", "ms median", "best", "goal", "reached"), rows)


def times_row(times: Times, goal: float | None) -> list[str]:
    if not times.ms:
        return [times.label, f"not measured: {times.reason}"]
    row = [times.label, f"{times.median:.1f}", f"{times.best:.1f}"]
    return [*row, f"< {goal:g} ms", reached(-times.best, -times.median, -goal)] if goal else [*row, "", ""]


def memory_section(memory: Memory) -> Iterator[str]:
    yield "## Memory of `stellarrow extract`\n"
    if not memory.resident_mb:
        yield f"not measured: {memory.reason}\n"
        return
    ledgers = f"{memory.ledgers:,} synthetic ledgers, {memory.gigabytes:,.1f} GB of XDR, to Parquet"
    yield f"{ledgers}, in {memory.seconds:,.0f} s ({memory.gigabytes * 1000 / memory.seconds:,.0f} MB/s).\n"
    peak, growth = memory.peak_mb, memory.growth
    yield table(
        ("", "measured", "goal", "reached"),
        (
            (
                "peak resident",
                f"{peak:,.0f} MB",
                f"< {PEAK_GOAL_MB} MB",
                "yes" if peak < PEAK_GOAL_MB else "no",
            ),
            (
                "last quarter over the second",
                f"{growth:.2f}x",
                f"<= {FLAT_GOAL:.2f}x",
                "yes" if growth <= FLAT_GOAL else "no",
            ),
        ),
    )


def differing_rows(sections: Iterable[Section]) -> list[str]:
    """Say where we and the Go SDK made different numbers of rows: such a comparison is worth nothing."""
    lines: list[str] = []
    for section in sections:
        for figure in section.figures:
            case = figure.entrant.case
            peer = section.named(f"go {case.same_rows}") if case else None
            if peer and figure.samples and figure.rows != peer.rows:
                where = f"{section.corpus.name}, {figure.entrant.does}"
                lines.append(f"{where}: {figure.rows:,} rows, the Go SDK makes {peer.rows:,}")
    return lines
