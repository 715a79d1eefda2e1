select
    closed_at,
    event_type,
    "from",
    "to",
    coalesce(asset_code, asset_type, contract_id) as asset,
    amount_text as amount,
    transaction_hash
from stellar.token_transfers
where amount_raw >= 1000000000000
order by amount_raw desc, ledger_sequence, event_index
