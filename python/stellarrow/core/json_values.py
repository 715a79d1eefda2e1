"""Values of columns as JSON, put together by Arrow's kernels.

Decimals and 64-bit integers are strings, exact for readers that know only floats; times are ISO 8601, binary
is base64. Strings that hold JSON stay strings.
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

_MOMENT: Final = "%Y-%m-%dT%H:%M:%SZ"
_SECONDS: Final = pa.timestamp("s", "UTC")  # ledgers close on whole ones; to lose anything is an error
# What JSON must escape (RFC 8259, 7). Base64, hex, strkeys and digits never hold it: they are not searched.
_ESCAPED: Final = r'["\\\x00-\x1f]'
_NEVER_ESCAPED: Final = ("_xdr", "_hash", "contract_id", "amount_text", "balance_text")


def named(name: str) -> str:
    """Return a column's name as JSON."""
    return json.dumps(name, ensure_ascii=False)


def value(column: pa.Array, name: str) -> pa.Array:
    """Return a column's values as JSON, null where there is none."""
    kind = column.type
    if pa.types.is_list(kind):
        return _list(column, name)
    if pa.types.is_struct(kind):
        return _object(column)
    if pa.types.is_string(kind):
        return _quoted(_escaped(column, name))
    if pa.types.is_timestamp(kind):
        return _quoted(moments(column))
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _quoted(base64_of(column))
    if pa.types.is_decimal(kind) or kind in (pa.int64(), pa.uint64()):
        return _quoted(column.cast(pa.string()))
    if pa.types.is_floating(kind):  # JSON has no word for what is no number
        return pc.if_else(pc.is_finite(column), column, None).cast(pa.string())
    return column.cast(pa.string())


def _list(column: pa.ListArray, name: str) -> pa.Array:
    texts = value(column.flatten(), name).fill_null("null")
    offsets = pc.subtract(column.offsets, column.offsets[0])
    lists = pa.ListArray.from_arrays(offsets, texts, mask=column.is_null() if column.null_count else None)
    return pc.binary_join_element_wise("[", pc.binary_join(lists, ","), "]", "")


def _object(column: pa.StructArray) -> pa.Array:
    parts: list[Any] = []
    for field, values in zip(column.type, column.flatten(), strict=True):
        parts += [f"{',' if parts else '{'}{named(field.name)}:", value(values, "")]
    texts = pc.binary_join_element_wise(*parts, "}", "", null_handling="replace", null_replacement="null")
    return pc.if_else(column.is_valid(), texts, None)


def _quoted(texts: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise('"', texts, '"', "")


def _escaped(texts: pa.Array, name: str) -> pa.Array:
    if name.endswith(_NEVER_ESCAPED) or not pc.any(pc.match_substring_regex(texts, _ESCAPED)).as_py():
        return texts
    different = texts.dictionary_encode()
    escaped = [one and json.dumps(one, ensure_ascii=False)[1:-1] for one in different.dictionary.to_pylist()]
    return pa.array(escaped, pa.string()).take(different.indices)


def moments(column: pa.Array) -> pa.Array:
    """Write times as ISO 8601; rows of a ledger share one, so each is written once."""
    different = column.dictionary_encode()
    return pc.strftime(different.dictionary.cast(_SECONDS), _MOMENT).take(different.indices)


def base64_of(column: pa.Array) -> pa.Array:
    """Arrow has no kernel for it; only the code of contracts is binary."""
    return pa.array(
        [None if one is None else base64.b64encode(one).decode() for one in column.to_pylist()], pa.string()
    )
