-- The row's end or its next attempt, the destination's rest, and a line in the delivery log, in one statement. An attempt that took longer
-- than its claim decides nothing when another has begun meanwhile.
with finished as (
    update outbox
    set claimed_until = null,
        done_at = case when $2 then now() end,
        gave_up_at = case when not $2 and $3::float8 is null then now() end,
        due_at = case when $3::float8 is null then due_at else now() + $3 * interval '1 second' end
    where id = $1 and attempt = $6
    returning id
), rested as (
    update destination
    set failure_count = case when $2 then 0 else failure_count + 1 end,
        resting_until = case when $2 then null else now() + least($5 * power(2, least(failure_count, 16)), 300) * interval '1 second' end
    where id = $4 and (not $2 or failure_count > 0) and exists (select from finished)
)
insert into delivery (outbox_id, attempt, status, told, took_ms)
values ($1, $6, $7, $8, $9)
