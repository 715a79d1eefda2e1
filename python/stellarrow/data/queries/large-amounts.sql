-- Movements of 100,000 tokens and more, the largest first, counted in the 7 decimals of lumens and classic assets.
select
    closed_at,
    event_type,
    "from",
    "to",
    coalesce(asset_code, asset_type, contract_id) as asset,
    amount_text as amount,
    transaction_hash
from token_transfers
where amount_raw >= 1000000000000
order by amount_raw desc, ledger_sequence, event_index
