"""What figures must be: the same made by DuckDB out of rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

WINDOWS = {
    "1m": "date_trunc('minute', closed_at)",
    "5m": "time_bucket(interval 5 minutes, closed_at)",
    "1h": "date_trunc('hour', closed_at)",
    "24h": "date_trunc('day', closed_at)",
    "7d": "date_trunc('week', closed_at)",
    "total": "timestamp '1970-01-01'",
}
_BEGIN = """
select {window} as window_start,
    min(ledger_sequence)::uinteger as first_ledger, max(ledger_sequence)::uinteger as last_ledger,
"""
_TRANSACTIONS = "count(distinct (ledger_sequence, transaction_index)) as transactions,"


_PART = 10**18  # sums of amounts may need more digits than any of DuckDB's types


def _sum(kind: str, condition: str = "true") -> str:
    """Sum in two parts, which `_whole` puts together."""
    amount, part = "amount_text::hugeint", f"{_PART}::hugeint"
    rows = f"filter (event_type = '{kind}' and {condition})"
    return f"[coalesce(sum({amount} // {part}) {rows}, 0), coalesce(sum({amount} % {part}) {rows}, 0)]"


def _whole(parts: list[Any]) -> str:
    return str(abs(int(parts[0]) * _PART + int(parts[1])))


QUERIES: Mapping[str, tuple[str, str]] = {  # of each name: what is selected, and of which rows
    "transfers": (
        f"""
    count(*) filter (event_type = 'transfer') as transfers,
    {_TRANSACTIONS}
    {_sum("transfer")} as volume,
    coalesce(max(amount_text::hugeint) filter (event_type = 'transfer'), 0)::varchar as largest_transfer,
    count(distinct "from") filter (event_type = 'transfer') as senders,
    count(distinct "to") filter (event_type = 'transfer') as receivers,
    count(*) filter (event_type = 'mint') as mints, {_sum("mint")} as minted,
    count(*) filter (event_type = 'burn') as burns, {_sum("burn")} as burned,
    count(*) filter (event_type = 'clawback') as clawbacks, {_sum("clawback")} as clawed_back,
    {_sum("fee", "amount_text[1] != '-'")} as fees_charged,
    {_sum("fee", "amount_text[1] = '-'")} as fees_refunded""",
        "true",
    ),
    "events": (
        f"""
    count(*) as events, {_TRANSACTIONS}
    count(*) filter (not transaction_successful) as failed""",
        "event_type = 'contract' and contract_id is not null",
    ),
    "storage": (
        f"""
    count(*) as changes, {_TRANSACTIONS} count(*) filter (deleted) as deletions""",
        "contract_id is not null",
    ),
    "network": (
        """
    count(*) as ledgers, sum(transaction_count)::bigint as transactions,
    sum(successful_transaction_count)::bigint as successful_transactions,
    sum(size_bytes)::bigint as size_bytes,
    min(closed_at) as first_closed_at, max(closed_at) as last_closed_at""",
        "true",
    ),
}


def by_sql(name: str, window: str, rows: pa.Table, key: str = "") -> list[dict[str, Any]]:
    """Return a row a window, the oldest first: of all together, or of a contract."""
    selected, condition = QUERIES[name]
    place = rows.schema.get_field_index("closed_at")  # without a zone, which DuckDB needs an extension for
    rows = rows.set_column(place, "closed_at", rows["closed_at"].cast(pa.timestamp("us")))
    of_key = f" and contract_id = '{key}'" if key else ""
    query = f"{_BEGIN.format(window=WINDOWS[window])} {selected} from rows where {condition}{of_key}"
    answer: Any = duckdb.sql(f"{query} group by 1 order by 1")
    found: list[dict[str, Any]] = answer.to_arrow_table().to_pylist()
    return [
        {column: _whole(value) if isinstance(value, list) else value for column, value in row.items()}
        for row in found
    ]


def check(name: str, window: str, found: list[dict[str, Any]], rows: pa.Table, key: str = "") -> None:
    """Assert that figures are those of the rows; of the oldest windows that SQL has, none may be kept."""
    expected = by_sql(name, window, rows, key)
    kept = expected[len(expected) - len(found) :]
    if len(expected) > len(found):
        assert len(found) > 10, (name, window, "only the oldest of many windows are let go of")
    columns = list(expected[0]) if expected else []
    shown = [{one: _plain(row[one]) for one in columns} for row in found]
    if key:  # ledgers are those of all rows in the window
        for row in (*shown, *kept):
            row.pop("first_ledger", None), row.pop("last_ledger", None)
    assert shown == kept, f"{name} {window} {key}: counted {shown}, but by SQL {kept}"


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def keys_of(rows: pa.Table, most: int) -> list[str]:
    """Return some contracts that rows are of."""
    contracts = pc.unique(rows["contract_id"]).drop_null().to_pylist()
    return sorted(contracts)[:most]


def up_to(rows: pa.Table, ledger: int) -> pa.Table:
    return rows.filter(pc.less_equal(rows["ledger_sequence"], ledger))
