-- What was transferred of each asset, how often, between how many; volume_text is exact, volume null beyond 38 digits.
select
    coalesce(asset_code, asset_type, contract_id) as asset,
    asset_issuer as issuer,
    count(*) as transfers,
    try_cast(exact_sum(amount_text) as decimal(38, 0)) as volume,
    exact_sum(amount_text) as volume_text,
    count(distinct "from") as senders,
    count(distinct "to") as receivers
from token_transfers
where event_type = 'transfer'
group by all
order by transfers desc, asset, issuer
