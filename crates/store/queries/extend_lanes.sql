-- All idle lanes of one owner at once. The answer is everything that it holds, how much of it has been accounted for, and where
-- dead records are to be tried again.
with idle as (
    select epoch, lane from lane_state
    where epoch = $1 and owner = $2 and not released and lane = any($3::int[])
    for no key update skip locked
),
extended as (
    update lane_state l set lease_until = clock_timestamp() + interval '5 s'
    from idle
    where l.epoch = idle.epoch and l.lane = idle.lane and l.owner = $2
)
select
    l.lane, l.token,
    l.notice_records + l.deploy_records + l.ledger_records + l.stats_records + l.dead_records + l.gone_records as "accounted!",
    exists (
        select 1 from dead_notice d where d.epoch = l.epoch and d.lane = l.lane and d.retry_at is not null
    ) as "has_retries!"
from lane_state l
where l.epoch = $1 and l.owner = $2 and not l.released
