"""Which values of which column a filter's field can ask for, so that the walk makes fewer rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

# By column: the filter's field that keeps every row with one of its values, and what such a value looks like.
# It may keep others, as the condition is asked again; one field must not mix two columns.
_CONTRACT: Final = re.compile(r"C[A-Z2-7]{55}")
_ACCOUNT: Final = re.compile(r"G[A-Z2-7]{55}")
_EVENT: Final = re.compile("contract|system|diagnostic|transfer|mint|burn|clawback|fee")
_OPERATION: Final = re.compile(
    "create_account|payment|path_payment_strict_(receive|send)|(create|claim|clawback)_claimable_balance"
    "|clawback|liquidity_pool_(deposit|withdraw)|invoke_host_function|account_merge|manage_(buy|sell)_offer"
)
_FIELDS: Final = {
    "contract_id": ("contract_ids", _CONTRACT),
    "asset_issuer": ("asset_issuers", _ACCOUNT),
    "asset_code": ("asset_codes", re.compile(r"(?!(native|XLM)$)[A-Za-z0-9]{1,12}")),
    "event_name": ("event_names", re.compile(r"[A-Za-z0-9_]{1,32}")),
    "event_type": ("event_types", _EVENT),
    "operation_type": ("event_types", _OPERATION),
    "from": ("accounts", re.compile(r"[GC][A-Z2-7]{55}")),
    "to": ("accounts", re.compile(r"[GC][A-Z2-7]{55}")),
}


def field_for(column: str, values: Sequence[Any]) -> str | None:
    """Return the filter's field that keeps every row whose column has one of the values, None without one."""
    field, like = _FIELDS.get(column, (None, _CONTRACT))
    known = all(isinstance(value, str) and like.fullmatch(value) for value in values)
    return field if known else None
