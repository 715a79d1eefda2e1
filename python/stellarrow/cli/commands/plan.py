"""`stellarrow plan`: which ledgers each shard of an extraction has, and which of them are missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any, Final

import click
from rich.table import Table

from stellarrow import extras, registry
from stellarrow.backfilling.plan import Shard, ledgers_per_part, plan
from stellarrow.cli.extraction import Job
from stellarrow.cli.options import list_option
from stellarrow.cli.output import formatting
from stellarrow.cli.output.page import Page
from stellarrow.cli.output.said import say
from stellarrow.config import Extract, find_file, read
from stellarrow.errors import ConfigError
from stellarrow.ledgers import LedgerSet
from stellarrow.pipeline.commits import covered_ledgers

_EXAMPLE: Final = (
    "\b\nExample:\n  stellarrow plan ./lake --tables contract_events --ledgers 58752000:+100000 --shards 8"
)
_SHOWN: Final = 3  # ranges of a shard


@click.command(short_help="Say how an extraction divides into shards.", epilog=_EXAMPLE)
@click.argument("source", required=False)
@click.option("--shards", type=click.IntRange(min=1), default=8, show_default=True, help="How many.")
@list_option("--tables", metavar="LIST", help="Tables, as name or name@version, or all.")
@list_option("--ledgers", metavar="RANGES", help="A:B, A:+N, 2024-07-01:+1d, or a list; all by default.")
@click.option("--to", multiple=True, metavar="SINK", help="Where to.  [./stellarrow-data]")
@click.option("--network", metavar="NAME", help="pubnet, testnet, futurenet or a passphrase.")
@click.option("--rpc", multiple=True, metavar="URL", help="RPC nodes: alone, or from where SOURCE ends.")
@click.option("--config", metavar="FILE", help="Settings in TOML.  [./stellarrow.toml]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(shards: int, config: str | None, as_json: bool, **flags: Any) -> None:
    """Say which ledgers each shard of an extraction from SOURCE has, and which of them the sinks lack.

    Every `stellarrow extract … --shard I/N` with the same source, sinks and ledgers takes the shard shown
    here, wherever it runs; one that is done has nothing to do.
    """
    settings = read(
        Extract, {name: None if flag == () else flag for name, flag in flags.items()}, file=find_file(config)
    )
    if not settings.tables:
        raise ConfigError("no table is named: give --tables, such as contract_events, or all")
    extras.require("this plan", *registry.extras_of(settings.source, rpc=settings.rpc, sinks=settings.to))
    with ExitStack() as stack:
        opened = stack.enter_context(
            closing(
                registry.open_source(
                    settings.source,
                    rpc=settings.rpc,
                    network=settings.network,
                    endpoint=settings.endpoint,
                    access=settings.access,
                )
            )
        )
        job = Job(opened, settings)
        sinks = [stack.enter_context(closing(job.open_sink(place))) for place in settings.to]
        size = ledgers_per_part(sinks, job.wanted(), shards)
        found = plan(opened, sinks, job.wanted(), covered_ledgers(sinks), shards=shards)
    if as_json:
        say(json.dumps({"ledgers_per_part": size, "shards": [_to_dict(one) for one in found]}))
    else:
        _show(found, size)


def _to_dict(shard: Shard) -> dict[str, Any]:
    return {
        "shard": str(shard.number),
        "ledgers": str(shard.ledgers),
        "ledger_count": shard.ledgers.count,
        "missing": str(shard.missing),
        "missing_ledgers": shard.missing.count,
        "not_in_source": str(shard.absent),
        "stored_bytes": shard.stored_bytes,
    }


def _show(found: Sequence[Shard], size: int) -> None:
    table = Table("shard", "ledgers", box=None, pad_edge=False)
    for name in ("count", "missing", "stored"):
        table.add_column(name, justify="right")
    for one in found:
        stored = "" if one.stored_bytes is None else formatting.size(one.stored_bytes)
        counts = formatting.count(one.ledgers.count), formatting.count(one.missing.count)
        table.add_row(str(one.number), _ranges(one.ledgers), *counts, stored)
    Page(soft_wrap=True).print(table)
    missing = sum(one.missing.count for one in found)
    if absent := LedgerSet(part for one in found for part in one.absent):
        say(f"the source does not have {formatting.ranges(absent)}: an extraction fails there")
    say(f"{formatting.many(missing, 'ledger')} missing, cut where a ledger is a multiple of {size:,}")


def _ranges(ledgers: LedgerSet) -> str:
    shown = ", ".join(str(part) for part in ledgers.ranges[:_SHOWN])
    more = len(ledgers.ranges) - _SHOWN
    return f"{shown}, … ({more:,} more)" if more > 0 else shown or "none"
