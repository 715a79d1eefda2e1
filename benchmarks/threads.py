"""Measures how much faster two threads decode than one, in the same process, through a ThreadPoolExecutor."""

from collections.abc import Callable
from dataclasses import dataclass

from cases import CASES, Case, Entrant, worker
from corpora import Corpus
from player import cores
from rounds import Figure, play

GOAL = 1.7


@dataclass(frozen=True, slots=True)
class Threads:
    """One thread beside two; without figures, why there are none."""

    case: Case
    one: Figure | None = None
    two: Figure | None = None
    ratio: float = 0.0
    reason: str = ""


def two_threads(corpus: Corpus, *, repeat: int, minimum_ms: int, say: Callable[[str], None]) -> list[Threads]:
    """Measure the tables of each goal; a call decodes one ledger, as a lake holds one a file."""
    cases = [case for case in CASES if case.given == "raw"]
    if len(cores()) == 1:
        return [Threads(case, reason="this process may use one core only") for case in cases]
    return [pair(case, corpus, repeat=repeat, minimum_ms=minimum_ms, say=say) for case in cases]


def pair(case: Case, corpus: Corpus, *, repeat: int, minimum_ms: int, say: Callable[[str], None]) -> Threads:
    say(f"threads: {case.name}")
    entrants = [
        Entrant(
            f"{n} threads",
            "stellarrow",
            case.name,
            (*worker(case, corpus), "--threads", str(n)),
            one_core=False,
        )
        for n in (1, 2)
    ]
    one, two = play(entrants, repeat=repeat, minimum_ms=max(minimum_ms, 300), say=lambda _: None)
    if one.reason or two.reason:
        return Threads(case, reason=one.reason or two.reason)
    return Threads(case, one, two, two.median_mb / one.median_mb)
