"""`stellarrow sql`: DuckDB over what extract wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click
import pyarrow as pa

from stellarrow import extras, registry
from stellarrow.cli import standard_streams
from stellarrow.cli.options import Data, LocalPath, list_option
from stellarrow.cli.output import formatting, result_table
from stellarrow.cli.output.said import say
from stellarrow.cli.query import prompt
from stellarrow.cli.query.computed import Asked
from stellarrow.cli.query.database import Database
from stellarrow.cli.query.departing import left_place, scanned_tables
from stellarrow.config import find_file
from stellarrow.config.saved_queries import catalogue
from stellarrow.core.tables import table_names
from stellarrow.errors import LedgerMissing, SourceError
from stellarrow.net.redaction import redacted_url
from stellarrow.scanning import scan
from stellarrow.scanning.spec_places import pairs
from stellarrow.sinks.files.delta_beside import refuse_database
from stellarrow.sql import check_text
from stellarrow.sql.saved_queries import is_list, listed

if TYPE_CHECKING:
    from stellarrow.cli.query.postgres import PostgresDatabase

_EXAMPLE: Final = """\b
Examples:
  stellarrow sql "select contract_id, count(*) from contract_events group by all limit 5"
  stellarrow sql "from token_transfers" --out transfers.parquet
  stellarrow sql @volume-by-asset --source ./lake --ledgers 58752000:+100
  stellarrow sql @volume_by_asset --window 24h --filter successful_payments"""


@click.command(short_help="Ask what was extracted, in SQL.", epilog=_EXAMPLE)
@click.argument("query", required=False)
@click.option(
    "--data",
    default="./stellarrow-data",
    type=Data(),
    metavar="PLACE",
    help="A folder, or a sink such as postgres://… or delta:FOLDER.  [./stellarrow-data]",
)
@click.option("--source", metavar="PLACE", help="Ask ledgers there, as they are read, instead of --data.")
@list_option("--ledgers", metavar="RANGES", help="Which of them: A:B, A:+N, latest, 2024-07-01, or a list.")
@click.option("--network", metavar="NAME", help="Their network, where they do not tell it.")
@click.option("--window", metavar="LENGTH", help="Of @AGGREGATE: 1m, 5m, 1h, 24h or 7d, by close time.")
@click.option(
    "--filter", "named_filter", metavar="NAME", help="Of @NAME: a named filter that must hold, too."
)
@click.option("--config", metavar="FILE", help="Settings in TOML, with saved queries.  [./stellarrow.toml]")
@click.option(
    "--name", "names", multiple=True, metavar="NAME=C…", help="Call a contract's tables typed.NAME_…."
)
@click.option("--out", type=LocalPath(), help="A .parquet, .csv or .jsonl file to write.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row; numbers over 53 bits as text.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header.")
@click.option("--expanded", is_flag=True, help="Row by row, a line for each value, nothing cut.")
def command(
    *,
    query: str | None,
    data: Path | str,
    out: Path | None,
    as_json: bool,
    as_csv: bool,
    expanded: bool,
    names: tuple[str, ...],
    **ledgers: Any,
) -> None:
    """Run QUERY over the tables below a folder, or over ledgers; without one, ask for queries.

    A table is called by its name, or FOLDER.NAME where several folders hold one. postgres://… is asked in its
    own SQL. @NAME is a question that is ready made, @ lists them; or a filter, an aggregate or a projection
    of `stellarrow queries`, saved ones among them. On a terminal a row is a line and long values are cut;
    --expanded, --json, --csv and --out have them whole. Amounts are exact: a sum that 38 digits cannot hold
    is an error.
    """
    if sum((as_json, as_csv, expanded, out is not None)) > 1:
        raise click.UsageError("only one of --json, --csv, --expanded and --out can be meant: choose one")
    check_text(query or "")
    source = ledgers.pop("source")
    known = catalogue(find_file(ledgers.pop("config")))
    if query and is_list(query):
        _show(listed(known).to_reader(), out, as_json=as_json, as_csv=as_csv, expanded=expanded)
        return
    asked = Asked(known, ledgers.pop("window") or "", ledgers.pop("named_filter") or "")
    database = _database(data, source, ledgers, asked, pairs("--name", names))
    if query is None and sys.stdin.isatty():
        prompt.ask(database, expanded=expanded, named=[*known])
        return
    rows = database.rows(sys.stdin.read() if query is None else query)
    _show(rows, out, as_json=as_json, as_csv=as_csv, expanded=expanded)


def _database(
    data: Path | str, source: str | None, ledgers: dict[str, Any], asked: Asked, short: dict[str, str]
) -> Database | PostgresDatabase:
    """Return what the query is about."""
    in_sink = isinstance(data, str) and not source
    in_postgres = in_sink and str(data).startswith("postgres")
    needed = registry.extras_of(None, sinks=[str(data)]) if in_sink else registry.extras_of(source)
    extras.require("sql", *(needed if in_postgres else ("sql", *needed)))
    if source:
        names = table_names("all")
        return Database({name: scan(source, table=name, **ledgers) for name in names}, asked)
    if isinstance(data, str) and not in_postgres:
        found = scanned_tables(data) or _none(data)
        gone = {table: said for table, (_, said) in found.items()}
        return Database({table: rows for table, (rows, _) in found.items()}, asked, short, gone)
    if isinstance(data, str):
        from stellarrow.cli.query.postgres import PostgresDatabase  # noqa: PLC0415  an extra

        return PostgresDatabase(data, asked)
    refuse_database(data)
    return Database(data, asked, short)


def _none(place: str) -> NoReturn:
    """Say what is wrong with a place in which no table was found."""
    if said := left_place(place):
        raise LedgerMissing(f"{redacted_url(place)} holds no table any more: {said}")
    raise SourceError(f"{redacted_url(place)} holds no table: extract something into it first")


def _show(
    rows: pa.RecordBatchReader, out: Path | None, *, as_json: bool, as_csv: bool, expanded: bool
) -> None:
    """Write or print rows as they are asked for."""
    if out:
        written = result_table.write(rows, out)
        say(f"{formatting.many(written, 'row')} in {out}")
    elif as_json:
        result_table.write_json(rows, sys.stdout)
    elif as_csv:
        with standard_streams.exact():
            result_table.write_csv(rows, sys.stdout)
    else:
        result_table.show(rows, expanded=expanded)
