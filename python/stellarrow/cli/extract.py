"""`stellarrow extract`: ledgers out of a source into sinks."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from tempfile import TemporaryDirectory
from typing import Any

import click

from stellarrow import pipeline, places
from stellarrow.cli import meter, wording
from stellarrow.commits import covered_ledgers
from stellarrow.decode import table
from stellarrow.errors import ConfigError
from stellarrow.filter import Filter
from stellarrow.ledgers import LedgerRange, LedgerSet, Network
from stellarrow.protocols import Sink
from stellarrow.sources.files import FileSource

_SAMPLE = 16  # ledgers that --dry-run extracts into a temporary folder to foretell the time

_EXAMPLE = """\b
Example:
  stellarrow extract './lake' --tables contract_data,contract_events --ledgers 58752000:+1000 \\
    --to parquet:./out --network pubnet"""


def _listed(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:  # noqa: ARG001
    return tuple(value.strip() for value in text.split(",") if value.strip())


def _filters(function: Callable[..., None]) -> Callable[..., None]:
    listed: dict[str, Any] = {"default": "", "callback": _listed, "metavar": "LIST"}
    for option, told in (
        ("--accounts", "Only transfers from or to one of these (G…, M…, C…, B…, L…)."),
        ("--event-types", "Only events of these types: contract, system; transfers: mint, payment …"),
        ("--event-names", "Only events whose first topic is one of these symbols."),
        ("--asset-issuers", "Only rows of assets of these issuers."),
        ("--asset-codes", "Only rows of these assets: CODE, CODE:ISSUER or native."),
        ("--contract-ids", "Only rows of these contracts (C…)."),
    ):
        function = click.option(option, help=told, **listed)(function)
    return function


@click.command(epilog=_EXAMPLE)
@click.argument("source", required=False)
@click.option("--rpc", multiple=True, metavar="URL", help="RPC nodes: alone, or from where SOURCE ends.")
@click.option("--tables", required=True, metavar="LIST", help="Names, NAME@VERSION, or all.")
@click.option("--ledgers", metavar="RANGES", help="A:B, A:+N, A:, :B, A, latest, or a list.")
@click.option(
    "--to",
    multiple=True,
    metavar="SINK",
    help="parquet:FOLDER or postgres://…; may be repeated.  [./stellarrow-data]",
)
@click.option("--network", metavar="NAME", help="pubnet, testnet, futurenet or a passphrase.")
@_filters
@click.option("--no-deleted", is_flag=True, help="Leave rows of removed entries out.")
@click.option("--decoded", is_flag=True, help="Add values as JSON, code and its interface.")
@click.option(
    "--transfers",
    type=click.Choice(["derive", "unified"]),
    default="derive",
    help="Where token_transfers come from.",
)
@click.option("--no-verify-chain", is_flag=True, help="Take ledgers whose hashes do not link.")
@click.option("--workers", type=click.IntRange(1), help="Decoding threads; one a core by default.")
@click.option("--budget-mb", type=click.IntRange(1), default=64, help="Memory for ledgers in flight.  [64]")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and how long.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    source: str | None,
    tables: str,
    to: Sequence[str],
    network: str | None,
    rpc: Sequence[str],
    **options: Any,
) -> None:
    """Extract tables from SOURCE: a path, a glob, a URL, - for stdin, or LAKE,RPC.

    What is already there is not done again: after an interruption the same command line goes on.
    """
    names = places.table_names(tables)
    for name in names:
        table(name)
    with ExitStack() as stack:
        opened = stack.enter_context(closing(places.open_source(source, rpc=rpc, network=network)))
        job = _Job(opened, names, places.find_network(opened, network), _where(options), options)
        sinks = [
            stack.enter_context(closing(job.open_sink(place)))
            for place in to or ("parquet:./stellarrow-data",)
        ]
        told = job.foretell(sinks) if options["dry_run"] else job.run(sinks)
    click.echo(json.dumps(told) if options["as_json"] else told.pop("told"))


def _where(options: dict[str, Any]) -> Filter | None:
    fields = ("contract_ids", "asset_codes", "asset_issuers", "event_names", "event_types", "accounts")
    where = Filter(**{name: options[name] for name in fields}, include_deleted=not options["no_deleted"])
    return where if str(where) else None


class _Job:
    """One extraction, as it was asked for."""

    def __init__(
        self,
        source: Any,
        tables: list[str],
        network: Network,
        where: Filter | None,
        options: dict[str, Any],
    ) -> None:
        self.source = source
        self.tables = tables
        self.network = network
        self.where = where
        self.decoded: bool = options["decoded"]
        self.transfers: str = options["transfers"]
        self._ledgers: str | None = options["ledgers"]
        self._verify_chain = not options["no_verify_chain"]
        self._workers: int | None = options["workers"]
        self._budget_mb: int = options["budget_mb"]

    def open_sink(self, place: str) -> Sink:
        return places.open_sink(
            place,
            self.tables,
            network=self.network,
            where=self.where,
            decoded=self.decoded,
            transfers=self.transfers,
            expected=lambda: pipeline.wanted_ledgers(self.source, self._ledgers),
        )

    def run(self, sinks: Sequence[Sink]) -> dict[str, Any]:
        with meter.shown("extract") as progress:
            report = self._bring(sinks, self._ledgers, progress)
        return {
            "told": _told(report),
            "ledgers": report.ledgers,
            "bytes": report.bytes,
            "rows": report.rows,
            "seconds": round(report.seconds, 3),
            "skipped": report.skipped,
            "ranges": str(report.ranges),
            "gaps": str(report.gaps),
        }

    def _bring(
        self, sinks: Sequence[Sink], ledgers: LedgerSet | str | None, progress: meter.Report | None
    ) -> pipeline.Report:
        return pipeline.run(
            self.source,
            tables=self.tables,
            sinks=sinks,
            network=self.network,
            ledgers=ledgers,
            where=self.where,
            decoded=self.decoded,
            transfers=self.transfers,
            verify_chain=self._verify_chain,
            workers=self._workers,
            budget_mb=self._budget_mb,
            progress=progress,
        )

    def foretell(self, sinks: Sequence[Sink]) -> dict[str, Any]:
        """Say what run would do; the time comes from extracting the first ledgers into a temporary folder."""
        if not isinstance(self.source, FileSource):
            raise ConfigError("--dry-run reads ahead in files only: leave it out, or save the ledgers first")
        held = self.source.available()
        wanted = pipeline.wanted_ledgers(self.source, self._ledgers)
        if pipeline.is_open(wanted):
            wanted &= LedgerSet([LedgerRange(0, held.last)])
        missing = wanted - covered_ledgers(sinks)
        absent = missing - held
        stored = self.source.stored_bytes(missing)
        eta = self._sampled(missing - absent) if missing - absent else 0.0
        foretold = {
            "ledgers": missing.count,
            "stored_bytes": stored,
            "skipped": (wanted - missing).count,
            "missing": str(absent),
            "eta_seconds": round(eta, 1),
        }
        told = [
            f"would extract {wording.many(missing.count, 'ledger')}"
            + (f" ({wording.ranges(missing)})" if missing else "")
            + f", {wording.size(stored)} stored, in about {wording.seconds(eta)}",
            f"already there: {wording.many((wanted - missing).count, 'ledger')}",
        ]
        if absent:
            told.append(f"missing in the source: {wording.ranges(absent)}")
        return {"told": "\n".join(told), **foretold}

    def _sampled(self, missing: LedgerSet) -> float:
        first = missing.ranges[0]
        sample = LedgerSet([LedgerRange(first.first, min(first.end, first.first + _SAMPLE - 1))])
        with (
            TemporaryDirectory() as folder,
            closing(self.open_sink(f"parquet:{folder}")) as sink,
        ):
            report = self._bring([sink], sample, None)
        return report.seconds * missing.count / max(1, report.ledgers)


def _told(report: pipeline.Report) -> str:
    skipped = f", {wording.many(report.skipped, 'ledger')} already there" if report.skipped else ""
    if not report.ledgers:
        return f"nothing to do{skipped}"
    speed = report.bytes / max(report.seconds, 1e-9) / 1e6
    told = [
        (
            f"{wording.many(report.ledgers, 'ledger')} ({wording.ranges(report.ranges)}) in"
            f" {wording.seconds(report.seconds)}, {speed:,.0f} MB/s{skipped}"
        ),
        f"rows: {wording.columns(report.rows)}",
    ]
    if report.gaps:
        told.append(f"not in the source: {wording.ranges(report.gaps)}")
    return "\n".join(told)
