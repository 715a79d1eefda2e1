"""How a comparison of row counts reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from stellarrow.cli.output import formatting
from stellarrow.cli.output.outcome import Outcome
from stellarrow.ledgers import LedgerSet
from stellarrow.pipeline import loop
from stellarrow.verification.row_counts import Difference, Fault, RowCountComparison

_SHOWN: Final = 10  # differences that people are told


def compared(
    comparison: RowCountComparison, report: loop.Report, *, lacking: LedgerSet, unreadable: LedgerSet
) -> Outcome:
    """Say what was found; differences are a failure, ledgers not yet extracted are not."""
    differences, faults = comparison.differences, comparison.faults
    took = formatting.seconds(report.seconds)
    compared = formatting.many(report.ledgers, "ledger")
    lines = [
        f"compared {compared} in {took}: {_verdict(differences, faults)}",
        f"rows: {formatting.columns(report.rows)}",
    ]
    lines += [
        f"{one.table} of ledger {one.ledger}: {one.source} rows in the source, {one.sink} in the sink"
        for one in differences[:_SHOWN]
    ]
    if len(differences) > _SHOWN:
        lines.append(f"… and {formatting.many(len(differences) - _SHOWN, 'difference')} more; --json has all")
    lines += [
        f"{one.table} of ledgers {one.ledgers.first} to {one.ledgers.end}: {one.what}"
        for one in faults[:_SHOWN]
    ]
    if differences or faults:
        lines.append("docs/reliability.md, Repair, says how to write these ledgers again")
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
            "faults": [{**asdict(one), "ledgers": str(one.ledgers)} for one in faults],
            "lacking": str(lacking),
            "unreadable": str(unreadable),
            "stopped": report.stopped,
        },
        1 if differences or faults else 0,
    )


def _verdict(differences: Sequence[Difference], faults: Sequence[Fault]) -> str:
    if not differences and not faults:
        return "every row count agrees"
    found = []
    if differences:
        found.append(f"{formatting.many(len(differences), 'difference')}, in ledgers {_ledgers(differences)}")
    if faults:
        files = formatting.ranges(LedgerSet(one.ledgers for one in faults))
        found.append(f"files of ledgers {files} are damaged")
    return "; ".join(found)


def _ledgers(differences: Sequence[Difference]) -> str:
    return formatting.ranges(LedgerSet.of({one.ledger for one in differences}))
