"""`stellarrow dlq`: ledgers that could not be kept, looked at, tried again, given up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
from rich.table import Table
from rich.text import Text

from stellarrow import registry
from stellarrow.cli.groups import Verbs
from stellarrow.cli.output import formatting
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.cli.setting_flags import state_options
from stellarrow.config import Extract, find_file, read
from stellarrow.core.options import DecodeOptions
from stellarrow.errors import ConfigError, StellarrowError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerChunk, LedgerRange, LedgerSet, Network
from stellarrow.net.redaction import MASK
from stellarrow.pipeline import loop
from stellarrow.pipeline.dead_letters import FOLDER, DeadLetter, DeadLetters

_EXAMPLE: Final = "\b\nExample:\n  stellarrow dlq "


@click.group(
    cls=Verbs, short_help="Show, retry or drop ledgers that were quarantined.", epilog=_EXAMPLE + "retry"
)
def command() -> None:
    """Look at ledgers that were quarantined, try them again, or give them up.

    They are kept by extract and processor serve with --on-error quarantine, and are a gap until they succeed.
    """


def _open(config: str | None, state_dir: str | None) -> DeadLetters:
    settings = read(Extract, {"state_dir": state_dir}, file=find_file(config))
    return DeadLetters(settings.state_dir / FOLDER)


def _chosen(letters: DeadLetters, ledgers: str | None) -> list[DeadLetter]:
    """Return the letters of some ledgers; where there is none, say so."""
    held = letters.entries()
    if ledgers is None:
        return held
    wanted = LedgerSet.parse(ledgers)
    chosen = [one for one in held if wanted & LedgerSet([LedgerRange(one.ledger, one.last)])]
    if not chosen:
        there = f"there are {formatting.ranges(_ledgers(held))}" if held else "there is none at all"
        raise ConfigError(f"no dead letter of {ledgers} in {letters.folder}: {there}")
    return chosen


def _ledgers(letters: Sequence[DeadLetter]) -> LedgerSet:
    return LedgerSet(LedgerRange(one.ledger, one.last) for one in letters)


@command.command("list", short_help="List them, and why.", epilog=_EXAMPLE + "list")
@state_options
def list_(config: str | None, state_dir: str | None, as_json: bool) -> None:
    """List the ledgers that were quarantined, and why."""
    letters = _open(config, state_dir)
    _draw(letters, as_json=as_json)
    for damage in letters.damaged()[:1]:
        raise damage


def _draw(letters: DeadLetters, *, as_json: bool) -> None:
    held = letters.entries()
    if as_json:
        say(json.dumps([_plain(one) for one in held]))
        return
    if not held:
        say(f"no ledger was quarantined in {letters.folder}" if not letters.damaged() else "")
        return
    drawn = Table(box=None, padding=(0, 2, 0, 0))
    for heading, style in (("ledger", "bold"), ("size", ""), ("when", "dim"), ("error", "")):
        drawn.add_column(heading, style=style, no_wrap=heading != "error", overflow="fold")
    for one in held:
        drawn.add_row(*map(Text, (_name(one), formatting.size(one.size), _when(one), one.message)))
    console = Page(highlight=False)
    console.print(drawn)
    many = formatting.many(_ledgers(held).count, "ledger")
    console.print(f"{many} in {letters.folder}: stellarrow dlq retry", markup=False, soft_wrap=True)


def _name(letter: DeadLetter) -> str:
    return str(LedgerRange(letter.ledger, letter.last))


def _when(letter: DeadLetter) -> str:
    return formatting.instant(datetime.fromisoformat(letter.at))


def _plain(letter: DeadLetter) -> dict[str, Any]:
    return {**asdict(letter), "at": _when(letter)}


@command.command(short_help="Show all that is known of one.", epilog=_EXAMPLE + "show 58752000")
@click.argument("ledger", type=int)
@state_options
def show(ledger: int, config: str | None, state_dir: str | None, as_json: bool) -> None:
    """Show all that is known of a ledger that was quarantined."""
    letters = _open(config, state_dir)
    chosen = _chosen(letters, str(ledger))
    if as_json:
        say(json.dumps([_plain(one) for one in chosen]))
        return
    console = Page(highlight=False)
    for one in chosen:
        drawn = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        drawn.add_column(style="bold")
        drawn.add_column(overflow="fold")
        for key, value in _facts(one, letters):
            drawn.add_row(key, Text(value))
        console.print(drawn)


def _facts(letter: DeadLetter, letters: DeadLetters) -> Iterator[tuple[str, str]]:
    yield "ledger", _name(letter)
    yield "error", f"{letter.kind}: {letter.message}"
    if letter.path:
        yield "place", f"{letter.path} at byte {letter.offset}"
    yield "came from", letter.where
    yield "quarantined", _when(letter)
    yield "tables", ", ".join(letter.tables)
    yield "meant for", ", ".join(letter.job.get("to", ()))
    yield "bytes", f"{letters.folder / letter.name}.xdr ({letter.framing}, {formatting.size(letter.size)})"


@command.command(short_help="Try them again from the bytes kept.", epilog=_EXAMPLE + "retry 58752000:+1000")
@click.argument("ledgers", required=False)
@click.option("--to", multiple=True, metavar="SINK", help="Instead of where they were meant to go.")
@state_options
def retry(
    ledgers: str | None, to: Sequence[str], config: str | None, state_dir: str | None, as_json: bool
) -> int:
    """Try ledgers again from the bytes kept: all, or a range; what succeeds is no letter any more.

    It helps after an update. Bytes that were damaged need the source: run the same extract line again.
    """
    letters = _open(config, state_dir)
    chosen = _chosen(letters, ledgers)
    results = [_tried(letters, one, to or tuple(one.job.get("to", ()))) for one in chosen]
    failed = [one for one in results if one.error]
    if as_json:
        say(json.dumps([asdict(one) for one in results]))
    else:
        for one in failed:
            say(f"still failing: {one.ledgers}: {one.error}")
        say(f"{len(results) - len(failed)} of {formatting.many(len(results), 'letter')} closed")
    return 1 if failed else 0


@dataclass(frozen=True, slots=True)
class _Tried:
    """What became of a letter; without an error it is closed."""

    ledgers: str
    error: str | None = None


def _tried(letters: DeadLetters, letter: DeadLetter, to: Sequence[str]) -> _Tried:
    try:
        _extract(letters.chunk(letter), letter, to)
    except StellarrowError as error:
        return _Tried(_name(letter), str(error))
    letters.forget(letter)
    return _Tried(_name(letter))


def _extract(chunk: LedgerChunk, letter: DeadLetter, to: Sequence[str]) -> None:
    job = letter.job
    if not {"network", "where", "decoded", "transfers"} <= job.keys():
        raise ConfigError("it was not quarantined by extract: run again what put it there")
    if not to:
        raise ConfigError("it was a session's, which has no sink: name one with --to, for all its rows")
    if any(MASK in place for place in to):
        raise ConfigError("its sink's password is not kept: name the sink with --to")
    if to == tuple(job.get("to", ())) and job["cwd"] != str(Path.cwd()):
        raise ConfigError(f"it was extracted in {job['cwd']}: retry it there, or name the sink with --to")
    options = DecodeOptions(
        network=Network.from_passphrase(job["network"]),
        where=Filter(**json.loads(job["where"])) if job["where"] else None,
        decoded=job["decoded"],
        transfers=job["transfers"],
        verify_hashes=job.get("verify_hashes"),
    )
    opened = registry.SinkOptions.of(options)
    with ExitStack() as stack:
        sinks = [
            stack.enter_context(closing(registry.open_sink(place, letter.tables, opened))) for place in to
        ]
        loop.run(_DeadLetterSource(chunk), tables=letter.tables, sinks=sinks, options=options)


class _DeadLetterSource:
    """A source of one letter's ledgers."""

    def __init__(self, chunk: LedgerChunk) -> None:
        self._chunk = chunk

    def available(self) -> LedgerSet:
        return LedgerSet([LedgerRange(self._chunk.first, self._chunk.last)])

    def network(self) -> Network | None:
        return None

    def read(self, ledgers: LedgerRange) -> Iterator[LedgerChunk]:
        yield replace(self._chunk, first=ledgers.first, last=ledgers.end)

    def close(self) -> None:
        """Hold nothing."""


@command.command(short_help="Give them up.", epilog=_EXAMPLE + "drop 58752000")
@click.argument("ledgers")
@state_options
def drop(ledgers: str, config: str | None, state_dir: str | None, as_json: bool) -> None:
    """Give ledgers up: forget them; they stay a gap until they are extracted again."""
    letters = _open(config, state_dir)
    chosen = _chosen(letters, ledgers)
    for one in chosen:
        letters.forget(one)
    report = {"dropped": [_name(one) for one in chosen]}
    say(json.dumps(report) if as_json else f"{formatting.many(len(chosen), 'letter')} dropped")
