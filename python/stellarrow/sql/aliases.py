"""Words of the older family of components, in named queries, as columns that tables have.

`asset` is `native`, CODE:ISSUER or a contract's id; `successful` whether the transaction took effect; an
`event_type` that is compared with an operation's name asks for the operation that moved the tokens. An amount
whose 39th digit only its text has is whole. A name that a table has as a column means the column.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from stellarrow.extras import needing
from stellarrow.sql.parsing import Condition, parse_condition
from stellarrow.sql.whole_amounts import AMOUNTS

with needing("SQL", "sql"):
    from sqlglot import expressions as sql

# OperationType's names, as column operation_type of token_transfers has them.
OPERATIONS: Final = frozenset(
    (
        *("create_account", "payment", "path_payment_strict_receive", "path_payment_strict_send"),
        *("manage_sell_offer", "create_passive_sell_offer", "manage_buy_offer", "set_options"),
        *("change_trust", "allow_trust", "account_merge", "inflation", "manage_data", "bump_sequence"),
        *("create_claimable_balance", "claim_claimable_balance", "begin_sponsoring_future_reserves"),
        *("end_sponsoring_future_reserves", "revoke_sponsorship", "clawback", "clawback_claimable_balance"),
        *("set_trust_line_flags", "liquidity_pool_deposit", "liquidity_pool_withdraw"),
        *("invoke_host_function", "extend_footprint_ttl", "restore_footprint"),
    )
)
# Of operations, the one whose name is also an event's: the event is meant, as its rows are all of them.
_EVENTS: Final = frozenset(("transfer", "mint", "burn", "clawback", "fee"))
# By alias: the columns it takes, and what it is.
_ALIASES: Final = {
    "successful": (("transaction_successful",), "transaction_successful"),
    "asset": (
        ("asset_type", "asset_code", "asset_issuer", "contract_id"),
        """case when asset_type in ('native', 'AssetTypeAssetTypeNative') then 'native'
        when asset_code is not null then asset_code || ':' || asset_issuer else contract_id end""",
    ),
}


def in_columns(tree: Condition, columns: pa.Schema, *, whole_amounts: bool = True) -> Any:
    """Return an expression with columns of a table in place of aliases, and a name where a column had one.

    `whole_amounts` reads amounts of 39 digits from their texts, where readers do not by themselves.
    """
    names = {*columns.names}

    def replaced(node: Any) -> Any:
        if isinstance(node, sql.Column) and not node.table:
            return _column(node, names, whole_amounts=whole_amounts)
        if isinstance(node, sql.EQ | sql.NEQ) and "operation_type" in names:
            return _compared(node)
        if isinstance(node, sql.In) and "operation_type" in names:
            return _listed(node)
        return node

    made = tree.transform(replaced)
    if isinstance(tree, sql.Column) and made.name.lower() != tree.name.lower():
        return sql.alias_(made, tree.name.lower())
    return made


def _column(node: Any, names: set[str], *, whole_amounts: bool) -> Any:
    name = node.name.lower()
    if name in _ALIASES and name not in names and names.issuperset(_ALIASES[name][0]):
        return _parsed(_ALIASES[name][1])
    if whole_amounts and name in names and AMOUNTS.get(name) in names:
        return _parsed(f"coalesce({name}, {AMOUNTS[name]}::hugeint)")
    return node


def _parsed(text: str) -> Any:
    tree = parse_condition(text)
    return sql.paren(tree) if isinstance(tree, sql.Case) else tree


def _compared(node: Any) -> Any:
    """Ask for the operation where an event's type is compared with the name of one; fees have none."""
    left, right = node.this, node.expression
    if not _is_event_type(left):
        left, right = right, left
    if not (_is_event_type(left) and _is_operation(right)):
        return node
    kind = sql.NullSafeEQ if isinstance(node, sql.EQ) else sql.NullSafeNEQ
    return kind(this=sql.column("operation_type"), expression=right.copy())


def _listed(node: Any) -> Any:
    if not _is_event_type(node.this):
        return node
    operations = [one.copy() for one in node.expressions if _is_operation(one)]
    events = [one.copy() for one in node.expressions if not _is_operation(one)]
    if not operations:
        return node
    by_operation = sql.Coalesce(
        this=sql.In(this=sql.column("operation_type"), expressions=operations), expressions=[sql.false()]
    )
    if not events:
        return by_operation
    return sql.paren(sql.or_(sql.In(this=node.this.copy(), expressions=events), by_operation))


def _is_event_type(node: Any) -> bool:
    return isinstance(node, sql.Column) and not node.table and node.name.lower() == "event_type"


def _is_operation(node: Any) -> bool:
    return isinstance(node, sql.Literal) and node.is_string and node.name in OPERATIONS - _EVENTS
