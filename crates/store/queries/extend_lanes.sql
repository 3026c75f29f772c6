-- All idle lanes of one owner at once. The answer is everything that it holds.
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
select lane, token from lane_state where epoch = $1 and owner = $2 and not released
