"""`stellarrow compact`: one file where following the chain left many."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Final

import click

from stellarrow import registry
from stellarrow.cli.output import formatting
from stellarrow.cli.output.said import say
from stellarrow.errors import ConfigError
from stellarrow.net.redaction import redacted_url
from stellarrow.protocols import Compacting
from stellarrow.records.lease import LeaseHeld
from stellarrow.records.singleton import Confirm, singly
from stellarrow.sinks.files.compaction import compact, windows
from stellarrow.sinks.files.indexing import reindex
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.superseding import clean
from stellarrow.verification.stored_tables import is_no_folder, opened

_EXAMPLE: Final = "\b\nExample:\n  stellarrow compact parquet:./stellarrow-data --ledgers-per-file 1000"


@click.command(short_help="Merge the small files that following leaves.", epilog=_EXAMPLE)
@click.argument("place")
@click.option(
    "--ledgers-per-file",
    type=click.IntRange(1),
    default=1_000,
    help="Files end where a ledger is a multiple of it.  [1000]",
)
@click.option("--lease", metavar="URL", help="Where several machines agree who is at it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(place: str, ledgers_per_file: int, lease: str | None, as_json: bool) -> None:
    """Merge small neighbouring files in PLACE into one a range, in the bytes one extraction would write.

    It may run beside a writer, and be stopped at any moment. Sinks do it by themselves when a range is full.
    """
    try:
        with singly(lease, redacted_url(place), stopped=_waited) as confirm:
            if is_no_folder(place):
                confirm(f"merge in {redacted_url(place)}")
                gone = _elsewhere(place, ledgers_per_file)
            else:
                gone = _files(place, ledgers_per_file, confirm)
    except LeaseHeld as error:
        say(str(error), err=as_json)
        return
    if as_json:
        say(json.dumps({"merged": gone}))
        return
    say(f"{formatting.many(gone, 'range')} merged into others" if gone else "nothing to merge")


def _files(place: str, ledgers_per_file: int, confirm: Confirm) -> int:
    tables, unreadable = opened(place)
    gone = sum(_merged(listing, ledgers_per_file, confirm) for listing in tables)
    if unreadable:
        raise unreadable[0].error
    return gone


def _elsewhere(place: str, ledgers_per_file: int) -> int:
    """Merge in a sink that keeps no plain files."""
    kind = registry.sink_entry(place).load()
    if not isinstance(kind, Compacting):
        scheme = place.partition(":")[0]
        raise ConfigError(
            f"{redacted_url(place)} is not for compact: what {scheme}: writes to tidies up by itself"
        )
    return kind.compact(place, ledgers_per_file)


def _merged(listing: Listing, ledgers_per_file: int, confirm: Confirm) -> int:
    """Merge one table's files, and return how many ranges became part of others."""
    with closing(listing.store):
        confirm(f"clean {listing}")
        clean(listing)
        gone = 0
        for around in windows(listing, ledgers_per_file):
            confirm(f"merge {listing} {around}")
            gone += compact(listing, around)
        confirm(f"index {listing}")
        reindex(listing)
        return gone


def _waited(seconds: float) -> bool:
    time.sleep(seconds)
    return False
