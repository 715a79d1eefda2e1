-- Transactions of each hour: how many, how many of them took effect, and what they paid in stroops.
select
    date_trunc('hour', closed_at) as hour,
    count(*) as transactions,
    count(*) filter (successful) as successful,
    count(*) filter (is_soroban) as soroban,
    sum(fee_charged) as fees
from transactions
group by all
order by hour
