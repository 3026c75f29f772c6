-- The mail's end or its next attempt, and a line in the delivery log, in one statement. What has ended is not kept: there may be a
-- link in it that opens an account. An attempt that failed for the server's sake is not counted, and
-- one that took longer than its claim decides nothing when another has begun meanwhile.
with finished as (
    update outbox
    set claimed_until = null,
        done_at = case when $2 then now() end,
        gave_up_at = case when not $2 and $3::float8 is null then now() end,
        due_at = case when $3::float8 is null then due_at else now() + $3 * interval '1 second' end,
        attempt = case when $4 then attempt else attempt - 1 end,
        body = case when $3::float8 is null then '{}' else body end
    where id = $1 and attempt = $5
)
insert into delivery (outbox_id, attempt, status, told, took_ms)
values ($1, $5, $6, $7, $8)
