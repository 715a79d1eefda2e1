"""What `event_types` may name in each table: the words that the core knows."""

from __future__ import annotations

from typing import Final

CONTRACT_EVENT_TYPES: Final = ("contract", "system", "diagnostic")
TRANSFER_TYPES: Final = ("transfer", "mint", "burn", "clawback", "fee")
OPERATION_TYPES: Final = (
    "create_account",
    "payment",
    "path_payment_strict_receive",
    "manage_sell_offer",
    "create_passive_sell_offer",
    "set_options",
    "change_trust",
    "allow_trust",
    "account_merge",
    "inflation",
    "manage_data",
    "bump_sequence",
    "manage_buy_offer",
    "path_payment_strict_send",
    "create_claimable_balance",
    "claim_claimable_balance",
    "begin_sponsoring_future_reserves",
    "end_sponsoring_future_reserves",
    "revoke_sponsorship",
    "clawback",
    "clawback_claimable_balance",
    "set_trust_line_flags",
    "liquidity_pool_deposit",
    "liquidity_pool_withdraw",
    "invoke_host_function",
    "extend_footprint_ttl",
    "restore_footprint",
)
_OF_TABLES: Final = {
    "contract_events": CONTRACT_EVENT_TYPES,
    "token_transfers": (*TRANSFER_TYPES, *OPERATION_TYPES),
}


def event_words(table: str) -> tuple[str, ...]:
    """Return the words that a table's events and operations are named by; none where any may be."""
    return _OF_TABLES.get(table, ())
