"""Ready-made questions to the tables, by name: SQL files that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from stellarrow.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class Query:
    """A question: its name, what it answers, its SQL."""

    name: str
    description: str
    sql: str


def queries() -> list[Query]:
    """Return every ready-made query, by name."""
    folder = files("stellarrow") / "data" / "queries"
    found = [(one.name.removesuffix(".sql"), one.read_text("utf-8")) for one in folder.iterdir()]
    return [Query(name, sql.splitlines()[0].removeprefix("-- "), sql) for name, sql in sorted(found)]


def ready_made(text: str) -> str:
    """Return the SQL of a text: of the query it names as @NAME, else the text itself."""
    return query(text.strip()[1:]).sql if text.lstrip().startswith("@") else text


def query(name: str) -> Query:
    """Return the query of a name."""
    known = {one.name: one for one in queries()}
    if name in known:
        return known[name]
    remedy = nearest(name, known, f"there are {', '.join(known)}")
    raise ConfigError(f"there is no query {name!r}: {remedy}")
