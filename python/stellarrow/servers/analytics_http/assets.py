"""Assets: how much of each moved, who holds it, and how much moved when."""

from __future__ import annotations

from typing import Final

from stellarrow.analysis.reads.conditions import Conditions
from stellarrow.analysis.reads.paging import page
from stellarrow.analysis.reads.reading import Question, Tables
from stellarrow.analysis.reads.refusals import NotFound
from stellarrow.analysis.reads.summaries import Input, Summary
from stellarrow.servers.analytics_http import parameters as of
from stellarrow.servers.analytics_http.accounts import DATA, TRANSFERS
from stellarrow.servers.analytics_http.answers import Document, Rows
from stellarrow.servers.analytics_http.endpoint import Asked, Endpoint
from stellarrow.servers.analytics_http.rows import PAGING, SELECTING, TableRows
from stellarrow.servers.analytics_http.summaries import SUMMING, Summaries, aside, one_row

_WINDOWS: Final = {"1m": "1 minute", "5m": "5 minutes", "1h": "1 hour", "24h": "1 day", "7d": "7 days"}
_WINDOW: Final = of.Parameter(
    "window", "How long each is; weeks begin on Mondays, in UTC.", words=tuple(_WINDOWS), default="1h"
)
_MOVED: Final = (
    *("ledger_sequence", "closed_at", "transaction_hash", "event_type", "contract_id", "asset_type"),
    *("asset_code", "asset_issuer", "from", "to", "amount_text"),
)
_HELD: Final = (
    *("ledger_sequence", "transaction_index", "change_index", "contract_id", "balance_holder"),
    *("balance_text", "deleted"),
)


def _sum_of(kinds: str) -> str:
    """Return the sum of events of some types as text: amounts of any size, which no number holds."""
    of_kinds = f"filter (event_type in ({kinds}))"
    return f"coalesce(sum(amount_text::bignum) {of_kinds}, 0::bignum)::varchar"


_SUMS: Final = f"""
    {_sum_of("'transfer'")} as volume,
    (count(*) filter (event_type = 'transfer'))::uinteger as transfers,
    {_sum_of("'mint'")} as minted,
    {_sum_of("'burn', 'clawback'")} as burned,
    count(distinct "from") filter (event_type = 'transfer')::uinteger as senders,
    count(distinct "to") filter (event_type = 'transfer')::uinteger as receivers,
    min(ledger_sequence) as first_ledger, max(ledger_sequence) as last_ledger
"""
_ASSETS: Final = f"""
    select contract_id, any_value(asset_type) as asset_type, any_value(asset_code) as asset_code,
        any_value(asset_issuer) as asset_issuer, {_SUMS}
    from moved group by contract_id order by transfers desc, contract_id
"""
_VOLUME: Final = f"""
    select time_bucket(interval '$length', closed_at, timestamptz '2024-01-01 00:00:00+00') as window_start,
        {_SUMS}
    from moved group by window_start order by window_start
"""
_HOLDERS: Final = """
    select balance_holder as account, balance, ledger_sequence from (
        select balance_holder, arg_max(balance_text, place) as balance,
            max(ledger_sequence) as ledger_sequence, arg_max(deleted, place) as deleted
        from (select *, (ledger_sequence, transaction_index, change_index) as place from held)
        where balance_holder is not null group by balance_holder
    ) where not deleted and balance <> '0' order by balance::bignum desc, account
"""


class AssetEndpoints:
    """Answers about assets."""

    def __init__(self, tables: Tables, rows: TableRows, summaries: Summaries) -> None:
        self._tables = tables
        self._rows = rows
        self._summaries = summaries

    def endpoints(self) -> list[Endpoint]:
        if TRANSFERS not in self._tables.names:
            return []
        holders = [self._holding()] if DATA in self._tables.names else []
        return [*self._summing(), self._moving(), *holders]

    def _summing(self) -> list[Endpoint]:
        return [
            Endpoint(
                path="/v1/assets",
                summary="Every asset that moved, the one with the most transfers first",
                answer=lambda asked: self._summaries.answer(self._sums(_ASSETS), asked),
                tag="assets",
                parameters=SUMMING,
                has_rows=True,
            ),
            Endpoint(
                path="/v1/assets/{asset}",
                summary="One asset: its contract, and sums of its transfers",
                answer=self._asset,
                tag="assets",
                parameters=(of.ASSET, of.START, of.END),
            ),
            Endpoint(
                path="/v1/assets/{asset}/volume",
                summary="How much of an asset moved, window by window",
                answer=self._volume,
                tag="assets",
                parameters=(of.ASSET, _WINDOW, *SUMMING),
                has_rows=True,
            ),
        ]

    def _moving(self) -> Endpoint:
        listed = (of.ACCOUNTS, of.EVENT_TYPES, of.WHERE)
        return Endpoint(
            path="/v1/assets/{asset}/transfers",
            summary="An asset's transfers, the newest first",
            answer=lambda asked: self._rows.answer(TRANSFERS, asked, _of(asked)),
            tag="assets",
            parameters=(of.ASSET, *SELECTING, *listed, *PAGING, of.order("desc")),
            has_rows=True,
            rows_of=TRANSFERS,
        )

    def _holding(self) -> Endpoint:
        return Endpoint(
            path="/v1/assets/{asset}/holders",
            summary="Who holds an asset in its contract's storage, the largest balance first",
            description="Balances as the contract stored them at their last change among the ledgers here."
            " Classic balances (trustlines) are in no contract's storage.",
            answer=self._holders,
            tag="assets",
            parameters=(of.ASSET, *SUMMING),
            has_rows=True,
        )

    def _sums(self, query: str, conditions: Conditions | None = None) -> Summary:
        return Summary(query, {"moved": Input(TRANSFERS, _MOVED, conditions or Conditions())})

    def _asset(self, asked: Asked) -> Document:
        one = Asked({**asked.values, "limit": 1}, "json", is_limited=True)
        found = self._summaries.answer(self._sums(_ASSETS, _of(asked)), one)
        if not any(rows.num_rows for rows in found.batches):
            raise NotFound(
                f"no transfer of {asked['asset']} is in the ledgers from {found.since} to {found.as_of}"
                f"{aside(found)}",
                field="asset",
            )
        return one_row(found)

    def _volume(self, asked: Asked) -> Rows:
        query = _VOLUME.replace("$length", _WINDOWS[asked["window"]])
        return self._summaries.answer(self._sums(query, _of(asked)), asked)

    def _holders(self, asked: Asked) -> Rows:
        held = Input(DATA, _HELD, Conditions(contract_ids=(self._contract(asked["asset"]),)))
        return self._summaries.answer(Summary(_HOLDERS, {"held": held}), asked)

    def _contract(self, asset: str) -> str:
        """Return the contract that an asset's balances are kept by."""
        if len(asset) == 56:
            return asset
        question = Question(
            table=TRANSFERS,
            conditions=Conditions(assets=(asset,)),
            columns=("contract_id",),
            descending=True,
        )
        found = page(self._tables.snapshot(TRANSFERS), question, limit=1)
        if not found.batches:
            raise NotFound(f"no transfer of {asset} is here to tell its contract: name that", field="asset")
        return str(found.batches[0].column("contract_id")[0].as_py())


def _of(asked: Asked) -> Conditions:
    return Conditions(assets=(asked["asset"],))
