-- Who holds most of each asset: the ten largest balances that contracts hold, after the last change of each.
with latest as (
    select contract_id, balance_holder as holder, balance, balance_text, deleted, closed_at
    from contract_data
    where contract_key_type = 'ScValTypeScvVec' -- as all balances have
    qualify row_number() over (
        partition by ledger_key_hash
        order by ledger_sequence desc, transaction_index desc, change_index desc
    ) = 1
)
select
    coalesce(asset_code, asset_type, contract_id) as asset,
    asset_issuer as issuer,
    row_number() over (partition by contract_id order by balance desc, holder) as place,
    holder,
    balance,
    balance_text,
    latest.closed_at as last_change
from latest
left join assets using (contract_id)
where not deleted and balance > 0
qualify place <= 10
order by asset, issuer, contract_id, place
