"""`stellarrow backfill`: an extraction by many workers, here or on a cluster."""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any, Final

import click

from stellarrow.backfilling.backfill import ENGINES, BackfillReport, backfill
from stellarrow.cli import signals
from stellarrow.cli.options import list_option
from stellarrow.cli.output import formatting
from stellarrow.cli.output.said import say
from stellarrow.config import Extract, find_file, read
from stellarrow.errors import ConfigError

_EXAMPLE: Final = (
    "\b\nExample:\n  stellarrow backfill ./lake --tables contract_events --ledgers 58752000:+64000 \\\n"
    "    --to parquet:./out --workers 8"
)


@click.command(short_help="Extract a long range by many workers.", epilog=_EXAMPLE)
@click.argument("source", required=False)
@click.option("--engine", type=click.Choice(ENGINES), default="local", show_default=True, help="Who works.")
@click.option("--workers", type=click.IntRange(min=1), help="How many at once; one a processor by default.")
@click.option(
    "--address", metavar="ADDRESS", help="The cluster of ray or spark, such as auto or spark://HOST:7077."
)
@list_option("--tables", metavar="LIST", help="Tables, as name or name@version, or all.")
@list_option("--ledgers", metavar="RANGES", help="A:B, A:+N, 2024-07-01:+1d, or a list; all by default.")
@click.option("--to", multiple=True, metavar="SINK", help="Where to.  [./stellarrow-data]")
@click.option("--network", metavar="NAME", help="pubnet, testnet, futurenet or a passphrase.")
@click.option("--where", metavar="SQL", help="Only rows of which this SQL condition is true.")
@click.option("--config", metavar="FILE", help="Settings in TOML.  [./stellarrow.toml]")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def command(
    engine: str, workers: int | None, address: str | None, config: str | None, as_json: bool, **flags: Any
) -> int:
    """Extract tables from SOURCE, which every worker must reach, into sinks that every worker must reach.

    What is missing is cut into tasks where sinks begin files. A worker that is lost is replaced, and the same
    command line continues from what is durable.
    """
    given = {name: None if flag == () else flag for name, flag in flags.items()}
    settings = read(Extract, given, file=find_file(config))
    if not settings.tables:
        raise ConfigError("no table is named: give --tables, such as contract_events, or all")
    if not settings.source:
        raise ConfigError("no source is named: give a path or a URL that every worker reaches")
    # Engines tell of workers that they lost on stdout, which is the report's alone.
    with signals.stopping() as stop, redirect_stdout(sys.stderr):
        report = backfill(
            settings.source,
            tables=settings.tables,
            sinks=settings.to,
            network=settings.network,
            ledgers=settings.ledgers,
            engine=engine,
            workers=workers,
            address=address,
            stop=stop.event,
            progress=None if as_json else _progressed,
            where=settings.where,
            transfers=settings.transfers,
            decoded=settings.decoded,
        )
    say(json.dumps(asdict(report)) if as_json else _summary(report))
    return stop.exit_code if report.stopped else 0


def _progressed(report: BackfillReport) -> None:
    rest = report.eta_seconds
    share = report.ledgers / report.total
    say(
        f"{share:6.1%}  {formatting.count(report.ledgers)} of {formatting.many(report.total, 'ledger')}"
        f"  {formatting.size(report.bytes)} of XDR"
        + (f"  {formatting.seconds(round(rest))} left" if rest is not None and sys.stderr.isatty() else ""),
        err=True,
    )


def _summary(report: BackfillReport) -> str:
    if not report.total:
        return f"nothing to do, {formatting.many(report.skipped, 'ledger')} already there"
    rows = ", ".join(f"{formatting.count(count)} {name}" for name, count in report.rows.items())
    hours = report.cpu_seconds / 3_600
    return (
        f"{formatting.many(report.ledgers, 'ledger')} in {formatting.seconds(report.seconds)}"
        f" ({hours:.3f} core hours), {formatting.size(report.bytes)} of XDR: {rows}"
        + (f"; {formatting.many(report.skipped, 'ledger')} already there" if report.skipped else "")
        + ("; stopped: the same command line continues" if report.stopped else "")
    )
