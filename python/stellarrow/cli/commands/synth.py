"""`stellarrow synth`: valid ledgers, made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import click

from stellarrow.cli.output import formatting
from stellarrow.cli.output.said import say
from stellarrow.core.framing import frame
from stellarrow.core.synthetic import synthetic
from stellarrow.errors import ConfigError, SinkError
from stellarrow.lake.layout import MANIFEST, Layout, manifest
from stellarrow.lake.writer import packed
from stellarrow.ledgers import LAST_POSSIBLE, Network
from stellarrow.storage.atomic import written_aside
from stellarrow.storage.paths import local_path

_LEVEL: Final = 3  # zstd

_EXAMPLE = """\b
Examples:
  stellarrow synth --ledgers 300 --out ./lake
  stellarrow synth --ledgers 10 --size 1.7MB --out heavy.xdr.zst"""


@click.command(short_help="Make valid synthetic ledgers.", epilog=_EXAMPLE)
@click.option("--ledgers", type=click.IntRange(1), default=300, help="How many.  [300]")
@click.option(
    "--out", required=True, metavar="PLACE", help="A folder for a lake, or a file (.zst compresses)."
)
@click.option("--size", metavar="SIZE", help="Of a ledger, about, from 4KB to 16MB.")
@click.option("--contracts", type=click.IntRange(1), default=2_000, help="How many.  [2000]")
@click.option("--seed", type=click.IntRange(0), default=1, help="The same seed makes the same bytes.  [1]")
@click.option("--first", type=click.IntRange(2, LAST_POSSIBLE), default=2, help="The first sequence.  [2]")
@click.option("--network", default="synthetic", help="Name or passphrase.  [synthetic]")
@click.option("--json", "as_json", is_flag=True, help="Print what was made as JSON.")
def command(
    *,
    ledgers: int,
    out: str,
    size: str | None,
    contracts: int,
    seed: int,
    first: int,
    network: str,
    as_json: bool,
) -> None:
    """Make valid ledgers: a folder becomes a lake of one ledger a file, a file a record-marked stream."""
    if first + ledgers - 1 > LAST_POSSIBLE:
        raise ConfigError(f"{ledgers} ledgers from {first} go beyond the last possible one, {LAST_POSSIBLE}")
    meant = Network.of(network)
    ledger_bytes = formatting.read_size(size) if size else None
    endless = synthetic(contracts, seed=seed, first=first, ledger_bytes=ledger_bytes, network=meant)
    made = islice(endless, ledgers)
    place = local_path(out)
    try:
        if place.is_dir() or out.endswith("/") or not place.suffix:
            stored = write_lake(place, made, first=first, network=meant)
        else:
            stored = _write_stream(place, made)
    except OSError as error:
        raise SinkError(f"cannot write to {out} ({error.strerror}): choose another place") from error
    if as_json:
        report = {"ledgers": ledgers, "first": first, "last": first + ledgers - 1, "out": out}
        say(json.dumps({**report, "network": meant.passphrase, "stored_bytes": stored}))
        return
    say(f"{formatting.many(ledgers, 'ledger')} from {first} in {out}, {formatting.size(stored)}")


def write_lake(folder: Path, ledgers: Iterator[bytes], *, first: int, network: Network) -> int:
    """Write one ledger a file as SEP-54 lays a lake out, with its manifest; return the bytes stored."""
    folder.mkdir(parents=True, exist_ok=True)
    _place(folder / MANIFEST, manifest(Layout(), network))
    stored = 0
    for sequence, ledger in enumerate(ledgers, first):
        path = folder / lake_path(sequence)
        path.parent.mkdir(exist_ok=True)
        stored += _place(path, packed([ledger]))
    return stored


def lake_path(sequence: int) -> str:
    """Return the path of a ledger in a lake of one ledger a file."""
    return Layout().key(sequence)


def _place(path: Path, content: bytes) -> int:
    with written_aside(path, durable=False) as aside:
        return aside.write_bytes(content)


def _write_stream(path: Path, ledgers: Iterator[bytes]) -> int:
    """Write a record-marked stream, one zstd frame a ledger where the name asks for zstd."""
    level = _LEVEL if path.suffix in (".zst", ".zstd") else None
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path, durable=False) as aside, aside.open("wb") as file:
        return sum(
            file.write(frame([ledger], "record-marked", compression_level=level)) for ledger in ledgers
        )
