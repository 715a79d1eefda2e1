"""`stellarrow check`: is every file of a place what it was written as?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import click

from stellarrow.cli.database_check import check_database
from stellarrow.cli.output import formatting
from stellarrow.cli.output.said import say
from stellarrow.errors import Damaged, SinkError
from stellarrow.ledgers import LedgerSet
from stellarrow.sinks.files.delta_beside import refuse_delta
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.location import open_existing, root_of
from stellarrow.sinks.files.quarantine import QUARANTINE, quarantine_file, quarantined
from stellarrow.sinks.files.reading import Unreadable
from stellarrow.sinks.files.verify import Fault, Foreign, Repaired, Sound, check, repair
from stellarrow.storage.files import FileStore, Found
from stellarrow.verification.stored_tables import departed, forgetting, is_no_folder, opened

_EXAMPLE: Final = "\b\nExample:\n  stellarrow check ./stellarrow-data --repair"
_NAMED: Final = 20  # foreign files that are named; of more, only how many


@dataclass(slots=True)
class _Found:
    """What was found in all tables."""

    sound: list[Sound] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    foreign: list[Foreign] = field(default_factory=list)
    repaired: list[Repaired] = field(default_factory=list)
    aside: list[Found] = field(default_factory=list)

    @property
    def lost(self) -> LedgerSet:
        return LedgerSet([part for one in self.repaired for part in one.lost])

    def to_dict(self) -> dict[str, Any]:
        return {
            "files": len(self.sound),
            "rows": sum(one.rows for one in self.sound),
            "bytes": sum(one.bytes for one in self.sound),
            "faults": [
                {"path": one.path, "what": one.what, "ledgers": str(one.ledgers or "")} for one in self.faults
            ],
            "foreign": [one.path for one in self.foreign],
            "moved": [f"{one.folder}/{path}" for one in self.repaired for path in one.moved],
            "lost": str(self.lost),
            "quarantine": [one.path for one in self.aside],
        }


@click.command(short_help="Compare files with what they were written as.", epilog=_EXAMPLE)
@click.argument("place")
@click.option(
    "--repair",
    "is_repair",
    is_flag=True,
    help=f"Move what is damaged into {QUARANTINE}/; extract fetches it again.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(place: str, is_repair: bool, as_json: bool) -> int:
    """Read every file in PLACE and compare it with the manifest: size, checksum, columns, rows, ledgers.

    PLACE is what extract wrote to: a folder, parquet:FOLDER, jsonl:s3://BUCKET/PREFIX …, or postgres://…,
    kafka://…, delta:FOLDER …, of which the rows that are there are compared with how many were written.
    A file that cannot be read because the store does not answer ends the check, and nothing is moved.
    """
    if is_no_folder(place):
        done = check_database(place, forgetting(place), is_repair=is_repair)
        say(json.dumps(done.report) if as_json else done.told)
        return done.exit_code
    refuse_delta(root_of(place))
    tables, unreadable = opened(place)
    found, faults = _Found(), list[tuple[Listing, list[Fault]]]()
    for listing in tables:
        findings = list(check(listing))
        faults.append((listing, [one for one in findings if isinstance(one, Fault)]))
        found.faults += faults[-1][1]
        found.sound += [one for one in findings if isinstance(one, Sound)]
        found.foreign += [one for one in findings if isinstance(one, Foreign)]
    store = open_existing(place)
    for one in unreadable:
        found.faults += _unreadable(one)
    found.foreign += _foreign(store, tables)
    if is_repair:
        found.repaired = [repair(listing, wrong) for listing, wrong in faults if wrong]
        found.repaired += [_without_table(store, one) for one in unreadable if one.paths]
    found.aside = quarantined(store)
    if not (tables or unreadable or found.aside or departed(place)):
        raise SinkError(f"{place} holds no tables: name the folder that extract wrote to")
    if as_json:
        say(json.dumps(found.to_dict()))
    else:
        _tell(found, is_repair=is_repair)
    return 1 if found.faults and not is_repair else 0


def _unreadable(one: Unreadable) -> list[Fault]:
    """Tell of a table of which no file says what it is; a store that does not answer proves nothing."""
    if not isinstance(one.error, Damaged):
        raise one.error
    return [Fault(path, "is damaged, and no other file tells what the table is", None) for path in one.paths]


def _without_table(store: FileStore, one: Unreadable) -> Repaired:
    moved = quarantine_file(store, one.paths)
    return Repaired(moved.folder, moved.paths, LedgerSet())


def _foreign(store: FileStore, tables: Sequence[Listing]) -> list[Foreign]:
    """Return what lies beside the tables' folders, not in them."""
    folders = {listing.shape.folder for listing in tables}
    beside = {folder.rpartition("/")[0] for folder in folders} - folders
    found = [Foreign(file.path) for folder in sorted(beside) for file in store.list(folder)]
    irregular = [odd for odd in store.irregular("") if odd.path.rpartition("/")[0] in beside]
    return found + [Foreign(odd.path, odd.what) for odd in irregular]


def _tell(found: _Found, *, is_repair: bool) -> None:
    rows, stored = sum(one.rows for one in found.sound), sum(one.bytes for one in found.sound)
    files = formatting.many(len(found.sound), "file")
    say(f"{files} sound: {formatting.count(rows)} rows, {formatting.size(stored)}")
    for fault in found.faults:
        say(f"{fault.path}: {fault.what}", fg="red")
    for foreign in found.foreign[:_NAMED]:
        say(f"{foreign.path}: {foreign.what}; no reader reads it: remove it")
    if len(found.foreign) > _NAMED:
        say(f"… and {formatting.many(len(found.foreign) - _NAMED, 'such file')} more")
    for repaired in found.repaired:
        for path in repaired.moved:
            say(f"moved {path} to {repaired.folder}/")
    if found.aside:
        size = formatting.size(sum(one.bytes for one in found.aside))
        many = formatting.many(len(found.aside), "file")
        say(f"{QUARANTINE}/ has {many}, {size}, that no reader reads: remove them when you like")
    if found.faults:
        say(_remedy(found, is_repair=is_repair))


def _remedy(found: _Found, *, is_repair: bool) -> str:
    if not is_repair:
        many = formatting.many(len(found.faults), "fault")
        return f"{many}: --repair moves damaged files into {QUARANTINE}/, and extract fetches them again"
    if found.lost:
        return f"run the same extract again, which fetches {formatting.ranges(found.lost)}"
    return "nothing has to be fetched again"
