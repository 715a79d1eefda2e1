"""Rows of token_transfers by the million: payments between many accounts, of assets and contracts."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pyarrow as pa

import stellarrow as sa

ACCOUNTS = 200_000
CONTRACTS = 5_000
LEDGER_ROWS = 500
BATCH_ROWS = 50_000
TABLE = "token_transfers"
BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def letters(number: int) -> str:
    """Return a number as strkeys write it."""
    return "".join(BASE32[number >> shift & 31] for shift in range(30, -5, -5))


def account(at: int) -> str:
    return f"G{letters(at * 7_919 % ACCOUNTS)}{'A' * 48}"


def contract(at: int) -> str:
    return f"C{letters(at * 7_919 % CONTRACTS)}{'A' * 48}"


@cache
def accounts() -> pa.Array:
    return pa.array([account(at) for at in range(ACCOUNTS)])


@cache
def contracts() -> pa.Array:
    return pa.array([contract(at) for at in range(CONTRACTS)])


@cache
def hashes() -> pa.Array:
    """Hashes, in no order, as a chain's are."""
    return pa.array([hashlib.sha256(at.to_bytes(4, "big")).hexdigest() for at in range(ACCOUNTS)])


def generated(count: int, *, first: int, seed: int = 1) -> Iterator[sa.LedgerBatch]:
    """Make batches of a hundred ledgers, five hundred rows each."""
    dice = np.random.default_rng(seed)
    schema = sa.schema(TABLE)
    ledgers = BATCH_ROWS // LEDGER_ROWS
    for at in range(first, first + count // LEDGER_ROWS, ledgers):
        run = sa.LedgerRun(ledgers, at, at + ledgers - 1, 0, 0, "", "", 0, 0)
        yield sa.LedgerBatch(at, at + ledgers - 1, {TABLE: _rows(dice, at, schema)}, run)


def _rows(dice: np.random.Generator, first: int, schema: pa.Schema) -> pa.RecordBatch:
    """Make rows of which accounts and contracts are met as squares of dice: a few often, most hardly ever."""
    n = BATCH_ROWS
    place = np.arange(n)
    sequence = first + place // LEDGER_ROWS
    token = (dice.random(n) ** 6 * CONTRACTS).astype(np.int64)
    closed = np.int64(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6) + sequence * 5_000_000
    amount = dice.integers(1, 10**12, n)
    raw = pa.array(amount)
    columns = {
        "ledger_sequence": pa.array(sequence, pa.uint32()),
        "closed_at": pa.array(closed, pa.timestamp("us", "UTC")),
        "transaction_hash": hashes().take(pa.array(dice.integers(0, ACCOUNTS, n))),
        "from": accounts().take(pa.array((dice.random(n) ** 2 * ACCOUNTS).astype(np.int64))),
        "to": accounts().take(pa.array((dice.random(n) ** 2 * ACCOUNTS).astype(np.int64))),
        "contract_id": contracts().take(pa.array(token)),
        "event_type": pa.array(["transfer"]).take(pa.array(np.zeros(n, np.int64))),
        "asset_code": pa.array([f"T{at:03d}" for at in range(100)]).take(pa.array(token % 100)),
        "asset_issuer": accounts().take(pa.array(token % 100)),
        "amount_raw": raw.cast(schema.field("amount_raw").type),
        "amount_text": raw.cast(pa.string()),
    }
    index = pa.array(place % LEDGER_ROWS, pa.uint32())
    zero = pa.array(np.zeros(n, np.int64))

    def column(field: pa.Field) -> pa.Array:
        if field.name in columns:
            return columns[field.name].cast(field.type)
        if field.nullable:
            return pa.nulls(n, field.type)
        if pa.types.is_string(field.type):
            return pa.array(["none"]).take(zero)
        if pa.types.is_boolean(field.type):
            return pa.array([True]).take(zero)
        return index.cast(field.type)

    return pa.RecordBatch.from_arrays([column(field) for field in schema], schema=schema)
