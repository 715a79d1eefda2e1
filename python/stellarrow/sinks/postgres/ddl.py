"""Where each table lies in the database, with which columns and indexes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from stellarrow.core.tables import is_typed, keys, schema, table
from stellarrow.core.typed_columns import is_declared
from stellarrow.errors import ConfigError
from stellarrow.sinks.postgres import typed_names

ENTRIES: Final = "contract_data.entries"

# Beside the unique one on the key, by what people look for; {} is the table's name.
_INDEXES: Final = {
    "ledgers": ("(ledger_hash)", "USING brin (closed_at)"),
    "transactions": (
        "(transaction_hash)",
        "(account, ledger_sequence)",
        "(fee_account, ledger_sequence) WHERE fee_account IS NOT NULL",
    ),
    "contract_events": (
        "(contract_id, ledger_sequence)",
        "(event_name, ledger_sequence)",
        "USING brin (closed_at)",
    ),
    "token_transfers": (
        '("from", ledger_sequence) WHERE "from" IS NOT NULL',
        '("to", ledger_sequence) WHERE "to" IS NOT NULL',
        "(contract_id, ledger_sequence)",
        "USING brin (closed_at)",
    ),
    "token_transfer_anomalies": ("(contract_id, ledger_sequence)",),
    "contract_code": ("(contract_code_hash)",),
    "ttl": ("(key_hash, ledger_sequence)",),
    "evictions": ("(ledger_key_hash)",),
}

# Rows that an older release decoded may hold a NUL here, which PostgreSQL's text cannot.
_FREE_TEXT: Final = frozenset(("memo", "to_muxed", "event_name", "asset_code"))


@dataclass(frozen=True, slots=True)
class Layout:
    """One table: `asked` as in the batches, `place` as in the database."""

    asked: str
    name: str
    version: str
    place: str
    key: tuple[str, ...]
    schema: pa.Schema

    @property
    def is_entries(self) -> bool:
        return self.place == ENTRIES

    @property
    def is_typed(self) -> bool:
        return is_typed(self.name)

    @property
    def free_text(self) -> frozenset[str]:
        if self.is_typed:
            return frozenset()
        return frozenset(
            column.name
            for column in self.schema
            if column.name in _FREE_TEXT or column.name.endswith("_json") or column.name == "reason"
        )

    @property
    def exact(self) -> list[tuple[str, str]]:
        """Amounts, each with the text that has them whole where 38 digits do not."""
        if self.is_typed:
            return typed_names.exact_pairs(self.schema)
        pairs = (("balance", "balance_text"), ("amount_raw", "amount_text"))
        return [pair for pair in pairs if pair[0] in self.schema.names]

    @property
    def searched(self) -> str:
        """The columns that queries choose rows by, whose statistics are worth their time."""
        wide = ("_xdr", "_json", "_text", "transaction_hash")
        return ", ".join(
            _quoted(field)
            for field in self.schema
            if field.name in self.key or not (field.name.endswith(wide) or is_declared(field))
        )

    def ddl(self) -> list[str]:
        """Return the statements that make the table."""
        columns = ",\n    ".join(_column(field) for field in self.schema)
        made = [f"CREATE TABLE {self.place} (\n    {columns}\n) PARTITION BY RANGE (ledger_sequence)"]
        key = ", ".join(f'"{name}"' for name in self.key)
        made.append(f"CREATE UNIQUE INDEX ON {self.place} ({key}) NULLS NOT DISTINCT")
        made += [f"CREATE INDEX ON {self.place} {on}" for on in self._indexes]
        return made

    @property
    def _indexes(self) -> tuple[str, ...]:
        if not self.is_typed:
            return _INDEXES.get(self.name, ())
        by_key = ("(ledger_key_hash, ledger_sequence)",) if "ledger_key_hash" in self.schema.names else ()
        return (*by_key, "USING brin (closed_at)")

    def partition(self, first: int) -> str:
        """Name the partition that begins with a ledger."""
        return f"{self.place}_{first}"


def layout(asked: str) -> Layout:
    """Say where a table, as named in a run, lies."""
    meant = table(asked)
    key = tuple(keys(asked))
    if is_typed(asked):
        return Layout(asked, meant.name, meant.version, typed_names.place_of(meant.name), key, schema(asked))
    if meant.name == "contract_data" and meant.version == "1.0":
        raise ConfigError(
            f"PostgreSQL does not keep {meant}, whose rows name no transaction: ask for contract_data"
        )
    place = ENTRIES if meant.name == "contract_data" else f"stellar.{meant.name}"
    return Layout(asked, meant.name, meant.version, place, key, schema(asked, decoded=True))


def layouts(tables: Sequence[str]) -> list[Layout]:
    """Say where all tables of a run lie."""
    found: dict[str, Layout] = {}
    for asked in tables:
        one = layout(asked)
        clash = found.get(one.place)
        if clash and clash.name != one.name:
            raise ConfigError(
                f"{clash.asked} and {asked} would both be {one.place} in PostgreSQL: leave one of them out"
            )
        if clash:
            raise ConfigError(f"{clash.asked} and {asked} are the same table: name it once")
        found[one.place] = one
    return list(found.values())


def _column(field: pa.Field) -> str:
    needed = "" if field.nullable or field.name.endswith("_json") else " NOT NULL"
    return f"{_quoted(field)} {sql_type(field)}{needed}"


def _quoted(field: pa.Field) -> str:
    name = typed_names.column_name(field.name) if is_declared(field) else field.name
    return '"' + name.replace('"', '""') + '"'


def sql_type(field: pa.Field) -> str:
    """Return PostgreSQL's type of a column."""
    kind = field.type
    if is_declared(field):
        return typed_names.sql_type(field)
    if pa.types.is_list(kind):
        return 'text[] COLLATE "C"'
    if pa.types.is_string(kind):
        # Bytes in order: half the cost of a language's rules, and the same on every server.
        return "json" if field.name.endswith("_json") else 'text COLLATE "C"'
    if pa.types.is_decimal(kind):
        return "numeric(39, 0)"  # an i128 has up to 39 digits
    return _TYPES[str(kind)]


_TYPES: Final = {
    "bool": "boolean",
    "uint32": "bigint",
    "int64": "bigint",
    "binary": "bytea",
    "timestamp[us, tz=UTC]": "timestamptz",
}
