"""Rows of contract_data by the million: balances of a token of many holders, others, plain storage."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import stellarrow as sa

CONTRACTS = 1_000_000
HOT = 0  # the token that many hold
LEDGER_ROWS = 1_000
BATCH_ROWS = 10_000
VALUE = "AAAAEQAAAAEAAAADAAAADwAAAAZhbW91bnQAAAAAAAoAAAAAAAAAAAAAAAJUC+QAAAAADwAAAAphdXRob3JpemVk" * 2


def contract_id(at: int) -> str:
    return "C" + f"{at * 7_919 % CONTRACTS:07d}" + "A" * 48


@cache
def contracts() -> pa.Array:
    return pa.array([contract_id(at) for at in range(CONTRACTS)])


@cache
def keys() -> pa.Array:
    """Hashes, in no order, as a chain's are."""
    return pa.array([hashlib.sha256(at.to_bytes(4, "big")).hexdigest() for at in range(3 * CONTRACTS)])


def generated(count: int, *, first: int, seed: int = 1) -> Iterator[sa.LedgerBatch]:
    """Make batches of ten ledgers, a thousand rows each."""
    dice = np.random.default_rng(seed)
    schema = sa.schema("contract_data")
    ledgers = BATCH_ROWS // LEDGER_ROWS
    for at in range(first, first + count // LEDGER_ROWS, ledgers):
        rows = _rows(dice, at, schema)
        run = sa.LedgerRun(ledgers, at, at + ledgers - 1, 0, 0, "", "", 0, 0)
        yield sa.LedgerBatch(at, at + ledgers - 1, {"contract_data": rows}, run)


def _rows(dice: np.random.Generator, first: int, schema: pa.Schema) -> pa.RecordBatch:
    """Make 30 % balances of the hot token, 20 % of a thousand others, 50 % storage of any contract."""
    n = BATCH_ROWS
    kind = dice.choice(3, n, p=(0.3, 0.2, 0.5))
    holder = dice.integers(0, CONTRACTS, n)
    token = np.where(kind == 0, HOT, holder % 1_000)
    contract = np.where(kind == 2, holder, token)
    is_balance = pa.array(kind < 2)
    amount = dice.integers(1, 10**15, n)
    sequence = first + np.arange(n) // LEDGER_ROWS
    closed = np.int64(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6) + sequence * 5_000_000
    holders = contracts().take(pa.array(holder))
    none = pa.nulls(n, pa.string())
    columns = {
        "ledger_sequence": pa.array(sequence, pa.uint32()),
        "closed_at": pa.array(closed).cast(pa.timestamp("us", "UTC")),
        "transaction_index": pa.array(np.arange(n) % LEDGER_ROWS // 5 + 1, pa.uint32()),
        "transaction_hash": keys().take(pa.array((sequence * 200 + np.arange(n) // 5) % (3 * CONTRACTS))),
        "operation_index": pa.array(np.zeros(n), pa.uint32()),
        "change_index": pa.array(np.arange(n) % 5, pa.uint32()),
        "change_type": pa.repeat("updated", n),
        "contract_id": contracts().take(pa.array(contract)),
        "contract_key_type": pa.repeat("ScValTypeScvVec", n),
        "contract_durability": pa.repeat("ContractDataDurabilityPersistent", n),
        "balance_holder": pc.if_else(is_balance, holders, none),
        "balance": pc.if_else(is_balance, pa.array(amount).cast(pa.decimal128(38, 0)), None),
        "balance_text": pc.if_else(is_balance, pa.array(amount).cast(pa.string()), none),
        "last_modified_ledger": pa.array(sequence, pa.uint32()),
        "deleted": pa.array(dice.random(n) < 0.02),
        "ledger_key_hash": keys().take(pa.array(kind * CONTRACTS + holder)),
        "key_xdr": pa.repeat(VALUE[:90], n),
        "val_xdr": pa.repeat(VALUE, n),
    }
    return pa.RecordBatch.from_arrays(
        [columns[field.name] if field.name in columns else pa.nulls(n, field.type) for field in schema],
        schema=schema,
    )
