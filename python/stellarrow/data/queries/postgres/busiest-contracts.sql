select
    contract_id,
    count(*) as events,
    count(distinct transaction_hash) as transactions,
    count(distinct event_name) as event_names,
    max(closed_at) as last_event
from stellar.contract_events
where contract_id is not null
group by contract_id
order by events desc, contract_id
limit 100
