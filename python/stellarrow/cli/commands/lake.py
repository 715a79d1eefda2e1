"""`stellarrow lake`: write a data lake, and check one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import asdict, replace
from typing import Any, Final

import click

from stellarrow import registry
from stellarrow.cli.groups import Verbs
from stellarrow.cli.output import formatting, progress_bar
from stellarrow.cli.output.said import say
from stellarrow.errors import ConfigError, DecodeError, SinkUnavailable, SourceError
from stellarrow.lake.layout import MAX_LEDGERS_PER_FILE, Layout
from stellarrow.lake.verify import Fault, LakeCheck
from stellarrow.lake.writer import LakeWriter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.net.credentials import SourceAccess
from stellarrow.net.redaction import redacted_url
from stellarrow.net.resilience import Guard
from stellarrow.pipeline import loop
from stellarrow.pipeline.close_times import CloseTimes
from stellarrow.protocols import Source
from stellarrow.sources.lake import LakeOptions, LakeSource
from stellarrow.storage.opening import open_store
from stellarrow.storage.store import StoreOptions
from stellarrow.verification.two_sources import differences

_SHOWN: Final = 20  # faults told one by one

_WRITE: Final = """\b
Examples:
  stellarrow lake write ledgers.xdr.zst --to ./lake --network pubnet
  stellarrow lake write s3://aws-public-blockchain/v1.1/stellar/ledgers/pubnet \\
    --ledgers 58752000:+64000 --ledgers-per-file 64 --to s3://bucket/lake"""
_CHECK: Final = """\b
Examples:
  stellarrow lake check ./lake
  stellarrow lake check s3://bucket/lake --endpoint http://127.0.0.1:9000 --ledgers 58752000:
  stellarrow lake check ./lake --ledgers 58752000:+100 --against rpc+https://host"""


_instance = click.option(
    "--instance-credentials",
    is_flag=True,
    help="Stores may ask this machine's metadata service for keys.",
)


@click.group(cls=Verbs, epilog=_CHECK)
def command() -> None:
    """Write a data lake of ledgers (SEP-54), or check one."""


@command.command(epilog=_WRITE)
@click.argument("source")
@click.option("--to", required=True, metavar="PLACE", help="A folder, or s3://, gs://, az:// with a prefix.")
@click.option(
    "--ledgers", metavar="RANGES", help="A:B, A:+N, A: (follow), 2024-07-01:+1d, or a list; all by default."
)
@click.option("--ledgers-per-file", type=click.IntRange(1, MAX_LEDGERS_PER_FILE), help="Of a new lake.  [1]")
@click.option("--files-per-partition", type=click.IntRange(1), help="Of a new lake; 1: no folders.  [64000]")
@click.option("--network", metavar="NAME", help="pubnet, testnet, futurenet or a passphrase.")
@click.option("--endpoint", metavar="URL", help="The S3-compatible store SOURCE is in.")
@click.option("--to-endpoint", metavar="URL", help="The S3-compatible store PLACE is in.")
@_instance
@click.option("--no-verify-chain", is_flag=True, help="Take ledgers whose hashes do not link.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def write(source: str, to: str, network: str | None, endpoint: str | None, **options: Any) -> None:
    """Write the ledgers of SOURCE as a lake; what is there already is left as it is.

    The same ledgers make the same bytes, so two writers do each other no harm.
    """
    access = _access(options)
    asks = access.instance_credentials
    with closing(registry.open_source(source, network=network, endpoint=endpoint, access=access)) as opened:
        store = open_store(to, StoreOptions(endpoint=options["to_endpoint"], instance_credentials=asks))
        writer = LakeWriter(
            store,
            Guard(store.where, refusal=SinkUnavailable),
            network=registry.find_network(opened, network),
            layout=_layout(options["ledgers_per_file"], options["files_per_partition"]),
            verify_chain=not options["no_verify_chain"],
        )
        wanted = loop.wanted_ledgers(opened, options["ledgers"])
        whole = writer.whole(wanted)
        lacking = writer.lacking(whole)
        report = _written(writer, opened, lacking) | {
            "skipped": 0 if loop.is_open(whole) else (whole - lacking).count,
            "left_out": str(wanted - whole),
        }
    text = (
        f"{formatting.many(report['ledgers'], 'ledger')} in {formatting.many(report['files'], 'file')},"
        f" {formatting.size(report['stored_bytes'])}, in {redacted_url(to)}; {report['skipped']:,} were there"
    )
    if report["left_out"]:
        text += f"\nleft out, for they make no whole file: {formatting.ranges(wanted - whole)}"
    say(json.dumps(report) if options["as_json"] else text)


def _access(options: dict[str, Any]) -> SourceAccess:
    """Return what the environment says of credentials, and what the flag adds."""
    answer = SourceAccess.of_environment()
    return replace(answer, instance_credentials=True) if options["instance_credentials"] else answer


def _written(writer: LakeWriter, source: Source, lacking: LedgerSet) -> dict[str, Any]:
    state = loop.Progress(None if loop.is_open(lacking) else lacking.count, 0)
    files = 0
    with progress_bar.shown("lake write") as progress:
        for part in lacking:
            for written in writer.write(source, part):
                files += 1
                state.ledgers += written.ledgers.count
                state.bytes += written.stored
                state.last = state.committed = written.ledgers.end
                progress(state)
    return {"ledgers": state.ledgers, "files": files, "stored_bytes": state.bytes}


@command.command(epilog=_CHECK)
@click.argument("place")
@click.option("--ledgers", metavar="RANGE", help="A:B, A:+N, A:, :B or 2024-07-01:+1d; all by default.")
@click.option("--names", is_flag=True, help="Look at the names and sizes of files only, not into them.")
@click.option("--network", metavar="NAME", help="Where the lake does not tell: a name or a passphrase.")
@click.option("--endpoint", metavar="URL", help="The S3-compatible store PLACE is in.")
@_instance
@click.option("--against", metavar="SOURCE", help="Compare every byte with another source of these ledgers.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def check(place: str, network: str | None, endpoint: str | None, **options: Any) -> int:
    """Find gaps, misplaced, short and damaged files, and broken chains in the lake at PLACE."""
    access = _access(options)
    choices = StoreOptions(
        endpoint=endpoint, credentials=access.source, instance_credentials=access.instance_credentials
    )
    store = open_store(place, choices)
    checker = LakeCheck(store, Guard(store.where), network=Network.of(network) if network else None)
    asked = _asked(options["ledgers"], place, choices) if options["ledgers"] else None
    files = checker.names(asked)
    faults = list(checker.manifest)
    sound: list[LedgerRange] = []
    there: list[LedgerRange] = []
    number = stored = count = 0
    for file in files if options["names"] else checker.ledgers(files):
        number, stored = number + 1, stored + file.stored
        count += file.ledgers.count if file.ledgers else 0
        faults += file.faults
        there += [file.ledgers] if file.ledgers else []
        if file.ledgers and not file.faults:
            sound.append(file.ledgers)
    faults += _outside(asked, there)
    report = {"files": number, "ledgers": count, "stored_bytes": stored, "faults": [*map(asdict, faults)]}
    if against := options["against"]:
        wanted = LedgerSet(sound) & LedgerSet([asked or LedgerRange(0)])
        compared, different = _compared(place, against, wanted, endpoint=endpoint, network=network)
        faults += different
        report |= {"compared": str(compared), "not_compared": str(wanted - compared)}
        report["faults"] = [*map(asdict, faults)]
    say(json.dumps(report) if options["as_json"] else _summary(report, faults, redacted_url(place)))
    return 1 if faults else 0


def _outside(asked: LedgerRange | None, there: Sequence[LedgerRange]) -> list[Fault]:
    """Tell which ledgers that were asked for lie before and behind all that the lake has of them."""
    if asked is None:
        return []
    if not there:
        wanted = f"ledgers from {asked.first} on" if asked.last is None else f"ledgers {asked}"
        return [Fault("missing", wanted, "the lake has none of them")]
    held = LedgerRange(min(one.first for one in there), max(one.end for one in there))
    last = max(asked.first, held.end) if asked.last is None else asked.last
    outside = LedgerSet([LedgerRange(max(asked.first, 1), last)]) - LedgerSet([held])
    return [Fault("missing", f"ledgers {one}", "the lake does not have them") for one in outside]


def _asked(ledgers: str, place: str, choices: StoreOptions) -> LedgerRange:
    """Read a range of the lake's; what it holds is asked where the text depends on that."""
    reading = LakeOptions(
        endpoint=choices.endpoint,
        credentials=choices.credentials,
        instance_credentials=choices.instance_credentials,
    )
    with closing(LakeSource(place, reading)) as lake:

        def known() -> LedgerSet:
            with suppress(SourceError):  # what is wrong with it is for the check to say
                return lake.available()
            return LedgerSet()

        return LedgerRange.parse(ledgers, known=known, times=CloseTimes.of_source(lake))


def _compared(
    place: str, against: str, wanted: LedgerSet, *, endpoint: str | None, network: str | None
) -> tuple[LedgerSet, list[Fault]]:
    """Compare the lake with another source; return which ledgers were compared, and what is wrong."""
    compared = LedgerSet()
    faults: list[Fault] = []
    with (
        closing(LakeSource(place, LakeOptions(endpoint=endpoint))) as lake,
        closing(registry.open_source(against, network=network)) as other,
    ):
        try:
            known = registry.find_network(lake, network)
            common = wanted & _available(other, wanted)
            for one in differences(lake, other, common, network=known):
                text = f"{one.path or 'its beginning'} at byte {one.offset} is not the same in {against}"
                faults.append(Fault("differs", f"ledger {one.ledger}", text))
            compared = common
        except (SourceError, DecodeError) as error:
            faults.append(Fault("against", against, str(error)))
    if not compared and not faults:
        faults.append(Fault("against", against, f"it has none of the ledgers {wanted}: nothing was compared"))
    return compared, faults


def _available(source: Source, wanted: LedgerSet) -> LedgerSet:
    """Return what a source has; one that cannot tell, such as a raw-ledger service, is asked for all."""
    try:
        return source.available()
    except ConfigError:
        return wanted


def _summary(report: dict[str, Any], faults: list[Fault], place: str) -> str:
    looked = (
        f"{place}: {formatting.many(report['ledgers'], 'ledger')}"
        f" in {formatting.many(report['files'], 'file')},"
        f" {formatting.size(report['stored_bytes'])}"
    )
    left_out = f"\nnot compared: {left}" if (left := report.get("not_compared")) else ""
    if not faults:
        return f"{looked}: all is well{left_out}"
    kinds = Counter(fault.kind for fault in faults)
    lines = [f"{looked}: {formatting.columns(dict(kinds))}"]
    lines += [f"  {fault.kind:9}  {fault.place}: {fault.told}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        lines.append(f"  and {len(faults) - _SHOWN:,} more: --json tells them all")
    return "\n".join(lines) + left_out


def _layout(ledgers_per_file: int | None, files_per_partition: int | None) -> Layout | None:
    if ledgers_per_file is None and files_per_partition is None:
        return None
    return replace(
        Layout(),
        ledgers_per_file=ledgers_per_file or Layout().ledgers_per_file,
        files_per_partition=files_per_partition or Layout().files_per_partition,
    )
