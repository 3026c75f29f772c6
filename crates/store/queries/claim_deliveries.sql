-- One row per destination that is not resting and has nothing under way. The claim is what tells other workers to
-- keep off; the row lock only lasts as long as this statement.
with due as (
    select o.id
    from destination d
    cross join lateral (
        select id
        from outbox
        where destination_id = d.id and recipient is null and done_at is null and gave_up_at is null and due_at <= now()
        order by due_at
        limit 1
        for update skip locked
    ) o
    where d.enabled and d.kind <> 'mail'
      and (d.resting_until is null or d.resting_until <= now())
      and not exists (
          select 1
          from outbox under_way
          where under_way.destination_id = d.id and under_way.recipient is null
            and under_way.done_at is null and under_way.gave_up_at is null
            and under_way.claimed_until > now()
      )
    limit $1
)
update outbox o
set claimed_until = now() + $2 * interval '1 second', attempt = o.attempt + 1
from due, destination d
where o.id = due.id and d.id = o.destination_id
returning o.id, o.destination_id as "destination_id!", d.kind as destination_kind, d.url as "url!", d.secret, o.kind, o.body::text as "body!", o.attempt
