-- What was transferred of each asset: how often, how much in its smallest unit, between how many.
select
    case asset_type when 'native' then 'XLM' else coalesce(asset_code, contract_id) end as asset,
    asset_issuer as issuer,
    count(*) as transfers,
    sum(amount_raw) as volume,
    count(distinct "from") as senders,
    count(distinct "to") as receivers
from token_transfers
where event_type = 'transfer'
group by all
order by transfers desc, asset, issuer
