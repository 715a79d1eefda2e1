"""How a comparison of row counts reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from stellarrow.cli.output import formatting
from stellarrow.cli.output.outcome import Outcome
from stellarrow.ledgers import LedgerSet
from stellarrow.pipeline import loop
from stellarrow.verification.row_counts import Difference

_SHOWN: Final = 10  # differences that people are told


def compared(
    differences: Sequence[Difference], report: loop.Report, *, lacking: LedgerSet, unreadable: LedgerSet
) -> Outcome:
    """Say what was found; differences are a failure, ledgers not yet extracted are not."""
    verdict = "every row count agrees" if not differences else _many(differences)
    took = formatting.seconds(report.seconds)
    lines = [
        f"compared {formatting.many(report.ledgers, 'ledger')} in {took}: {verdict}",
        f"rows: {formatting.columns(report.rows)}",
    ]
    lines += [
        f"{one.table} of ledger {one.ledger}: {one.source} rows in the source, {one.sink} in the sink"
        for one in differences[:_SHOWN]
    ]
    if lacking:
        lines.append(f"not extracted: {formatting.ranges(lacking)}")
    if unreadable:
        lines.append(f"not in the source, so not compared: {formatting.ranges(unreadable)}")
    return Outcome(
        "\n".join(lines),
        {
            "ledgers": report.ledgers,
            "rows": report.rows,
            "differences": [asdict(one) for one in differences],
            "lacking": str(lacking),
            "unreadable": str(unreadable),
            "stopped": report.stopped,
        },
        1 if differences else 0,
    )


def _many(differences: Sequence[Difference]) -> str:
    return f"{formatting.many(len(differences), 'difference')}, in ledgers {_ledgers(differences)}"


def _ledgers(differences: Sequence[Difference]) -> str:
    return formatting.ranges(LedgerSet.of({one.ledger for one in differences}))
