"""An in-memory DuckDB over what extract wrote, or over ledgers as they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stellarrow.cli.query.exact import MACROS, as_arrow_knows, assets, exactly
from stellarrow.cli.query.views import views
from stellarrow.errors import ConfigError, SourceError, StellarrowError
from stellarrow.sql.saved_queries import ready_made

_ARROW: Final = "arrow of "  # before the name of what takes Arrow; the view of it has the name itself


class Database:
    """An in-memory DuckDB that sees each table that was extracted, or whatever takes Arrow, as a view."""

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
        for macro in MACROS:
            self._connection.execute(macro)
        found = dict(views(data)) if isinstance(data, Path) else self._registered(data)
        if not found:
            raise SourceError(f"{data} holds no table: extract something into it first, or name --data")
        self._views: dict[tuple[str, str], str] = {**found}
        self._make_views(found)

    def _registered(self, data: Mapping[str, Any]) -> dict[tuple[str, str], str]:
        """Register what takes Arrow under names of its own, which the views are of."""
        found = {}
        for name, rows in data.items():
            self._connection.register(f"{_ARROW}{name}", rows)
            found["", name] = f"select * from {_quoted(_ARROW + name)}"
        return found

    def _make_views(self, found: dict[tuple[str, str], str]) -> None:
        held = Counter(table for _, table in found)
        made: dict[str, dict[str, str]] = {}
        for (schema, table), select in found.items():
            columns = self._columns(select)
            exact = exactly(table, select, columns)
            if schema:
                self._connection.execute(f"create schema if not exists {_quoted(schema)}")
                self._connection.execute(f"create view {_quoted(schema)}.{_quoted(table)} as {exact}")
            if not schema or held[table] == 1:
                self._connection.execute(f"create view {_quoted(table)} as {exact}")
                made[table] = columns
        if (united := assets(made)) and "assets" not in made:
            self._connection.execute(f"create view assets as {united}")
            self._views["", "assets"] = united

    def _columns(self, select: str) -> dict[str, str]:
        """Return DuckDB's types of a query's columns, by name."""
        described = self._connection.execute(f"describe {select}").fetchall()
        return {name: kind for name, kind, *_ in described}

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
            return pa.RecordBatchReader.from_stream(as_arrow_knows(relation))
        except self._error as error:
            raise self._refused(str(error)) from error

    def _refused(self, reason: str) -> StellarrowError:
        first, _, rest = reason.partition("\n")
        if "does not exist" in first:
            known = ", ".join(f"{schema}.{table}" if schema else table for schema, table in self._views)
            return ConfigError(f"{first.strip()} The tables are: {known}")
        if "HUGEINT" in first or "INT128" in first:
            return ConfigError(
                f"{first.strip()} A sum of amounts may need more digits than a number has:"
                " exact_sum(amount_text) gives it as text"
            )
        hint = rest.strip().splitlines()[0] if rest.strip() else ""
        return ConfigError(f"{first.strip()} {hint}".strip())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
