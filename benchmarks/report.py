"""Writes the figures as Markdown tables."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import startup
import threads
from cases import is_small
from corpora import Corpus
from rounds import Figure
from startup import Times
from threads import Threads

# Whom each of our cases is set against: the head of the column, and the peer's key, given the mode of the same rows.
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


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; every column but the first is aligned right."""
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ruler, *rows)) + "\n"


def reached(best: float, median: float, goal: float) -> str:
    """Judge by the median; a goal that only the best repetition reached is not reached."""
    if median >= goal:
        return "yes"
    return "best only" if best >= goal else "no"


def goal_of(figure: Figure, corpus: Corpus) -> tuple[str, str]:
    """Return our case's goal on this corpus and whether it was reached."""
    case = figure.entrant.case
    assert case is not None
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
    yield f"## {corpus.name}: {corpus.what} ({corpus.ledgers:,} ledgers, {corpus.bytes / 1e6:,.1f} MB)\n"
    head = ("stellarrow, one core", "MB/s median", "best", "ledgers/s", "rows", "goal", "reached")
    ours = [figure for figure in section.figures if figure.entrant.case]
    yield table((*head, *(name for name, _ in AGAINST)), (our_row(figure, section) for figure in ours))
    rest = [figure for figure in section.figures if not figure.entrant.case]
    yield table(("peer", "what it does", "MB/s median", "best", "ledgers/s", "rows"), map(peer_row, rest))


def our_row(figure: Figure, section: Section) -> list[str]:
    name = figure.entrant.does
    case = figure.entrant.case
    if not figure.samples or case is None:
        return [name, f"not measured: {figure.reason}"]
    goal, verdict = goal_of(figure, section.corpus)
    return [name, *rates(figure), goal, verdict, *(
        ratio(figure, section.named(key.format(mode=case.same_rows))) for _, key in AGAINST
    )]  # fmt: skip


def peer_row(figure: Figure) -> list[str]:
    entrant = figure.entrant
    if not figure.samples:
        return [entrant.who, entrant.does, f"not measured: {figure.reason}"]
    return [entrant.who, entrant.does, *rates(figure)]


def rates(figure: Figure) -> list[str]:
    digits = 0 if figure.median_mb >= 10 else 1
    rows = f"{figure.rows:,}" if figure.rows else ""
    return [f"{figure.median_mb:,.{digits}f}", f"{figure.best_mb:,.{digits}f}", f"{figure.median_ledgers:,.0f}", rows]


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


def startup_section(imports: Sequence[Times], first: Times) -> Iterator[str]:
    """Yield the table of a fresh interpreter; the import's goal is judged on what it adds to a bare interpreter."""
    yield "## A fresh interpreter\n"
    bare, *_, ours = imports
    rows = [times_row(times, None) for times in imports]
    if ours.ms and bare.ms:
        added = Times("stellarrow's import alone", tuple(taken - bare.median for taken in ours.ms))
        rows.append(times_row(added, startup.IMPORT_GOAL_MS))
    rows.append(times_row(first, startup.FIRST_CALL_GOAL_MS))
    yield table(("", "ms median", "best", "goal", "reached"), rows)


def times_row(times: Times, goal: float | None) -> list[str]:
    if not times.ms:
        return [times.label, f"not measured: {times.reason}"]
    row = [times.label, f"{times.median:.1f}", f"{times.best:.1f}"]
    return [*row, f"< {goal:g} ms", reached(-times.best, -times.median, -goal)] if goal else [*row, "", ""]
