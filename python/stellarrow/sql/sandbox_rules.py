"""What a stranger's query may be: one SELECT over tables that are named, of functions that only compute.

DESCRIBE and SUMMARIZE of one are such queries too: they answer with rows. EXPLAIN is not: a plan is no rows.

DuckDB's own parser says what the query is made of, so that nothing is read in two ways.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from stellarrow.errors import ConfigError, nearest
from stellarrow.extras import needing
from stellarrow.net.redaction import shortened
from stellarrow.sql.duckdb_errors import sentence

with needing("SQL", "sql"):
    import duckdb

_TABLE_FUNCTIONS: Final = frozenset(("unnest", "range", "generate_series", "json_each", "json_tree"))
# What tells of the machine or of other queries, waits, or has effects.
_SYSTEM: Final = ("duckdb_", "sqlite_", "pg_", "pragma_", "information_schema")
_ALLOWED: Final = "send one SELECT, or DESCRIBE or SUMMARIZE one"
_SPACE: Final = re.compile(r"\A(?:\s|--[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)  # and comments
_WORD: Final = re.compile(r"[A-Za-z]+")
CATALOG: Final = "stellarrow"  # what tables may be qualified with
SCHEMA: Final = "main"
_REFUSED: Final = frozenset(
    (
        *("getenv", "current_setting", "getvariable", "write_log", "nextval", "currval", "sleep_ms"),
        *("json_execute_serialized_sql", "current_database", "current_schemas", "txid_current"),
    )
)


def check(connection: Any, text: str, tables: Iterable[str]) -> list[str]:
    """Refuse, as ConfigError, a query that is more than a SELECT over these tables; return those it names."""
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise ConfigError(sentence(error)) from error
    if len(statements) != 1:
        raise ConfigError(f"there are {len(statements)} statements: {_ALLOWED}")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise ConfigError(f"{_verb(statements[0].query)} is not allowed here: {_ALLOWED}")
    ((said,),) = connection.execute("select json_serialize_sql(?::varchar)", [text]).fetchall()
    parsed = json.loads(said)
    if parsed.get("error"):
        raise ConfigError(f"the query cannot be checked ({parsed.get('error_message')}): send one SELECT")
    return _check_nodes(parsed, {name.lower(): name for name in tables})


def _verb(text: str) -> str:
    """Return the word that a statement begins with: INSTALL and LOAD, and others, are one kind to DuckDB."""
    begun = _SPACE.sub("", text, count=1)
    word = _WORD.match(begun)
    return word[0].upper() if word else "this statement"


def _check_nodes(parsed: Any, tables: dict[str, str]) -> list[str]:
    nodes = [*_nodes(parsed)]
    named = {str(one["key"]).lower() for node in nodes for one in _ctes(node)}
    if hidden := sorted(name for name in named if name.startswith(_SYSTEM)):
        # Elsewhere in the query the same name would mean DuckDB's own view.
        raise ConfigError(f"WITH {shortened(hidden[0])} has a name of DuckDB's own: choose another")
    for node in nodes:
        kind = node.get("type")
        if kind == "TABLE_FUNCTION":
            _check_table_function(str(node["function"].get("function_name", "")))
        elif kind == "BASE_TABLE":
            _check_table(node, tables, named)
        elif kind == "SHOW_REF" and not node.get("query"):
            raise ConfigError("SHOW is not allowed here: DESCRIBE or SUMMARIZE a table")
        elif node.get("class") == "FUNCTION" and str(node.get("function_name", "")).lower() in _REFUSED:
            raise ConfigError(f"{node['function_name']}() is not allowed here: leave it out")
    read = {str(node.get("table_name", "")).lower() for node in nodes if node.get("type") == "BASE_TABLE"}
    return [name for lowered, name in tables.items() if lowered in read]


def _check_table_function(name: str) -> None:
    if name.lower() not in _TABLE_FUNCTIONS:
        known = ", ".join(sorted(_TABLE_FUNCTIONS))
        raise ConfigError(f"{shortened(name)}() is not allowed behind FROM: the functions there are {known}")


def _check_table(node: dict[str, Any], tables: dict[str, str], named: set[str]) -> None:
    name = str(node.get("table_name", ""))
    qualifiers = tuple(filter(None, (node.get("catalog_name"), node.get("schema_name"))))
    known = {*tables} if qualifiers else {*tables, *named}
    if qualifiers not in ((), (SCHEMA,), (CATALOG, SCHEMA)) or name.lower() not in known:
        whole = ".".join((*qualifiers, name))
        remedy = nearest(name.lower(), tables, f"there are {', '.join(sorted(tables.values()))}", show=repr)
        raise ConfigError(f"there is no table {shortened(whole)!r}: {remedy}")


def _ctes(node: dict[str, Any]) -> list[Any]:
    held = node.get("cte_map")
    return held.get("map", []) if isinstance(held, dict) else []


def _nodes(parsed: Any) -> Iterator[dict[str, Any]]:
    """Yield every object, without recursion."""
    waiting = [parsed]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
