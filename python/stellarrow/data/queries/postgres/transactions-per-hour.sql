select
    date_trunc('hour', closed_at) as hour,
    count(*) as transactions,
    count(*) filter (where successful) as successful,
    count(*) filter (where is_soroban) as soroban,
    sum(fee_charged)::numeric(38, 0) as fees
from stellar.transactions
group by 1
order by hour
