"""Lets every entrant make one repetition in turn, round by round: a noisy minute hits all alike."""

import statistics
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from cases import Entrant
from player import Player, PlayerFailed, Sample, one_core


@dataclass(frozen=True, slots=True)
class Figure:
    """What one entrant reached on one corpus; without samples, why it was not measured."""

    entrant: Entrant
    samples: tuple[Sample, ...]
    reason: str = ""

    @property
    def best_mb(self) -> float:
        """Return the best repetition's MB of raw XDR a second, 1 MB being 10**6 bytes."""
        return max(sample.bytes / sample.seconds for sample in self.samples) / 1e6

    @property
    def median_mb(self) -> float:
        return statistics.median(sample.bytes / sample.seconds for sample in self.samples) / 1e6

    @property
    def best_ledgers(self) -> float:
        return max(sample.ledgers / sample.seconds for sample in self.samples)

    @property
    def median_ledgers(self) -> float:
        return statistics.median(sample.ledgers / sample.seconds for sample in self.samples)

    @property
    def rows(self) -> int:
        """Return the rows of one pass over the corpus."""
        return self.samples[0].rows // self.samples[0].passes


def play(
    entrants: Sequence[Entrant], *, repeat: int, minimum_ms: int, say: Callable[[str], None]
) -> list[Figure]:
    """Start every entrant, make one round that warms up and is not counted, then the rounds that are."""
    with ExitStack() as stack:
        players = {entrant.key: stack.enter_context(start(entrant, minimum_ms)) for entrant in entrants}
        samples: dict[str, list[Sample]] = {entrant.key: [] for entrant in entrants}
        reasons: dict[str, str] = {}
        for number in range(repeat + 1):
            say(f"  round {number} of {repeat}" + (" (warms up)" if number == 0 else ""))
            for key, player in players.items():
                if key in reasons:
                    continue
                try:
                    sample = player.step()
                except PlayerFailed as failed:
                    reasons[key] = str(failed)
                    samples[key].clear()
                    continue
                if number:
                    samples[key].append(sample)
    return [
        Figure(entrant, tuple(samples[entrant.key]), reasons.get(entrant.key, "")) for entrant in entrants
    ]


def start(entrant: Entrant, minimum_ms: int) -> Player:
    return Player(
        (*entrant.argv, "--minimum-ms", str(minimum_ms)), cores=one_core() if entrant.one_core else None
    )
