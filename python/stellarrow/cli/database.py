"""An in-memory DuckDB over what extract wrote, or over ledgers as they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from stellarrow.errors import ConfigError, SourceError, StellarrowError
from stellarrow.ledgers import LedgerRange
from stellarrow.queries import ready_made
from stellarrow.sinks.files.layout import MANIFEST, named_range, superseded, trusted


class Database:
    """An in-memory DuckDB that sees each folder of Parquet files, or whatever takes Arrow, as a view."""

    def __init__(self, data: Path | Mapping[str, Any]) -> None:
        try:
            import duckdb  # noqa: PLC0415  an extra
        except ImportError as error:
            raise ConfigError("sql needs DuckDB: pip install 'stellarrow[sql]'") from error
        self._error = duckdb.Error
        self._connection = duckdb.connect(":memory:")
        # Nothing is fetched from the network on the sly.
        self._connection.execute("set autoinstall_known_extensions = false")
        self._connection.execute("set timezone = 'UTC'")
        if not isinstance(data, Path):
            self._views: dict[tuple[str, str], Path | None] = {("", name): None for name in data}
            for name, rows in data.items():
                self._connection.register(name, rows)
            return
        found = dict(_views(data))
        if not found:
            raise SourceError(
                f"{data} holds no Parquet file: extract something into it first, or name --data"
            )
        self._views = {**found}
        self._make_views(found)

    def _make_views(self, found: dict[tuple[str, str], Path]) -> None:
        held = Counter(table for _, table in found)
        for (schema, table), folder in found.items():
            select = _select(folder)
            if schema:
                self._connection.execute(f"create schema if not exists {_quoted(schema)}")
                self._connection.execute(f"create view {_quoted(schema)}.{_quoted(table)} as {select}")
            if not schema or held[table] == 1:
                self._connection.execute(f"create view {_quoted(table)} as {select}")

    def tables(self) -> list[str]:
        """Return every table's name, qualified where that is needed."""
        held = Counter(table for _, table in self._views)
        return [
            table if not schema or held[table] == 1 else f"{schema}.{table}" for schema, table in self._views
        ]

    def words(self) -> list[str]:
        """Return what a query may be made of: names of tables and columns, keywords, functions."""
        found = self._connection.execute(
            "select distinct column_name from information_schema.columns"
            " union select keyword_name from duckdb_keywords()"
            " union select function_name from duckdb_functions() where function_name similar to '[a-z_]+'"
        )
        return [*self.tables(), *(name for (name,) in found.fetchall())]

    def rows(self, query: str) -> pa.RecordBatchReader:
        """Answer a query, or the ready-made one that @NAME names."""
        try:
            relation = self._connection.sql(ready_made(query))
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
    folders = {_table_folder(path.parent) for path in data.rglob("*.parquet")}
    for folder in sorted(folders):
        parents = folder.relative_to(data).parts[:-1]
        yield ("_".join(parents), folder.name), folder


def _table_folder(folder: Path) -> Path:
    """Return the table's folder that a folder of files is or, being a partition, lies in."""
    return folder.parent if "=" in folder.name else folder


def _select(folder: Path) -> str:
    """Select each ledger once: files that were replaced, or that nothing vouches for, may still lie there."""
    partitioned = [path for path in folder.glob("*=*/*.parquet") if named_range(path.name)]
    whole = [path for path in folder.glob("*.parquet") if named_range(path.name)]
    if not partitioned and not superseded(_ranges(whole)):
        return _read([folder / "*.parquet"])
    told = folder.glob(f"{MANIFEST}/*.json") if partitioned else whole
    files = partitioned or whole
    selects = []
    for held, part in trusted(_ranges(told)):
        own = [path for path in files if named_range(path.name) == held]
        within = f" where ledger_sequence between {part.first} and {part.end}" if part != held else ""
        selects += [_read(own) + within] if own else []
    return " union all by name ".join(selects)


def _ranges(paths: Iterable[Path]) -> list[LedgerRange]:
    return [found for path in paths if (found := named_range(path.name))]


def _read(paths: Sequence[Path]) -> str:
    places = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"select * from read_parquet([{places}], hive_partitioning = false)"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
