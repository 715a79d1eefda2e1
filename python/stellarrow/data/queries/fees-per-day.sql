-- Fees of each day in stroops: what transactions paid in all, on average and at most, and those of contract calls.
select
    date_trunc('day', closed_at) as day,
    count(*) as transactions,
    sum(fee_charged) as fees,
    sum(fee_charged) // count(*) as average_fee,
    max(fee_charged) as largest_fee,
    coalesce(sum(fee_charged) filter (is_soroban), 0) as contract_fees
from transactions
group by all
order by day
