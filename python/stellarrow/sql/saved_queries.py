"""Ready-made questions to the tables, by name: SQL files that ship with the package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files

import pyarrow as pa

from stellarrow.errors import ConfigError, nearest
from stellarrow.sql.named import NamedQuery


@dataclass(frozen=True, slots=True)
class Query:
    """A question: its name, what it answers, its SQL over files and over PostgreSQL."""

    name: str
    description: str
    sql: str
    postgres: str


def queries() -> list[Query]:
    """Return every ready-made query, by name."""
    folder = files("stellarrow") / "data" / "queries"
    names = sorted(one.name for one in folder.iterdir() if one.name.endswith(".sql"))
    return [
        Query(
            name.removesuffix(".sql"),
            (sql := (folder / name).read_text("utf-8")).splitlines()[0].removeprefix("-- "),
            sql,
            (folder / "postgres" / name).read_text("utf-8"),
        )
        for name in names
    ]


def ready_made(text: str, *, dialect: str = "duckdb") -> str:
    """Return the SQL of a text: of the query it names as @NAME, else the text itself."""
    if not text.lstrip().startswith("@"):
        return text
    named = query(text.strip()[1:].rstrip("; \t\n"))
    return named.postgres if dialect == "postgres" else named.sql


def is_list(text: str) -> bool:
    """Tell whether a text, which is `@`, asks for the list of ready-made queries."""
    return text.strip().removesuffix(";").strip() == "@"


def listed(named: Iterable[NamedQuery] = ()) -> pa.Table:
    """Return the name and the description of every ready-made question and of named queries, a row each."""
    rows = [{"name": one.name, "description": one.description} for one in queries()]
    rows += [
        {"name": one.name, "description": f"({one.kind} of {one.table}) {one.description or one.expression}"}
        for one in named
    ]
    return pa.Table.from_pylist(rows)


def query(name: str) -> Query:
    """Return the query of a name."""
    known = {one.name: one for one in queries()}
    if name in known:
        return known[name]
    remedy = nearest(name, known, f"there are {', '.join(known)}")
    raise ConfigError(f"there is no query {name!r}: {remedy}")
