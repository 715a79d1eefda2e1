-- Movements of 100,000 tokens and more, the largest first, counted in the 7 decimals of lumens and classic assets.
select
    closed_at,
    event_type,
    "from",
    "to",
    case asset_type when 'native' then 'XLM' else coalesce(asset_code, contract_id) end as asset,
    amount_text as amount,
    transaction_hash
from token_transfers
where amount_raw >= 1000000000000 or amount_raw is null -- null where only the text has room for it
order by amount_raw desc nulls first, ledger_sequence, event_index
