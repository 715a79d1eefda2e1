select
    coalesce(asset_code, asset_type, contract_id) as asset,
    asset_issuer as issuer,
    count(*) as transfers,
    case when abs(sum(amount_raw)) < 1e38 then sum(amount_raw) end::numeric(38, 0) as volume,
    sum(amount_raw)::text as volume_text,
    count(distinct "from") as senders,
    count(distinct "to") as receivers
from stellar.token_transfers
where event_type = 'transfer'
group by 1, 2
order by transfers desc, asset, issuer
