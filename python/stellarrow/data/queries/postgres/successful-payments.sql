select
    closed_at,
    operation_type,
    "from",
    "to",
    coalesce(asset_code, asset_type, contract_id) as asset,
    amount_text as amount,
    transaction_hash
from stellar.token_transfers
where transaction_successful
    and operation_type in ('payment', 'path_payment_strict_receive', 'path_payment_strict_send')
order by ledger_sequence desc, event_index desc
