"""What the server is and can do (`GetSqlInfo` of Flight SQL), and its types (`GetXdbcTypeInfo`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import pyarrow as pa

from stellarrow.core.version import __version__

_UNION: Final = pa.dense_union(
    [
        pa.field("string_value", pa.string()),
        pa.field("bool_value", pa.bool_()),
        pa.field("bigint_value", pa.int64()),
        pa.field("int32_bitmask", pa.int32()),
        pa.field("string_list", pa.list_(pa.string())),
        pa.field("int32_to_int32_list_map", pa.map_(pa.int32(), pa.list_(pa.int32()))),
    ]
)
FACTS: Final = pa.schema(
    [pa.field("info_name", pa.uint32(), nullable=False), pa.field("value", _UNION, nullable=False)]
)
_NO_TRANSACTIONS: Final = 0
_CASE_INSENSITIVE: Final = 1
_NULLS_LAST: Final = 3  # whichever the order
_FACTS: Final[dict[int, str | bool | int]] = {
    0: "stellarrow",
    1: __version__,
    2: pa.__version__,  # the version of Arrow
    3: True,  # reads only
    4: True,  # SQL
    5: False,  # Substrait
    8: _NO_TRANSACTIONS,
    9: False,  # cancelling by an action
    500: False,  # CREATE CATALOG
    501: False,  # CREATE SCHEMA
    502: False,  # CREATE TABLE
    503: _CASE_INSENSITIVE,
    504: '"',  # quotes names
    505: _CASE_INSENSITIVE,  # quoted or not
    506: True,  # each table can be selected from
    507: _NULLS_LAST,
    513: "\\",  # escapes % and _
    529: "schema",
    530: "procedure",
    531: "catalog",
}
_CHILDREN: Final[dict[type, int]] = {str: 0, bool: 1, int: 2}
_INT32: Final = pa.int32()
TYPES: Final = pa.schema(
    [
        pa.field("type_name", pa.string(), nullable=False),
        pa.field("data_type", _INT32, nullable=False),
        pa.field("column_size", _INT32),
        pa.field("literal_prefix", pa.string()),
        pa.field("literal_suffix", pa.string()),
        pa.field("create_params", pa.list_(pa.field("item", pa.string(), nullable=False))),
        pa.field("nullable", _INT32, nullable=False),
        pa.field("case_sensitive", pa.bool_(), nullable=False),
        pa.field("searchable", _INT32, nullable=False),
        pa.field("unsigned_attribute", pa.bool_()),
        pa.field("fixed_prec_scale", pa.bool_(), nullable=False),
        pa.field("auto_increment", pa.bool_()),
        pa.field("local_type_name", pa.string()),
        pa.field("minimum_scale", _INT32),
        pa.field("maximum_scale", _INT32),
        pa.field("sql_data_type", _INT32, nullable=False),
        pa.field("datetime_subcode", _INT32),
        pa.field("num_prec_radix", _INT32),
        pa.field("interval_precision", _INT32),
    ]
)
# A name of DuckDB's, the number that XDBC gives it, digits or characters at most, and what stands around it.
_TYPES: Final = (
    ("BOOLEAN", -7, 1, None),
    ("TINYINT", -6, 3, None),
    ("SMALLINT", 5, 5, None),
    ("INTEGER", 4, 10, None),
    ("BIGINT", -5, 19, None),
    ("FLOAT", 6, 24, None),
    ("DOUBLE", 8, 53, None),
    ("DECIMAL", 3, 38, None),
    ("DATE", 91, 10, "'"),
    ("TIMESTAMP", 93, 26, "'"),
    ("BLOB", -3, None, "'"),
    ("VARCHAR", 12, None, "'"),
)
_NUMERIC: Final = frozenset((-7, -6, 5, 4, -5, 6, 8, 3))


def facts(asked: Collection[int]) -> pa.Table:
    """Return the facts that are asked for, all where none is; what is not known is left out."""
    chosen = {number: fact for number, fact in _FACTS.items() if not asked or number in asked}
    kinds = [_CHILDREN[type(fact)] for fact in chosen.values()]
    offsets = [kinds[:at].count(kind) for at, kind in enumerate(kinds)]
    values = [[fact for fact in chosen.values() if _CHILDREN[type(fact)] == child] for child in range(6)]
    children = [pa.array(one, _UNION.field(child).type) for child, one in enumerate(values)]
    names = [_UNION.field(child).name for child in range(6)]
    union = pa.UnionArray.from_dense(
        pa.array(kinds, pa.int8()), pa.array(offsets, pa.int32()), children, names
    )
    return pa.Table.from_arrays([pa.array(chosen, pa.uint32()), union], schema=FACTS)


def types(asked: int | None) -> pa.Table:
    """Return the types of columns; one alone where it is asked for."""
    rows = [_type(*one) for one in _TYPES if asked in (None, one[1])]
    return pa.Table.from_pylist(rows, TYPES)


def _type(name: str, number: int, size: int | None, quote: str | None) -> dict[str, Any]:
    is_number = number in _NUMERIC
    return {
        "type_name": name,
        "data_type": number,
        "column_size": size,
        "literal_prefix": quote,
        "literal_suffix": quote,
        "create_params": None,
        "nullable": 1,
        "case_sensitive": not is_number,
        "searchable": 3,
        "unsigned_attribute": False if is_number else None,
        "fixed_prec_scale": False,
        "auto_increment": False if is_number else None,
        "local_type_name": name,
        "sql_data_type": number,
        "num_prec_radix": 10 if is_number else None,
    }
