"""`stellarrow coverage`: which ledgers a sink holds, and what is missing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from stellarrow.cli.output import formatting
from stellarrow.cli.output.coverage_bar import drawn_bar
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.errors import LedgerMissing, SinkError
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import redacted_url
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.sinks.files.delta_beside import refuse_delta
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.location import root_of
from stellarrow.verification.last_closed import last_closed
from stellarrow.verification.read_back import ReadBack, read_back_of
from stellarrow.verification.stored_tables import StoredTable, departed, stored_tables, unreadable

_EXAMPLE: Final = "\b\nExample:\n  stellarrow coverage parquet:./stellarrow-data --ledgers 58752000:+1000"
_NONE: Final = (LedgerSet(), LedgerSet())


@dataclass(frozen=True, slots=True)
class _Seen:
    """A table, what it lacks of what is wanted, when its last ledger closed, what reading it all found.

    What was archived or deleted is not missing.
    """

    held: StoredTable
    missing: LedgerSet
    closed_at: datetime | None
    audit: ReadBack | None
    archived: LedgerSet
    deleted: LedgerSet


@click.command(short_help="Show which ledgers a sink holds, and which not.", epilog=_EXAMPLE)
@click.argument("sink")
@click.option("--ledgers", metavar="RANGES", help="What should be there; by default all from first to last.")
@click.option("--verify", is_flag=True, help="Read all of it: is every file whole, does the chain hold?")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(sink: str, ledgers: str | None, verify: bool, as_json: bool) -> int:
    """Show which ledgers SINK holds, table by table, and which are missing.

    What is missing, the extract line that wrote it fills in.
    """
    gone = _gone(sink)
    held = _with_empty(stored_tables(sink), gone)
    if not held:
        refuse_delta(root_of(sink))
        raise SinkError(f"{redacted_url(sink)} holds no table yet: extract something into it first")
    left = {name: one.archived | one.deleted for name, one in gone.items()}
    every = LedgerSet(part for one in held for part in one.ledgers | left.get(one.table, LedgerSet()))
    wanted = _wanted(ledgers, every, held) if ledgers else LedgerSet([_span(every)])
    if wanted.ranges[-1].last is None:
        first = wanted.first
        wanted &= LedgerSet([LedgerRange(0, every.last)])
        if not wanted:
            raise LedgerMissing(
                f"nothing is here from ledger {first:,} on: the last ledger here is {every.last:,}"
            )
    seen = [
        _Seen(
            one,
            wanted - one.ledgers - left.get(one.table, LedgerSet()),
            last_closed(one, held),
            read_back_of(one) if verify else None,
            *((gone[one.table].archived, gone[one.table].deleted) if one.table in gone else _NONE),
        )
        for one in held
    ]
    lost = [str(one.error) for one in unreadable(sink)]
    if as_json:
        say(json.dumps({**_plain(sink, wanted, seen), **({"unreadable": lost} if lost else {})}))
    else:
        _show(wanted, seen)
        for answer in lost:
            say(answer, fg="red")
    return 1 if lost or any(one.audit and one.audit.faults for one in seen) else 0


@dataclass(frozen=True, slots=True)
class _Gone:
    """What of a table was archived and what deleted; the table itself, for one of which nothing is left."""

    listing: Listing
    archived: LedgerSet
    deleted: LedgerSet


def _gone(sink: str) -> dict[str, _Gone]:
    found = {}
    for name, listing in departed(sink).items():
        one = listing.departed()
        deleted, here = LedgerSet(one.deleted), listing.ranges()
        found[name] = _Gone(listing, LedgerSet(one.archived) - deleted - here, deleted - here)
    return found


def _with_empty(held: Sequence[StoredTable], gone: Mapping[str, _Gone]) -> list[StoredTable]:
    """Add the tables of which all files have left."""
    names = {one.table for one in held}
    empty = [
        StoredTable(
            name,
            one.listing.shape.facts["schema_version"],
            Network.from_passphrase(one.listing.shape.facts["network"]),
            LedgerSet(),
            lambda _columns, _ledgers: iter(()),
        )
        for name, one in gone.items()
        if name not in names
    ]
    return sorted([*held, *empty], key=lambda one: one.table)


def _wanted(ledgers: str, every: LedgerSet, held: Sequence[StoredTable]) -> LedgerSet:
    """Read what should be there; times are those of rows, best of the table that has one for each ledger."""
    told = min(held, key=lambda one: (not one.ledgers, not one.table.startswith("ledgers")))
    times = CloseTimes.of_rows(
        told.ledgers, lambda part: told.read(["ledger_sequence", "closed_at"], part), name=told.table
    )
    return LedgerSet.parse(ledgers, known=lambda: every, times=times)


def _span(ledgers: LedgerSet) -> LedgerRange:
    return LedgerRange(ledgers.first, ledgers.last)


def _plain(sink: str, wanted: LedgerSet, seen: Sequence[_Seen]) -> dict[str, Any]:
    tables = [
        {
            "table": one.held.table,
            "version": one.held.version,
            "network": one.held.network.name if one.held.network else None,
            "ledgers": str(one.held.ledgers),
            "count": one.held.ledgers.count,
            "missing": str(one.missing),
            "archived": str(one.archived),
            "deleted": str(one.deleted),
            "last_ledger": one.held.ledgers.last if one.held.ledgers else None,
            "last_closed_at": formatting.instant(one.closed_at) if one.closed_at else None,
            **(asdict(one.audit) if one.audit else {}),
        }
        for one in seen
    ]
    return {"sink": redacted_url(sink), "wanted": str(wanted), "tables": tables}


def _show(wanted: LedgerSet, seen: Sequence[_Seen]) -> None:
    console = Page(highlight=False, width=None if sys.stdout.isatty() else 120)
    span = _span(wanted)
    drawn = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("table", "ledgers", "missing", "last closed"):
        right = heading in ("ledgers", "missing")
        drawn.add_column(heading, justify="right" if right else "left", no_wrap=True)
    if any(one.audit for one in seen):
        drawn.add_column("rows", justify="right", no_wrap=True)
    for one in seen:
        drawn.add_row(
            Text(one.held.table, style="bold"),
            formatting.count(one.held.ledgers.count),
            Text(formatting.count(one.missing.count), style="yellow" if one.missing else "green"),
            formatting.instant(one.closed_at) if one.closed_at else "-",
            *([formatting.count(one.audit.rows)] if one.audit else []),
        )
    console.print(drawn)
    console.print()
    indent = max(len(one.held.table) for one in seen)
    for one in seen:
        console.print(drawn_bar(one.held.table, one.held.ledgers, span, console, indent=indent))
    for one in seen:
        for word, ledgers in (("archived", one.archived), ("deleted", one.deleted)):
            if ledgers:
                told = f"{one.held.table}: {word} {formatting.ranges(ledgers)}"
                console.print(told, markup=False, soft_wrap=True)
        if one.missing:
            console.print(
                f"{one.held.table} lacks {formatting.ranges(one.missing)}", markup=False, soft_wrap=True
            )
        for fault in one.audit.faults if one.audit else ():
            console.print(Text(f"{one.held.table}: {fault}", style="red"), soft_wrap=True)
    console.print(_verdict(seen), markup=False, soft_wrap=True)


def _verdict(seen: Sequence[_Seen]) -> str:
    audits = [one.audit for one in seen if one.audit]
    if not audits:
        return "chain of hashes: verified when written, run by run; --verify reads it again"
    chain = next((one.chain for one in audits if one.chain), None)
    unread = "verified when written, run by run; no table ledgers is here to read it again"
    return f"chain of hashes: {chain or unread}"
