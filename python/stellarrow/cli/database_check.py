"""`stellarrow check` of what is no folder of files: has every ledger the rows that were written of it?"""

from __future__ import annotations

from dataclasses import dataclass, field

from stellarrow.cli.output import formatting
from stellarrow.cli.output.outcome import Outcome
from stellarrow.errors import ConfigError, SinkError
from stellarrow.ledgers import LedgerSet
from stellarrow.net.redaction import redacted_url
from stellarrow.protocols import Forgetting
from stellarrow.verification.stored_tables import StoredTable, stored_tables


@dataclass(slots=True)
class _Checked:
    """A table, how many rows it has, and the ledgers whose rows are not those that were written."""

    table: str
    rows: int = 0
    wrong: LedgerSet = field(default_factory=LedgerSet)
    why: list[str] = field(default_factory=list)


def check_database(place: str, kind: Forgetting | None, *, is_repair: bool) -> Outcome:
    """Compare the rows of every ledger with how many were written; repaired, they are written again.

    `kind` is what takes rows out, None where nothing can.
    """
    if is_repair and kind is None:
        raise ConfigError(
            f"{redacted_url(place)} cannot be repaired, as its sink takes nothing out again: extract all of"
            " it into another place, such as another topic_prefix or namespace"
        )
    tables = [_checked(one) for one in stored_tables(place)]
    if not tables:
        raise SinkError(f"{redacted_url(place)} holds no tables: name the place that extract wrote to")
    wrong = [one for one in tables if one.wrong]
    if kind and is_repair:
        for one in wrong:
            kind.forget(place, one.table, one.wrong)
    lost = LedgerSet(part for one in wrong for part in one.wrong) if is_repair else LedgerSet()
    report = {
        "tables": len(tables),
        "rows": sum(one.rows for one in tables),
        "faults": [{"table": one.table, "ledgers": str(one.wrong)} for one in wrong],
        "lost": str(lost),
    }
    return Outcome("\n".join(_lines(tables, wrong, lost, kind)), report, 1 if wrong and not is_repair else 0)


def _checked(held: StoredTable) -> _Checked:
    found = _Checked(held.table)
    for counts in held.row_counts(held.ledgers):
        found.rows += sum((counts.rows or {}).values())
        found.wrong |= counts.wrong
        found.why += [str(counts.error)] if counts.error else []
    return found


def _lines(
    tables: list[_Checked], wrong: list[_Checked], lost: LedgerSet, kind: Forgetting | None
) -> list[str]:
    rows = formatting.count(sum(one.rows for one in tables))
    sound = formatting.many(len(tables) - len(wrong), "table")
    lines = [f"{sound} of {len(tables)} sound, {rows} rows in all"]
    lines += [
        f"{one.table} does not have as many rows as were written of ledgers {formatting.ranges(one.wrong)}"
        for one in wrong
    ]
    lines += [why for one in wrong for why in one.why]
    if kind is None:
        return lines
    if lost:
        lines.append(f"run the same extract again, which writes {formatting.ranges(lost)} again")
    elif wrong:
        lines.append("--repair takes these ledgers out, and extract writes them again")
    return lines
