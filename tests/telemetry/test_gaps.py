"""The metric of missing ledgers."""

from __future__ import annotations

import pytest

from stellarrow.errors import SinkUnavailable
from stellarrow.ledgers import LedgerSet
from stellarrow.telemetry import gaps
from stellarrow.telemetry.gaps import Gap, from_first
from stellarrow.telemetry.metrics import Metrics


def missing(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("missing_ledgers", {"place": "here", "table": "ledgers"})


@pytest.mark.parametrize(
    ("wanted", "covered", "count"),
    [
        (None, "100:109, 112:120", 2),
        (None, "100:120", 0),
        (98, "100:109, 112:120", 4),
        ("2024-07-01", "100:109, 112:120", 2),
    ],
)
def test_what_lies_before_the_last_ledger_and_is_not_there_is_missing(
    wanted: int | str | None, covered: str, count: int
) -> None:
    metrics = Metrics()
    Gap(metrics, "here", "ledgers", wanted=from_first(wanted)).note(LedgerSet.parse(covered))
    assert missing(metrics) == count


def test_nothing_is_missing_of_a_place_that_is_empty_or_asked_for_separate_ranges() -> None:
    metrics = Metrics()
    gap = Gap(metrics, "here", "ledgers", wanted=LedgerSet.parse("100:109, 120:"))
    gap.note(LedgerSet())
    assert missing(metrics) == 0
    gap.note(LedgerSet.parse("100:109, 120:130"))
    assert missing(metrics) == 0
    gap.note(LedgerSet.parse("100:108, 121:130"))
    assert missing(metrics) == 2


def test_a_place_is_not_asked_again_at_once_and_one_that_is_away_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics, asked = Metrics(), list[str]()
    gap = Gap(metrics, "here", "ledgers")

    def coverage() -> LedgerSet:
        asked.append("")
        return LedgerSet.parse("1:4, 6:9")

    def away() -> LedgerSet:
        asked.append("")
        raise SinkUnavailable("the server is away")

    gap.look(coverage)
    gap.look(away)
    assert (len(asked), missing(metrics)) == (1, 1)
    monkeypatch.setattr(gaps, "LOOK_SECONDS", 0.0)
    again = Gap(metrics, "here", "ledgers")
    again.look(away)
    again.look(away)
    assert (len(asked), missing(metrics)) == (3, 1)
