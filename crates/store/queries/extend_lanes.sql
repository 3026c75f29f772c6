-- All idle lanes of one owner at once. The answer is everything that it holds, how much of it has been accounted for, where dead
-- records are to be tried again, and what needs no owner any more.
with idle as (
    select epoch, lane from lane_state
    where owner = $1 and not released and lane = any($2::int[])
    for no key update skip locked
),
extended as (
    update lane_state l set lease_until = clock_timestamp() + interval '5 s'
    from idle
    where l.epoch = idle.epoch and l.lane = idle.lane and l.owner = $1
)
select
    l.lane, l.epoch, l.token,
    l.notice_records + l.deploy_records + l.ledger_records + l.stats_records + l.dead_records + l.gone_records + l.repeat_records + l.attachment_records as "accounted!",
    exists (
        select 1 from dead_notice d where d.epoch = l.epoch and d.lane = l.lane and d.retry_at is not null
    ) as "has_retries!",
    exists (select 1 from lane_epoch e where e.epoch = l.epoch and e.retired_at is not null) as "is_retired!"
from lane_state l
where l.owner = $1 and not l.released
