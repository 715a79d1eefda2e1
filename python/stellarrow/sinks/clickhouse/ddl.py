"""Tables and views: rows with the batch they came in, and views that show those of batches that count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import is_typed, keys
from stellarrow.core.typed_names import short_name
from stellarrow.errors import ConfigError
from stellarrow.sinks.transactional.stored_columns import order_of

BATCH: Final = "_batch"
COMMITS: Final = "stellarrow_commits"
_WINDOW: Final = 10_000  # tokens that are remembered: far more than writers can be at once
# Parts, and their names in the folder, are on the disk before an INSERT is answered.
_DURABLE: Final = "fsync_after_insert = 1, fsync_part_directory = 1"
# Texts of which there are few: stored as numbers, and as fast.
_FEW: Final = frozenset(
    (
        *("contract_key_type", "contract_durability", "asset_type", "change_type", "event_type"),
        *("operation_type", "memo_type", "result_code", "stage", "contract_instance_type", "key_type"),
        *("to_muxed_type",),
    )
)
# What people look for, by a filter that leaves out most of a table.
_SOUGHT: Final = ("contract_id", "ledger_key_hash", "transaction_hash", "account", "from", "to")
_SOUGHT_TYPED: Final = _SOUGHT[:3]  # others may be a contract's own, of any type


def database(name: str) -> Iterator[str]:
    """Yield what makes the database and the list of commits, where they are not there."""
    yield f"CREATE DATABASE IF NOT EXISTS `{name}`"
    yield (
        f"CREATE TABLE IF NOT EXISTS `{name}`.{COMMITS} (seq UInt64, batch UInt64, table String,"
        " firsts Array(UInt32), lasts Array(UInt32), rows UInt64, making String,"
        " committed_at DateTime64(3, 'UTC') DEFAULT now64(3))"
        f" ENGINE = MergeTree ORDER BY (seq, table)"
        f" SETTINGS non_replicated_deduplication_window = {_WINDOW}, {_DURABLE}"
    )


def quoted(value: str) -> str:
    """Return a text as ClickHouse reads it."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def view_name(table: str) -> str:
    """Return what the view of a table is called."""
    return f"typed_{short_name(table)}" if is_typed(table) else table


def rows_name(table: str) -> str:
    """Return what the table behind it is called: no contract has an event that would be called so, too."""
    return f"typed_rows_{short_name(table)}" if is_typed(table) else f"{table}_rows"


def rows_table(database: str, table: str) -> str:
    """Return the name of the table that a view shows."""
    return f"`{database}`.`{rows_name(table)}`"


def create(database: str, table: str, columns: pa.Schema, partition_ledgers: int) -> Iterator[str]:
    """Yield what makes a table, where it is not there; its view is `view`."""
    key = order_of(columns) if is_typed(table) else keys(table)
    order = ", ".join(f"`{name}`" for name in key if name in columns.names)
    made = [f"`{field.name}` {column_type(field)}" for field in columns]
    made.append(f"{BATCH} UInt64 CODEC(Delta, ZSTD(1))")
    made += [
        f"INDEX `by_{name}` `{name}` TYPE bloom_filter(0.01) GRANULARITY 2"
        for name in (_SOUGHT_TYPED if is_typed(table) else _SOUGHT)
        if name in columns.names
    ]
    yield (
        f"CREATE TABLE IF NOT EXISTS {rows_table(database, table)} ({', '.join(made)})"
        f" ENGINE = MergeTree PARTITION BY intDiv(ledger_sequence, {partition_ledgers})"
        f" ORDER BY ({order}) SETTINGS allow_nullable_key = 1, {_DURABLE}"
    )


def add_column(database: str, table: str, field: pa.Field) -> str:
    """Return what adds a column that the table's rows lack."""
    return (
        f"ALTER TABLE {rows_table(database, table)} ADD COLUMN IF NOT EXISTS"
        f" `{field.name}` {column_type(field)}{'' if is_typed(table) else ' AFTER ledger_sequence'}"
    )


def view(database: str, table: str, names: Sequence[str], *, anew: bool = False) -> str:
    """Return what makes the view of a table: rows of batches that were committed."""
    shown = ", ".join(f"`{name}`" for name in names)
    how = "CREATE OR REPLACE VIEW" if anew else "CREATE VIEW IF NOT EXISTS"
    return (
        f"{how} `{database}`.`{view_name(table)}` AS SELECT {shown} FROM {rows_table(database, table)}"
        f" WHERE {committed(database, table)}"
    )


def committed(database: str, table: str) -> str:
    """Return the condition of a table's rows that count."""
    return f"{BATCH} IN (SELECT batch FROM `{database}`.{COMMITS} WHERE table = {quoted(table)})"


_VERSION: Final = (
    "bitShiftLeft(toUInt128(ledger_sequence), 64) + bitShiftLeft(toUInt128(transaction_index), 32)"
    " + change_index AS _version"
)
# What is kept of contract_data, by which key, and of which rows.
_NEWEST: Final = (
    ("current_states_rows", "ledger_key_hash", f"* EXCEPT ({BATCH})", "1"),
    (
        "balances_rows",
        "contract_id, balance_holder",
        "contract_id, balance_holder, balance, balance_text, ledger_sequence, closed_at, deleted",
        "balance_holder IS NOT NULL",
    ),
    (
        "assets_rows",
        "contract_id",
        "contract_id, asset_type, asset_code, asset_issuer, ledger_sequence",
        "asset_type IS NOT NULL",
    ),
)


def states(database: str) -> Iterator[str]:
    """Yield what keeps the newest state of each key, each holder's balance and each contract's asset.

    They are fed as rows are written. Who writes a row twice changes nothing there: the newest wins.
    """
    base = f"`{database}`."
    for name, order, columns, where in _NEWEST:
        source = rows_table(database, "contract_data")
        chosen = f"SELECT {columns}, {_VERSION} FROM {source} WHERE {where}"
        yield (
            f"CREATE TABLE IF NOT EXISTS {base}{name} ENGINE = ReplacingMergeTree(_version)"
            f" ORDER BY ({order}) SETTINGS allow_nullable_key = 1, {_DURABLE} EMPTY AS {chosen}"
        )
        yield f"CREATE MATERIALIZED VIEW IF NOT EXISTS {base}{name}_feed TO {base}{name} AS {chosen}"
    yield (
        f"CREATE VIEW IF NOT EXISTS {base}current_states AS"
        f" SELECT * EXCEPT (_version) FROM {base}current_states_rows FINAL WHERE NOT deleted"
    )
    yield (
        f"CREATE VIEW IF NOT EXISTS {base}rich_list AS SELECT contract_id, asset_code, asset_issuer,"
        " balance_holder, balance, balance_text, ledger_sequence, closed_at"
        f" FROM (SELECT * FROM {base}balances_rows FINAL WHERE NOT deleted) AS held"
        f" LEFT JOIN (SELECT contract_id, asset_code, asset_issuer FROM {base}assets_rows FINAL) AS assets"
        " USING (contract_id)"
    )
    yield (
        f"CREATE VIEW IF NOT EXISTS {base}asset_summary AS SELECT contract_id, any(asset_code) AS asset_code,"
        " any(asset_issuer) AS asset_issuer, countIf(balance > 0) AS holder_count,"
        f" sum(balance) AS total_supply, max(closed_at) AS last_activity FROM {base}rich_list"
        " GROUP BY contract_id"
    )


def column_type(field: pa.Field) -> str:
    """Return ClickHouse's type of a column."""
    if pa.types.is_list(field.type):
        return f"Array({_plain(field, field.type.value_type)})"  # null, which no array can be, is empty there
    plain = _plain(field, field.type)
    if plain == "String" and field.name in _FEW:
        return f"LowCardinality({'Nullable(String)' if field.nullable else 'String'})"
    return f"Nullable({plain})" if field.nullable else plain


_PLAIN: Final = {
    **{f"{sign}int{bits}": f"{sign.upper()}Int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "string": "String",
    "large_string": "String",
    "binary": "String",
    "bool": "Bool",
    "float": "Float32",
    "double": "Float64",
    "date32[day]": "Date32",
}


def _plain(field: pa.Field, kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[kind.unit]
        return f"DateTime64({digits}, 'UTC')"
    if pa.types.is_decimal128(kind) or pa.types.is_decimal256(kind):
        return f"Decimal({kind.precision}, {kind.scale})"
    if plain := _PLAIN.get(str(kind)):
        return plain
    raise ConfigError(
        f"the ClickHouse sink keeps no column such as {field.name}, which is {kind}: leave it out, or write"
        " it to parquet:FOLDER"
    )
