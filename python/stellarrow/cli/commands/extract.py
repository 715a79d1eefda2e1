"""`stellarrow extract`: ledgers out of a source into sinks."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any, Final

import click

from stellarrow import extras, registry
from stellarrow.cli.extraction import Job
from stellarrow.cli.options import Paged, list_option, option
from stellarrow.cli.output.said import say
from stellarrow.config import Extract, find_file, read
from stellarrow.config.settings import settings_of
from stellarrow.core.tables import tables
from stellarrow.errors import ConfigError
from stellarrow.ledgers import KNOWN_NETWORKS

_EXAMPLE: Final = """\b
Example:
  stellarrow extract ./lake --tables contract_events --ledgers 58752000:+1000 --to parquet:./out"""

_ROWS: Final = "Which rows"
_HOW: Final = "How"
_TYPED: Final = "Typed tables"
_ACCESS: Final = "Who we are to sources"
# Heading, and whether it is on the second page only; names are those of config.Extract.
_FILTERS: Final = {
    "contract_ids": (_ROWS, False),
    "asset_codes": (_ROWS, False),
    "asset_issuers": (_ROWS, True),
    "event_names": (_ROWS, False),
    "event_types": (_ROWS, True),
    "accounts": (_ROWS, False),
    "where": (_ROWS, False),
    "filter": (_ROWS, False),
    "select": (_ROWS, False),
    "projection": (_ROWS, True),
}
_CHOICES: Final = {
    "spec": (_TYPED, True),
    "specs": (_TYPED, True),
    "name": (_TYPED, True),
    "on_error": (_HOW, False),
    "transfers": (_HOW, True),
    "rpc_headers": (_ACCESS, True),
    "rpc_token": (_ACCESS, True),
    "source_headers": (_ACCESS, True),
    "source_token": (_ACCESS, True),
    "source_tls": (_ACCESS, True),
    "source_ca": (_ACCESS, True),
    "source_certificate": (_ACCESS, True),
    "source_key": (_ACCESS, True),
    "rpc_ca": (_ACCESS, True),
    "rpc_certificate": (_ACCESS, True),
    "rpc_key": (_ACCESS, True),
    "instance_credentials": (_ACCESS, True),
    "endpoint": (_HOW, True),
    "fetchers": (_HOW, True),
    "workers": (_HOW, True),
    "budget_mb": (_HOW, True),
    "commit_every": (_HOW, True),
    "shard": (_HOW, True),
    "state_dir": (_HOW, True),
}


def _declared(function: Callable[..., None]) -> Callable[..., None]:
    """Give a flag to the settings that need nothing but one."""
    for name, (section, rare) in reversed({**_FILTERS, **_CHOICES}.items()):
        setting = settings_of(Extract)[name]
        default = f"  [{setting.default}]" if setting.default else ""
        declare = list_option if setting.kind.is_list else option
        function = declare(
            "--" + name.replace("_", "-"),
            name,
            metavar=setting.kind.metavar,
            help=setting.help + default,
            section=section,
            rare=rare,
        )(function)
    return function


def _tables(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:  # noqa: ARG001  click gives it
    """Complete the last of a list of tables."""
    before, comma, last = begun.rpartition(",")
    names = dict.fromkeys(one.name for one in tables())
    return [f"{before}{comma}{name}" for name in (*names, "all") if name.startswith(last)]


def _networks(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:  # noqa: ARG001  click gives it
    return [network.name for network in KNOWN_NETWORKS if network.name.startswith(begun)]


@click.command(cls=Paged, epilog=_EXAMPLE, short_help="Bring tables out of ledgers into files or a database.")
@click.argument("source", required=False)
@option("--rpc", multiple=True, metavar="URL", help="RPC nodes: alone, or from where SOURCE ends.")
@list_option(
    "--tables", metavar="LIST", help="Tables, as name or name@version, or all.", shell_complete=_tables
)
@list_option(
    "--ledgers",
    metavar="RANGES",
    help="A:B, A:+N, A:, :B, latest, 2024-07-01:+1d, -1d:, or a list; all by default.",
)
@option(
    "--to",
    multiple=True,
    metavar="SINK",
    help=f"{registry.sink_forms()}.  [./stellarrow-data]",
)
@option(
    "--network", metavar="NAME", help="pubnet, testnet, futurenet or a passphrase.", shell_complete=_networks
)
@_declared
@option(
    "--no-deleted",
    "include_deleted",
    flag_value="false",
    section=_ROWS,
    rare=True,
    help="No removed entries.",
)
@option("--decoded", flag_value="true", section=_HOW, help="Add values as JSON, code and its interface.")
@option(
    "--no-verify-chain",
    "verify_chain",
    flag_value="false",
    section=_HOW,
    rare=True,
    help="Take ledgers whose hashes do not link.",
)
@option(
    "--verify-hashes",
    flag_value="true",
    section=_HOW,
    rare=True,
    help="Check transactions and results against headers.  [over a network]",
)
@option(
    "--no-verify-hashes",
    "verify_hashes",
    flag_value="false",
    section=_HOW,
    rare=True,
    help="Do not, not even over a network.",
)
@option(
    "--verify",
    is_flag=True,
    section=_HOW,
    help="Compare row counts in the sinks with the source.",
)
@option("--dry-run", is_flag=True, section=_HOW, help="Say what would be done, and how long.")
@option("--config", metavar="FILE", section=_HOW, help="Settings in TOML.  [./stellarrow.toml]")
@option("--json", "as_json", is_flag=True, section=_HOW, help="Print the report as JSON.")
def command(config: str | None, verify: bool, dry_run: bool, as_json: bool, **flags: Any) -> int:
    """Extract tables from SOURCE: a path, a glob, a URL, - for stdin, or LAKE,RPC.

    What is already there is not done again: after an interruption the same command line continues.
    """
    given = {name: None if flag == () else flag for name, flag in flags.items()}
    settings = read(Extract, given, file=find_file(config))
    if not settings.tables:
        raise ConfigError("no table is named: give --tables, such as contract_events, or all")
    expressions = (settings.where, settings.select, settings.filter, settings.projection)
    in_sql = ["sql"] if any(expressions) else []
    needed = registry.extras_of(settings.source, rpc=settings.rpc, sinks=settings.to)
    extras.require("this extract", *needed, *in_sql)
    registry.check_apart(settings.to)
    with ExitStack() as stack:
        opened = stack.enter_context(
            closing(
                registry.open_source(
                    settings.source,
                    rpc=settings.rpc,
                    network=settings.network,
                    endpoint=settings.endpoint,
                    fetchers=settings.fetchers,
                    access=settings.access,
                )
            )
        )
        job = Job(opened, settings)
        sinks = [stack.enter_context(closing(job.open_sink(place))) for place in settings.to]
        job.choose_shard(sinks)
        done = job.estimate(sinks) if dry_run else job.verify(sinks) if verify else job.run(sinks)
    say(json.dumps(done.report) if as_json else done.told)
    return done.exit_code
