"""What DuckDB is given so that arithmetic neither wraps nor loses digits, and assets have one name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from stellarrow.sql.whole_amounts import AMOUNTS, whole

if TYPE_CHECKING:
    import duckdb

# By DuckDB's name of a type without a sign: one that holds its differences too.
_SIGNED: Final = {"UTINYINT": "bigint", "USMALLINT": "bigint", "UINTEGER": "bigint", "UBIGINT": "hugeint"}

MACROS: Final = (
    # A sum of amounts of any size, from their texts; text as well, because no number holds it.
    "create macro exact_sum(amounts) as sum(amounts::bignum)::varchar",
)

# Numbers that Arrow has no type for: texts, because DuckDB hands them over as others, or as bytes.
_UNKNOWN_TO_ARROW: Final = ("BIGNUM", "UHUGEINT")

_ASSET_TYPE: Final = """case asset_type
    when 'AssetTypeAssetTypeNative' then 'native'
    when 'AssetTypeAssetTypeCreditAlphanum4' then 'credit_alphanum4'
    when 'AssetTypeAssetTypeCreditAlphanum12' then 'credit_alphanum12'
    else asset_type end"""
_NAMES: Final = "contract_id, asset_type, asset_code, asset_issuer"


def exactly(table: str, select: str, columns: Mapping[str, str]) -> str:
    """Return a query of the same rows and columns: whole numbers signed, amounts of 39 digits not null.

    `columns` are DuckDB's types by name.
    """
    replaced = {name: f'"{name}"::{_SIGNED[kind]}' for name, kind in columns.items() if kind in _SIGNED}
    for amount, text in AMOUNTS.items():
        if text in columns and columns.get(amount, "").startswith("DECIMAL"):
            replaced[amount] = whole(amount)
    # What older releases wrote as version 2.0 has the names of version 1.0.
    if table == "contract_data" and {"asset_type", "transaction_index"} <= columns.keys():
        replaced["asset_type"] = _ASSET_TYPE
    if not replaced:
        return select
    said = ", ".join(f'{answer} as "{name}"' for name, answer in replaced.items())
    return f"select * replace ({said}) from ({select})"


def assets(tables: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return a query of the assets that tables prove contracts to be of, None where no table can."""
    known = [
        f"select {', '.join(('contract_id', f'{_ASSET_TYPE} as asset_type', 'asset_code', 'asset_issuer'))}"
        f' from "{table}" where asset_type is not null'
        for table in ("token_transfers", "contract_data")
        if set(_NAMES.split(", ")) <= tables.get(table, {}).keys()
    ]
    return f"select distinct {_NAMES} from ({' union all '.join(known)})" if known else None


def as_arrow_knows(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Return the same rows, with numbers as text that would not pass into Arrow as they are."""
    unknown = [kind in _UNKNOWN_TO_ARROW for kind in map(str, relation.types)]
    if not any(unknown):
        return relation
    places = [f"#{at}{'::varchar' * odd}" for at, odd in enumerate(unknown, 1)]
    names = ('"' + name.replace('"', '""') + '"' for name in relation.columns)
    return relation.project(
        ", ".join(f"{place} as {name}" for place, name in zip(places, names, strict=True))
    )
