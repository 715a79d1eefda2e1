"""`stellarrow sql`: DuckDB over what extract wrote."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from stellarrow import places, queries
from stellarrow.cli import wording
from stellarrow.errors import ConfigError, SourceError, StellarrowError
from stellarrow.scanning import scan

_SHOWN: Final = 100  # rows of a table on the screen; --csv and --json print all
_WIDTH: Final = 200  # characters where the output is no terminal

_EXAMPLE = """\b
Example:
  stellarrow sql "select contract_id, count(*) from contract_events group by all limit 5"
  stellarrow sql @volume-by-asset --source ./lake --ledgers 58752000:+100"""


@click.command(epilog=_EXAMPLE)
@click.argument("query")
@click.option(
    "--data", default="./stellarrow-data", type=click.Path(path_type=Path), help="[./stellarrow-data]"
)
@click.option("--source", metavar="PLACE", help="Read ledgers there instead of --data, in one pass.")
@click.option("--ledgers", metavar="RANGES", help="Which of them: A:B, A:+N, latest, or a list.")
@click.option("--network", metavar="NAME", help="Of which network they are, where they do not tell.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a row; numbers over 53 bits as text.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header.")
def command(query: str, data: Path, as_json: bool, as_csv: bool, **place: Any) -> None:
    """Run QUERY over the Parquet files below a folder, or over ledgers as they are read.

    A table is called by its name, or FOLDER.NAME where several folders hold one. @NAME runs a query that is
    ready made, @ lists them.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv cannot both be meant: choose one")
    asked = queries.query(query[1:]).sql if query.startswith("@") and query != "@" else query
    database = _Database()
    if query == "@":
        database.see({"queries": pa.Table.from_pylist([asdict(one) for one in queries.queries()])})
        asked = "select name, description from queries"
    elif source := place.pop("source"):
        database.see({name: scan(source, table=name, **place) for name in places.table_names("all")})
    else:
        database.see_files(data)
    rows = database.rows(asked)
    if as_json:
        for row in _each(rows):
            click.echo(json.dumps(dict(zip(rows.schema.names, map(_plain, row), strict=True))))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(rows.schema.names)
        writer.writerows([_text(value) for value in row] for row in _each(rows))
    else:
        _show(rows)


class _Database:
    """An in-memory DuckDB that sees each folder of Parquet files, or whatever takes Arrow, as a view."""

    def __init__(self) -> None:
        try:
            import duckdb  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ConfigError("sql needs DuckDB: pip install 'stellarrow[sql]'") from error
        self._error = duckdb.Error
        self._connection = duckdb.connect(":memory:")
        # Nothing is fetched from the network on the sly.
        self._connection.execute("set autoinstall_known_extensions = false")
        self._connection.execute("set timezone = 'UTC'")
        self._views: dict[tuple[str, str], Path | None] = {}

    def see(self, tables: dict[str, Any]) -> None:
        for name, rows in tables.items():
            self._connection.register(name, rows)
            self._views["", name] = None

    def see_files(self, data: Path) -> None:
        found = dict(_views(data))
        self._views.update(found)
        if not self._views:
            raise SourceError(
                f"{data} holds no Parquet file: extract something into it first, or name --data"
            )
        held = Counter(table for _, table in found)
        for (schema, table), folder in found.items():
            source = str(folder / "*.parquet").replace("'", "''")
            select = f"select * from read_parquet('{source}')"
            if schema:
                self._connection.execute(f"create schema if not exists {_quoted(schema)}")
                self._connection.execute(f"create view {_quoted(schema)}.{_quoted(table)} as {select}")
            if not schema or held[table] == 1:
                self._connection.execute(f"create view {_quoted(table)} as {select}")

    def rows(self, query: str) -> pa.RecordBatchReader:
        try:
            relation = self._connection.sql(query)
            if relation is None:
                raise ConfigError("the query returns no rows: write a select")
            return pa.RecordBatchReader.from_stream(relation)
        except self._error as error:
            raise self._refused(str(error)) from error

    def _refused(self, reason: str) -> StellarrowError:
        first, _, rest = reason.partition("\n")
        if "does not exist" in first:
            known = ", ".join(f"{schema}.{table}" if schema else table for schema, table in self._views)
            return ConfigError(f"{first.strip()} The tables are: {known}")
        hint = rest.strip().splitlines()[0] if rest.strip() else ""
        return ConfigError(f"{first.strip()} {hint}".strip())


def _views(data: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    """Yield (schema, table) and its folder; the schema is the path between, empty right below the data."""
    folders = {path.parent for path in data.rglob("*.parquet")}
    for folder in sorted(folders):
        parents = folder.relative_to(data).parts[:-1]
        yield ("_".join(parents), folder.name), folder


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _each(rows: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in rows:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _plain(value: Any) -> Any:
    """Make a value JSON without losing a digit."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >> 53:
        return str(value)
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value if isinstance(value, int | float | str | None) else _text(value)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return json.dumps(_plain(value)) if isinstance(value, list | dict) else str(value)


def _show(rows: pa.RecordBatchReader) -> None:
    table = Table()
    for column in rows.schema:
        numeric = pa.types.is_integer(column.type) or pa.types.is_decimal(column.type)
        table.add_column(column.name, justify="right" if numeric else "left", overflow="fold")
    total = 0
    for row in _each(rows):
        total += 1
        if total <= _SHOWN:
            table.add_row(*map(_text, row))
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table, highlight=False, markup=False)
    if total > _SHOWN:
        console.print(f"{_SHOWN} of {wording.count(total)} rows; --csv or --json prints all", highlight=False)
