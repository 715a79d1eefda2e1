"""`stellarrow check`: is every file of a place what it was written as?"""

from __future__ import annotations

import json
from typing import Final

import click

from stellarrow.cli.output import formatting
from stellarrow.ledgers import LedgerSet
from stellarrow.sinks.files.verify import Fault, check, repair
from stellarrow.verification.stored_tables import opened

_EXAMPLE: Final = "\b\nExample:\n  stellarrow check ./stellarrow-data --repair"


@click.command(short_help="Compare files with what they were written as.", epilog=_EXAMPLE)
@click.argument("place")
@click.option(
    "--repair", "is_repair", is_flag=True, help="Take away what is damaged; extract fetches it again."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(place: str, is_repair: bool, as_json: bool) -> int:
    """Read every file in PLACE and compare it with the manifest: size, checksum, columns, rows, ledgers.

    PLACE is what extract wrote to: a folder, parquet:FOLDER, jsonl:s3://BUCKET/PREFIX …
    """
    faults: list[Fault] = []
    lost = LedgerSet()
    files = rows = stored = 0
    for listing in opened(place):
        found = list(check(listing))
        wrong = [one for one in found if isinstance(one, Fault)]
        sound = [one for one in found if not isinstance(one, Fault)]
        files, rows = files + len(sound), rows + sum(one.rows for one in sound)
        stored += sum(one.bytes for one in sound)
        if is_repair and wrong:
            lost |= repair(listing, wrong)
        faults += wrong
    if as_json:
        told = [{"path": one.path, "what": one.what, "ledgers": str(one.ledgers or "")} for one in faults]
        click.echo(json.dumps({"files": files, "rows": rows, "bytes": stored, "faults": told}))
    else:
        click.echo(
            f"{formatting.many(files, 'file')} sound: {formatting.count(rows)} rows,"
            f" {formatting.size(stored)}"
        )
        for one in faults:
            click.secho(f"{one.path}: {one.what}", fg="red")
        click.echo(_remedy(faults, lost, is_repair=is_repair), nl=bool(faults))
    return 1 if faults and not is_repair else 0


def _remedy(faults: list[Fault], lost: LedgerSet, *, is_repair: bool) -> str:
    if not faults:
        return ""
    if not is_repair:
        many = formatting.many(len(faults), "fault")
        return f"{many}: --repair takes them away, and extract fetches them again"
    return (
        f"taken away: run the same extract again, which fetches {formatting.ranges(lost)}"
        if lost
        else "mended"
    )
