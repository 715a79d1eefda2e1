"""Tables: names, versions, schemas and keys."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, partial
from threading import RLock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from weakref import ref

import pyarrow as pa

from stellarrow import _core
from stellarrow.core.arguments import check
from stellarrow.errors import ConfigError, nearest
from stellarrow.filter import Filter
from stellarrow.net.redaction import shortened
from stellarrow.sql import compile_sql

if TYPE_CHECKING:
    from stellarrow.sql.computation import Computation


TYPED: Final = "typed:"  # what the names of typed tables begin with


@dataclass(frozen=True, slots=True)
class Table:
    """One table's name, version and purpose; as text it is `name@version`, which calls take too."""

    name: str
    version: str
    description: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class TypedTable(Table):
    """A table whose columns a contract declares; it is there as long as `maker`, which decodes it.

    The maker is asked for the columns when they are wanted: there may be thousands of tables.
    """

    held: pa.Schema | None
    key: tuple[str, ...]
    maker: Any = None

    @property
    def columns(self) -> pa.Schema:
        """Its columns."""
        found: pa.Schema = self.maker.schema(self.name) if self.held is None else self.held
        return found

    def __str__(self) -> str:
        return self.name


# Sinks and readers find a table by its name alone. These are made for what is read, and end with it; where
# several readers have made tables of one name, the newest that is still there is meant.
_OPENED: Final[dict[str, list[ref[TypedTable]]]] = {}
_OPENING: Final = RLock()  # one that is collected meanwhile asks for it again


def open_typed(opened: Iterable[TypedTable]) -> None:
    """Let typed tables be found by their names, for as long as they live."""
    for one in opened:
        with _OPENING:
            _OPENED.setdefault(one.name, []).append(ref(one, partial(_forget, one.name)))


def _forget(name: str, ended: ref[TypedTable]) -> None:
    with _OPENING:
        held = [one for one in _OPENED.get(name, ()) if one is not ended]
        if held:
            _OPENED[name] = held
        else:
            _OPENED.pop(name, None)


def is_typed(name: str) -> bool:
    """Tell whether a name is that of typed tables."""
    return name.startswith(TYPED)


def folder_of(name: str) -> str:
    """Return the folder a table's files are in: a typed table's name may have any characters."""
    if not is_typed(name):
        return name
    target, _, rest = name.removeprefix(TYPED).partition("/")
    rows, _, last = rest.partition("/")
    return "/".join(filter(None, ("typed", target, rows, quote(last, safe=""))))


def _typed(name: str) -> TypedTable:
    with _OPENING:
        held = [found for one in _OPENED.get(name.removesuffix("@1.0"), ()) if (found := one())]
    if not held:
        raise ConfigError(
            f"the columns of {shortened(name)!r} are not known here: typed tables are made for the ledgers"
            " that are read, by decode, scan, typed, run and extract"
        )
    return held[-1]


def maker_of(name: str) -> Any:
    """Return what decodes a typed table that is known by its name."""
    return _typed(name).maker


def written(columns: pa.Schema) -> str:
    """Write a schema as text, for files that tell of a typed table."""
    return base64.b64encode(columns.serialize()).decode()


def stored_table(name: str, version: str, columns: str) -> Table:
    """Return a table that files tell of; a typed one has its columns, as `written`, beside its name."""
    if not is_typed(name):
        return table(f"{name}@{version}")
    return TypedTable(name, version, "What a contract declares.", as_schema(name, columns), ())


def as_schema(name: str, columns: str) -> pa.Schema:
    """Read a schema that `written` wrote."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(columns)))
    except (pa.ArrowException, ValueError) as error:
        raise ConfigError(f"the columns of {shortened(name)} cannot be read: {error}") from error


def tables() -> list[Table]:
    """Return every table, each version on its own, the newest version of a name last.

    docs/tables has a page for each: its columns, their types and what they mean.
    """
    return [*dict.fromkeys(_by_name().values())]


@cache
def _by_name() -> dict[str, Table]:
    """Return the tables by `name@version`, and the newest of each by its name alone, behind the others."""
    versions = [Table(*row) for row in _core.tables()]
    return {str(one): one for one in versions} | {one.name: one for one in versions}


def table(name: str) -> Table:
    """Return the table meant by `name` or `name@version`; the newest version by default."""
    if is_typed(name):
        return _typed(name)
    if found := _by_name().get(name):
        return found
    known = tables()
    names = list(dict.fromkeys([one.name for one in known] + [str(one) for one in known]))
    remedy = nearest(name, names, f"choose among {', '.join(sorted(names))}", show=repr)
    raise ConfigError(f"there is no table {shortened(name)!r}: {remedy}")


def schema(name: str, *, decoded: bool = False, where: Filter | str | None = None) -> pa.Schema:
    """Return a table's Arrow schema, with all its columns or those that a filter makes.

    Args:
        name: `name` for the newest version, or `name@version`.
        decoded: Whether columns made on request are among them.
        where: A Filter whose `select` makes other columns, or a condition in SQL, which is checked.

    Returns:
        A pyarrow.Schema, the one that decode, scan and every file have. Its metadata has the table's name,
        version and description, each field's the column's description.

    Raises:
        ConfigError: There is no such table, or the SQL does not fit it.
    """
    check(name=name, decoded=decoded)
    return columns_of(table(name), Filter.of(where), decoded=decoded)


def columns_of(meant: Table, where: Filter, *, decoded: bool) -> pa.Schema:
    """Return the Arrow schema of a table, with all its columns or those that a filter makes."""
    if computation := _compiled(meant, where, decoded=decoded):
        return computation.schema
    if isinstance(meant, TypedTable):
        return meant.columns
    made = pa.schema(_core.schema(str(meant), decoded))
    columns = [in_order(field) for field in made]
    return pa.schema(columns, metadata=_ordered(made.metadata))


def compiled(name: str, where: Filter, *, decoded: bool) -> Computation | None:
    """Return what becomes of a table's batches by a filter's SQL, None where it has none."""
    return _compiled(table(name), where, decoded=decoded)


def _compiled(meant: Table, where: Filter, *, decoded: bool) -> Computation | None:
    if not (where.where or where.select):
        return None
    columns = columns_of(meant, Filter(), decoded=decoded)
    return compile_sql(meant.name, columns, where, whole=columns_of(meant, Filter(), decoded=True))


def in_order(field: pa.Field) -> pa.Field:
    """Return a field whose metadata has an order.

    It comes out of hash maps, in another order each time; what is written from it shall not differ.
    """
    return field.with_metadata(_ordered(field.metadata))


def _ordered(metadata: dict[bytes, bytes] | None) -> dict[bytes, bytes]:
    return dict(sorted((metadata or {}).items()))


def keys(name: str) -> list[str]:
    """Return the columns that together make a table's row unique for ever, on every network by itself.

    A ConfigError where there is no such table.
    """
    meant = table(name)
    return [*meant.key] if isinstance(meant, TypedTable) else _core.keys(str(meant))


def table_names(text: str) -> list[str]:
    """Split a comma list of tables; `all` is the newest version of each."""
    if text.strip() == "all":
        return list(dict.fromkeys(table.name for table in tables()))
    return [name.strip() for name in text.split(",") if name.strip()]
