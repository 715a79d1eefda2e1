select *
from (
    select
        coalesce(assets.asset_code, assets.asset_type, states.contract_id) as asset,
        assets.asset_issuer as issuer,
        row_number() over (
            partition by states.contract_id order by states.balance desc, states.balance_holder
        ) as place,
        states.balance_holder as holder,
        states.balance,
        states.balance_text,
        states.closed_at as last_change
    from contract_data.current_states as states
    left join stellar.assets as assets using (contract_id)
    where states.balance > 0
) as holders
where place <= 10
order by asset, issuer, place
