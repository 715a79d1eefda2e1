select
    date_trunc('day', closed_at) as day,
    count(*) as transactions,
    sum(fee_charged)::numeric(38, 0) as fees,
    div(sum(fee_charged), count(*))::numeric(38, 0) as average_fee,
    max(fee_charged) as largest_fee,
    coalesce(sum(fee_charged) filter (where is_soroban), 0)::numeric(38, 0) as contract_fees
from stellar.transactions
group by 1
order by day
