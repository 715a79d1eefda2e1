"""Which named queries there are, and what they say of a table: found by name, checked against its columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from stellarrow.core.tables import compiled, schema, table
from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter
from stellarrow.net.redaction import shortened
from stellarrow.sql.named import AGGREGATE, ARTICLES, FILTER, PROJECTION, READY_MADE, NamedQuery

if TYPE_CHECKING:
    from stellarrow.sql.aggregation import Aggregation


@lru_cache(maxsize=64)
def _condition(query: NamedQuery, name: str, *, decoded: bool) -> str:
    """Return a filter in SQL of a table's columns: chunk after chunk asks for the same."""
    return query.condition(schema(name, decoded=decoded))


class Catalogue:
    """Every query that has a name: the ready-made ones, and those that were saved."""

    def __init__(self, saved: Iterable[NamedQuery] = ()) -> None:
        """Check saved queries, as ConfigErrors; the ready-made ones are sound."""
        self._queries = [*READY_MADE]
        for one in saved:
            if any(one.name == other.name for other in self._queries):
                known = next(other for other in self._queries if one.name == other.name)
                raise ConfigError(
                    f"{one.origin}: there is a query {one.name} already ({known.origin}): choose another name"
                )
            self._check(one)
            self._queries.append(one)

    def __iter__(self) -> Iterator[NamedQuery]:
        return iter(self._queries)

    def find(self, asked: str | NamedQuery, kind: str, of_table: str | None = None) -> NamedQuery:
        """Return a query of a kind by its name, of a table where one is named; a query is itself."""
        found = [asked] if isinstance(asked, NamedQuery) else self._named(asked, kind)
        of_kind = [one for one in found if one.kind == kind]
        if not of_kind:
            raise ConfigError(f"{found[0].name} is {ARTICLES[found[0].kind]}, not {ARTICLES[kind]}")
        if of_table is None:
            return of_kind[0]
        name = of_table.partition("@")[0]
        for one in of_kind:
            if one.table_name == name:
                return one
        tables = " and ".join(one.table_name for one in of_kind)
        raise ConfigError(f"the {kind} {of_kind[0].name} is of {tables}, not of {name}: ask for {tables}")

    def _named(self, name: str, kind: str) -> list[NamedQuery]:
        if found := [one for one in self._queries if one.name == name]:
            return found
        known = list(dict.fromkeys(one.name for one in self._queries if one.kind == kind))
        others = f"there are {', '.join(known)}" if known else f"save one in section [queries] as a {kind}"
        raise ConfigError(f"there is no {kind} {shortened(name)!r}: {nearest(name, known, others)}")

    def filtered(
        self, where: Filter, asked: str | NamedQuery | None, tables: Sequence[str], *, decoded: bool = False
    ) -> Filter:
        """Return a filter that a named one must agree with, too; every table must be what that is of."""
        if not asked:
            return where
        conditions = {_condition(self.find(asked, FILTER, name), name, decoded=decoded) for name in tables}
        named = conditions.pop()
        return replace(where, where=f"({named}) AND ({where.where})" if where.where else named)

    def projected(
        self, where: Filter, asked: str | NamedQuery | None, tables: Sequence[str], *, decoded: bool = False
    ) -> Filter:
        """Return a filter that makes the columns of a named projection."""
        if not asked:
            return where
        if where.select:
            raise ConfigError("a projection says which columns to make: leave columns and select out")
        made = {self.find(asked, PROJECTION, name).select(schema(name, decoded=decoded)) for name in tables}
        return replace(where, select=made.pop())

    def aggregation(
        self, asked: str | NamedQuery, of_table: str | None = None, *, decoded: bool = False
    ) -> tuple[str, Aggregation]:
        """Return the table that an aggregate is of, as `name@version`, and the aggregate, compiled."""
        found = self.find(asked, AGGREGATE, of_table)
        name = str(table(of_table or found.table))
        return name, found.aggregation(schema(name, decoded=decoded), schema(name, decoded=True))

    def _check(self, query: NamedQuery) -> None:
        try:
            columns = schema(query.table, decoded=True)
            if query.kind == AGGREGATE:
                query.aggregation(columns, columns)
            elif query.kind == FILTER:
                compiled(query.table, Filter(where=query.condition(columns)), decoded=True)
            else:
                compiled(query.table, Filter(select=query.select(columns)), decoded=True)
        except ConfigError as error:
            raise ConfigError(f"{query.origin}: {error}") from error
