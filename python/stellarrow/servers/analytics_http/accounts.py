"""What an account did and what it holds."""

from __future__ import annotations

from typing import Final

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.reading import Tables
from stellarrow.analysis.reads.summaries import Input, Summary
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.answers import Rows
from stellarrow.servers.analytics_http.endpoint import Asked, Endpoint
from stellarrow.servers.analytics_http.rows import PAGING, SELECTING, TableRows
from stellarrow.servers.analytics_http.summaries import SUMMING, Summaries

TRANSFERS: Final = "token_transfers"
DATA: Final = "contract_data"
_MOVED: Final = (
    *("ledger_sequence", "contract_id", "asset_type", "asset_code", "asset_issuer", "from", "to"),
    "amount_text",
)
_HELD: Final = (
    *("ledger_sequence", "transaction_index", "change_index", "contract_id", "balance_holder"),
    *("balance_text", "deleted", "ledger_key_hash"),
)
_STORED: Final = """
    select contract_id, arg_max(case when deleted then null else balance_text end, place) as balance,
        max(ledger_sequence) as balance_ledger
    from (select *, (ledger_sequence, transaction_index, change_index) as place from held_rows)
    where balance_holder = $account group by contract_id
"""
_NOT_STORED: Final = """
    select null::varchar as contract_id, null::varchar as balance, null::uinteger as balance_ledger
    where false
"""
_BALANCES: Final = """
    with held as ($held), moved as (
        select contract_id, any_value(asset_type) as asset_type, any_value(asset_code) as asset_code,
            any_value(asset_issuer) as asset_issuer,
            coalesce(sum(amount_text::bignum) filter ("to" = $account), 0::bignum) as received,
            coalesce(sum(amount_text::bignum) filter ("from" = $account), 0::bignum) as sent,
            count(*)::uinteger as transfers, max(ledger_sequence) as last_ledger
        from moved_rows group by contract_id
    )
    select coalesce(moved.contract_id, held.contract_id) as contract_id, asset_type, asset_code, asset_issuer,
        balance, balance_ledger, coalesce(received, 0::bignum)::varchar as received,
        coalesce(sent, 0::bignum)::varchar as sent,
        (coalesce(received, 0::bignum) - coalesce(sent, 0::bignum))::varchar as net,
        coalesce(transfers, 0)::uinteger as transfers, greatest(last_ledger, balance_ledger) as last_ledger
    from moved full join held using (contract_id) order by contract_id
"""


class AccountEndpoints:
    """Answers about accounts."""

    def __init__(self, tables: Tables, rows: TableRows, summaries: Summaries) -> None:
        self._tables = tables
        self._rows = rows
        self._summaries = summaries

    def endpoints(self) -> list[Endpoint]:
        if TRANSFERS not in self._tables.names:
            return []
        return [
            Endpoint(
                path="/v1/accounts/{account}/transfers",
                summary="What an account sent and received, the newest first",
                answer=lambda asked: self._rows.answer(
                    TRANSFERS, asked, Conditions(accounts=(asked["account"],))
                ),
                tag="accounts",
                parameters=(
                    of.ACCOUNT_ID,
                    *SELECTING,
                    *(of.CONTRACT_IDS, of.ASSETS, of.EVENT_TYPES, of.WHERE),
                    *PAGING,
                    of.order("desc"),
                ),
                has_rows=True,
                rows_of=TRANSFERS,
            ),
            Endpoint(
                path="/v1/accounts/{account}/balances",
                summary="What an account holds, and what it sent and received, by asset",
                description="received, sent and net are sums of the transfers in the ledgers that are here,"
                " since_ledger to as_of_ledger. balance is what the token's contract stores for the"
                " account, as of its last change there; it is null where no change is among them,"
                " and for classic balances, which are in no contract's storage.",
                answer=self._balances,
                tag="accounts",
                parameters=(of.ACCOUNT_ID, *SUMMING),
                has_rows=True,
            ),
        ]

    def _balances(self, asked: Asked) -> Rows:
        account = asked["account"]
        inputs = {"moved_rows": Input(TRANSFERS, _MOVED, Conditions(accounts=(account,)))}
        is_stored = DATA in self._tables.names
        if is_stored:
            inputs["held_rows"] = Input(DATA, _HELD, Conditions(accounts=(account,)))
        query = _BALANCES.replace("$held", _STORED if is_stored else _NOT_STORED)
        return self._summaries.answer(Summary(query, inputs, {"account": account}), asked)
