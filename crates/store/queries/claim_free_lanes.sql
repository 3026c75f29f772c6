-- Lanes of some epochs that nobody holds, and not those that this owner has in hand itself ($4), whose leases may look as if they had run out in a
-- database that was set back. Only an owner whose lease ran out with the lane in hand counts as an attempt. The token takes a random step: a
-- database that was set back would otherwise give out one that somebody still holds.
with free as (
    select epoch, lane from lane_state
    where epoch = any($1::int[]) and lane <> all ($4::int[])
        -- No lease is longer than five seconds: one that is was given by another clock.
        and (released or lease_until not between clock_timestamp() and clock_timestamp() + interval '10 s')
    order by random()
    limit $3
    for no key update skip locked
)
update lane_state l set
    token = l.token + 1 + (random() * 1000000)::bigint,
    attempts = l.attempts + (not l.released and l.owner is distinct from $2)::int,
    owner = $2,
    released = false,
    lease_until = clock_timestamp() + interval '5 s'
from free
where l.epoch = free.epoch and l.lane = free.lane
returning
    l.lane, l.epoch, l.token, l.attempts,
    l.notice_records + l.deploy_records + l.ledger_records + l.stats_records + l.dead_records + l.gone_records + l.repeat_records + l.attachment_records as "accounted!"
