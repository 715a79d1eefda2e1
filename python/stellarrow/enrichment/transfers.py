"""Columns beside those of token_transfers: what a token is called, and amounts with its decimals."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from stellarrow.core.rows import numbers_of, texts_of
from stellarrow.enrichment.instance import Token
from stellarrow.enrichment.tokens import Tokens

TABLE: Final = "token_transfers"
COLUMNS: Final = (
    pa.field("asset_decimals", pa.uint32(), metadata={"description": "How many decimals its amounts have."}),
    pa.field("asset_name", pa.string(), metadata={"description": "What its contract calls it; CODE:ISSUER."}),
    pa.field("asset_symbol", pa.string(), metadata={"description": "Its symbol; CODE of a classic asset."}),
    pa.field(
        "amount",
        pa.string(),
        metadata={"description": "amount_text with the decimals, exact; null where they are unknown."},
    ),
)
# Scalars of Arrow: to make them of Python's texts in each call, Arrow would import pandas (0.3 s).
_NOTHING, _SLASH, _MINUS, _POINT = texts_of(["", "/", "-", "."])
_CLASSIC: Final = 7  # decimals of every classic asset, which its contract says, too
_MOST: Final = 76  # decimals that make sense, of amounts with 39 digits


def enriched_schema(schema: pa.Schema) -> pa.Schema:
    """Return a schema of token_transfers with the columns behind it."""
    return pa.schema([*schema, *COLUMNS], metadata=schema.metadata)


def enriched(rows: pa.RecordBatch, tokens: Tokens) -> pa.RecordBatch:
    """Add the columns to rows of token_transfers."""
    contracts = rows.column("contract_id")
    # A contract's rows are of its asset where they say so, and else of a token of its own.
    keys = pc.binary_join_element_wise(contracts, pc.fill_null(rows.column("asset_type"), _NOTHING), _SLASH)
    encoded = keys.dictionary_encode()
    known = [_token(rows, encoded.indices, at, tokens) for at in range(len(encoded.dictionary))]
    columns = [
        numbers_of(one.decimals for one in known).cast(pa.uint32()).take(encoded.indices),
        texts_of(one.name for one in known).take(encoded.indices),
        texts_of(one.symbol for one in known).take(encoded.indices),
    ]
    found = {one.decimals for one in known}
    amounts = _amounts(rows.column("amount_text"), columns[0], found)
    return pa.RecordBatch.from_arrays([*rows.columns, *columns, amounts], schema=enriched_schema(rows.schema))


def _token(rows: pa.RecordBatch, indices: pa.Array, at: int, tokens: Tokens) -> Token:
    """Return what is known of a token: of a classic asset everything, as its name is what it is."""
    row = pc.index(indices, numbers_of([at]).cast(indices.type)[0]).as_py()
    names = ("contract_id", "asset_type", "asset_code", "asset_issuer")
    contract, kind, code, issuer = (rows.column(name)[row].as_py() for name in names)
    if kind == "native":
        return Token(_CLASSIC, "XLM", "XLM")
    if kind is not None:
        return Token(_CLASSIC, f"{code}:{issuer}", code)
    return tokens.get(contract) or Token()


def _amounts(texts: pa.Array, decimals: pa.Array, found: Iterable[int | None]) -> pa.Array:
    made = pa.nulls(len(texts), pa.string())
    for one in found:
        if one is not None and one <= _MOST:
            are_of = pc.is_in(decimals, numbers_of([one]).cast(decimals.type))
            made = pc.if_else(are_of, scaled(texts, one), made)
    return made


def scaled(texts: pa.Array, decimals: int) -> pa.Array:
    """Write whole numbers with so many decimals, exactly: -5 with 2 is -0.05."""
    if not decimals:
        return texts
    is_negative = pc.starts_with(texts, "-")
    digits = pc.if_else(is_negative, pc.utf8_slice_codeunits(texts, 1), texts)
    padded = pc.ascii_lpad(digits, decimals + 1, "0")
    whole = pc.utf8_slice_codeunits(padded, 0, -decimals)
    part = pc.utf8_slice_codeunits(padded, -decimals)
    sign = pc.if_else(is_negative, _MINUS, _NOTHING)
    return pc.binary_join_element_wise(pc.binary_join_element_wise(sign, whole, _NOTHING), part, _POINT)
