"""An in-memory DuckDB over what extract wrote, or over ledgers as they are read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from stellarrow.cli.query.computed import Asked
from stellarrow.cli.query.contract_state import state_of
from stellarrow.cli.query.departing import lacking, left_place, scanned, warn
from stellarrow.cli.query.exact import MACROS, as_arrow_knows, assets, exactly
from stellarrow.cli.query.interrupting import interrupting
from stellarrow.cli.query.views import View, prove, views
from stellarrow.core.named_queries import Catalogue
from stellarrow.core.tables import folder_of
from stellarrow.errors import ConfigError, LedgerMissing, SourceError, StellarrowError, nearest
from stellarrow.extras import needing
from stellarrow.scanning import Scan
from stellarrow.sinks.files.again import CHANCES, again
from stellarrow.sinks.files.listing import Listing
from stellarrow.sinks.files.proof import held_files, measured
from stellarrow.sql.duckdb_errors import hint_of, reason_of
from stellarrow.sql.saved_queries import ready_made
from stellarrow.storage.files import Gone

_ARROW: Final = "arrow of "  # before the name of what takes Arrow; the view of it has the name itself


class Database:
    """An in-memory DuckDB that sees each table that was extracted, or whatever takes Arrow, as a view."""

    def __init__(
        self,
        data: Path | Mapping[str, Any],
        asked: Asked | None = None,
        names: Mapping[str, str] | None = None,
        gone: Mapping[str, str] | None = None,
    ) -> None:
        """Open it; `gone` says of given tables what left them, in a sentence."""
        with needing("SQL", "sql"):
            import duckdb  # noqa: PLC0415  an extra
        self._error = duckdb.Error
        self._asked = asked or Asked(Catalogue())
        self._short = {contract: name for name, contract in (names or {}).items()}
        self._left = dict(gone or {})
        self._warned: set[str] = set()
        self._given = {} if isinstance(data, Path) else data
        self._connection = duckdb.connect(":memory:")
        # Nothing is fetched from the network on the sly.
        self._connection.execute("set autoinstall_known_extensions = false")
        self._connection.execute("set timezone = 'UTC'")
        for macro in MACROS:
            self._connection.execute(macro)
        self._data = data if isinstance(data, Path) else None
        self._scans = (
            () if isinstance(data, Path) else [one for one in data.values() if isinstance(one, Scan)]
        )
        self._views: list[View] = []
        if not isinstance(data, Path):
            self._views = [self._registered(name, rows) for name, rows in data.items()]
            self._make_views()
            return
        with self._reading():
            if not self._views:
                raise _tableless(data)

    def _registered(self, name: str, rows: Any) -> View:
        """Register what takes Arrow under a name of its own, which the view is of.

        A contract's own table is called as it is where it lies in files.
        """
        self._connection.register(f"{_ARROW}{name}", rows)
        folder, _, table = folder_of(name).rpartition("/")
        view = View(folder.replace("/", "_"), table, query=f"select * from {_quoted(_ARROW + name)}")
        self._left[view.name] = self._left.get(name, "")
        return view

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Look what there is now, and let compaction beside keep it until it was read."""
        if self._data is None:
            yield
            return
        with ExitStack() as kept:
            again(partial(self._look, self._data, kept))
            yield

    def _look(self, data: Path, kept: ExitStack) -> None:
        for view in self._views:
            self._drop(view)
        self._views = views(data, kept)
        self._make_views()

    def _make_views(self) -> None:
        held = Counter(view.table for view in self._views)
        made: dict[str, dict[str, str]] = {}
        for view in self._views:
            columns = self._make(view, alone=not view.schema or held[view.table] == 1)
            if columns and (not view.schema or held[view.table] == 1):
                made[view.table] = columns
        for view in self._views:
            self._make_state(view)
        if "assets" not in held and (united := assets(made)):
            self._views.append(View("", "assets", query=united))
            self._connection.execute(f"create view assets as {united}")

    def _make(self, view: View, *, alone: bool) -> dict[str, str]:
        """Make a table's view, by its name too where it is alone; return DuckDB's types of its columns."""
        if view.error:
            return {}
        try:
            for name, dataset in view.datasets.items():
                self._connection.register(name, dataset)
            described = self._connection.execute(f"describe {view.query}").fetchall()
            columns = {name: kind for name, kind, *_ in described}
            exact = exactly(view.table, view.query, columns)
            if view.schema:
                self._connection.execute(f"create schema if not exists {_quoted(view.schema)}")
                name = f"{_quoted(view.schema)}.{_quoted(view.table)}"
                self._connection.execute(f"create view {name} as {exact}")
            if alone:
                self._connection.execute(f"create view {_quoted(view.table)} as {exact}")
            if short := self._typed_name(view):
                self._connection.execute("create schema if not exists typed")
                self._connection.execute(f"create or replace view typed.{_quoted(short)} as {exact}")
        except self._error as error:  # another program's file, which DuckDB looks into now
            self._refuse_stale([view], error)
            reason = reason_of(error)
            view.error = (_damage(view.listing) if view.listing else None) or SourceError(
                f"{view.name} cannot be read ({reason.rstrip('.')}): repair or remove its files"
            )
            return {}
        return columns

    def _make_state(self, view: View) -> None:
        """Make the view of what holds now beside one of a contract's changes of storage."""
        changes = self._typed_name(view)
        name, storage, case = changes.partition("_storage_")
        if storage and not view.error:
            other = f"{name}_storage__other"
            known = any(self._typed_name(one) == other and not one.error for one in self._views)
            query = state_of(changes, other if known else "")
            state = f"typed.{_quoted(f'{name}_state_{case}')}"
            self._connection.execute(f"create or replace view {state} as {query}")

    def _typed_name(self, view: View) -> str:
        """Return what a contract's table is called in the schema `typed`; empty where it is none."""
        kind, _, rest = view.schema.partition("_")
        contract, _, rows = rest.partition("_")
        if kind != "typed" or not rows:
            return ""
        name = self._short.get(contract, contract)
        return f"{name}_{view.table}" if rows == "events" else f"{name}_{rows}_{view.table}"

    def _drop(self, view: View) -> None:
        self._connection.execute(f"drop view if exists {_quoted(view.table)}")
        if view.schema:
            self._connection.execute(f"drop schema if exists {_quoted(view.schema)} cascade")
        for name in view.datasets:
            self._connection.unregister(name)

    def tables(self) -> list[str]:
        """Return every table's name, qualified where that is needed."""
        held = Counter(view.table for view in self._views)
        return [view.table if held[view.table] == 1 else view.name for view in self._views]

    def schema(self, table: str) -> list[tuple[str, str]]:
        """Return the columns of a table, as `tables` names it, with DuckDB's type of each."""
        known = self.tables()
        if table not in known:
            remedy = nearest(table, known, f"there are {', '.join(known)}")
            raise ConfigError(f"there is no table {table!r}: {remedy}")
        name = ".".join(map(_quoted, table.rsplit(".", 1)))
        described = self.rows(f"select column_name, column_type from (describe {name})").read_all()
        return [(row["column_name"], row["column_type"]) for row in described.to_pylist()]

    def words(self) -> list[str]:
        """Return what a query may be made of: names of tables and columns, keywords, functions."""
        found = self._connection.execute(
            "select distinct column_name from information_schema.columns"
            " union select keyword_name from duckdb_keywords()"
            " union select function_name from duckdb_functions() where function_name similar to '[a-z_]+'"
        )
        return [*self.tables(), *(name for (name,) in found.fetchall())]

    def rows(self, query: str) -> pa.RecordBatchReader:
        """Answer a query, or what @NAME names: a ready-made question, or a named query."""
        if (named := self._asked.named(query)) is not None:
            return self._asked.answer(named, self._rows_of)
        batches = self._answer(ready_made(query))
        return pa.RecordBatchReader.from_batches(next(batches), batches)

    def _rows_of(self, table: str) -> Scan:
        """Return the rows of a table that a named query is of."""
        if self._data is not None:
            made, said = scanned(self._data, table)
            warn(said)
            return made
        found = self._given.get(table.partition("@")[0])
        if not isinstance(found, Scan):
            raise ConfigError(f"there is no table {table!r} here: it has {', '.join(self.tables())}")
        warn(self._left.get(table.partition("@")[0], ""))
        return found

    def _answer(self, query: str) -> Iterator[Any]:
        """Yield the answer's schema, then its rows; look again where files went before there was one."""
        for chance in reversed(range(CHANCES)):
            has_begun = False
            try:
                for one in self._answered(query):
                    has_begun = True
                    yield one
            except Gone:
                if has_begun or not chance:
                    raise
            else:
                return

    def _answered(self, query: str) -> Iterator[Any]:
        before = [held.error for held in self._scans]
        with self._reading(), interrupting(self._connection.interrupt):
            self._prove(query)
            self._warn(query)
            try:
                self._check_one_answer(query)
                relation = self._connection.sql(query)
                if relation is None:
                    raise ConfigError("the query returns no rows: write a select")
                rows = pa.RecordBatchReader.from_stream(as_arrow_knows(relation))
                yield rows.schema
                yield from rows
            except (self._error, pa.ArrowException, OSError) as error:
                self._refuse_stale(self._views, error)
                for held, old in zip(self._scans, before, strict=True):
                    if held.error and held.error is not old:
                        raise held.error from error
                raise self._refused(query, str(error)) from error
            except RuntimeError as error:  # DuckDB was interrupted; the signal itself may be yet to come
                if "nterrupt" not in str(error):
                    raise
                raise KeyboardInterrupt from error

    def _refuse_stale(self, among: Sequence[View], error: Exception) -> None:
        if any(view.is_stale for view in among):
            raise Gone(f"{self._data}: files were merged while they were read: ask again") from error

    def _check_one_answer(self, query: str) -> None:
        before = self._connection.extract_statements(query)[:-1]
        if selects := [one for one in before if one.type.name in ("SELECT", "EXPLAIN")]:
            many = len(selects) + 1
            raise ConfigError(
                f"these are {many} queries, and only the last would be answered: run each by itself"
            )

    def _prove(self, query: str) -> None:
        """Compare files with their digests, of the tables that a query may name."""
        text = query.lower()
        for view in self._views:
            if view.listing and not view.error and (view.table.lower() in text or "assets" in text):
                prove(view.listing)

    def _warn(self, query: str) -> None:
        """Say once of each table that a query names what of it was archived or deleted."""
        words = {word.lower() for word in re.findall(r"\w+", query)}
        for view in self._views:
            if view.table.lower() in words and view.name not in self._warned:
                self._warned.add(view.name)
                known = [one.listing for one in self._views if one.listing]
                warn(lacking(view.listing, known) if view.listing else self._left.get(view.name, ""))

    def _refused(self, query: str, reason: str) -> StellarrowError:
        words = {word.lower() for word in re.findall(r"\w+", query)}
        for view in self._views:
            if view.table.lower() not in words:
                continue
            if damage := view.error or (_damage(view.listing) if view.listing else None):
                return damage
        first = reason_of(reason)
        if "there is no table" in first:
            if self._data is not None and (
                said := left_place(str(self._data), words - {view.table.lower() for view in self._views})
            ):
                return LedgerMissing(f"{self._data} has no such table any more: {said}")
            known = ", ".join(view.name for view in self._views)
            return ConfigError(f"{first} The tables are: {known}")
        if "HUGEINT" in first or "INT128" in first:
            amount = "balance_text" if "balance" in words else "amount_text"
            return ConfigError(
                f"{first} A sum of amounts may need more digits than a number has:"
                f" exact_sum({amount}) gives it as text"
            )
        hint = hint_of(reason) or next((line for line in reason.splitlines()[1:] if line.strip()), "")
        return ConfigError(f"{first} {hint}".strip())


def _tableless(data: Path) -> SourceError:
    """Say what is wrong with a place in which no table was found."""
    if not data.exists():
        return SourceError(f"{data} does not exist: name with --data the folder that extract wrote to")
    if said := left_place(str(data)):
        return LedgerMissing(f"{data} holds no table any more: {said}")
    return SourceError(f"{data} holds no table: extract something into it first, or name another with --data")


def _damage(listing: Listing) -> StellarrowError | None:
    """Return what is wrong with the first file that is damaged."""
    try:
        for held, _, _ in listing.trusted():
            for kept in held_files(listing, held):
                measured(listing, held, kept)
    except StellarrowError as error:
        return error
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
