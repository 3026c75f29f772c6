-- One row per destination that is not resting and has nothing under way. The claim is what tells other workers to
-- keep off; the row lock only lasts as long as this statement.
with due as (
    select o.id
    from webhook w
    cross join lateral (
        select id
        from outbox
        where webhook_id = w.id and done_at is null and gave_up_at is null and due_at <= now()
        order by due_at
        limit 1
        for update skip locked
    ) o
    where w.enabled
      and (w.resting_until is null or w.resting_until <= now())
      and not exists (
          select 1
          from outbox under_way
          where under_way.webhook_id = w.id and under_way.done_at is null and under_way.gave_up_at is null
            and under_way.claimed_until > now()
      )
    limit $1
)
update outbox o
set claimed_until = now() + $2 * interval '1 second', attempt = o.attempt + 1
from due, webhook w
where o.id = due.id and w.id = o.webhook_id
returning o.id, o.webhook_id as "webhook_id!", w.url, w.secret, o.kind, o.body::text as "body!", o.attempt
