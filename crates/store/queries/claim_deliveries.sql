-- One row per destination that is not resting and has nothing under way: those first that are due for the longest, and at most so many
-- ($3) under way for a project, so that its slow receivers leave room for those of others. The claim is what tells other workers to keep
-- off; the row lock only lasts as long as this statement.
with waiting as (
    select d.id as destination_id, d.project_id, o.id, o.due_at
    from destination d
    cross join lateral (
        select id, due_at
        from outbox
        where destination_id = d.id and recipient is null and done_at is null and gave_up_at is null and due_at <= now()
        order by due_at
        limit 1
    ) o
    where d.enabled and d.kind <> 'mail'
      and (d.resting_until is null or d.resting_until <= now())
      and not exists (
          select 1
          from outbox under_way
          where under_way.project_id = d.project_id and under_way.destination_id = d.id and under_way.recipient is null
            and under_way.done_at is null and under_way.gave_up_at is null
            and under_way.claimed_until > now()
      )
),
in_turn as (
    select w.id, w.due_at,
        row_number() over (partition by w.project_id order by w.due_at, w.id) + (
            select count(*)
            from outbox under_way
            where under_way.project_id = w.project_id and under_way.recipient is null
              and under_way.done_at is null and under_way.gave_up_at is null
              and under_way.claimed_until > now()
        ) as place
    from waiting w
),
due as (
    select o.id
    from in_turn t
    join outbox o on o.id = t.id
    where t.place <= $3
      -- Asked again under the lock: another worker may have been here.
      and o.done_at is null and o.gave_up_at is null and (o.claimed_until is null or o.claimed_until <= now())
    order by t.due_at
    limit $1
    for update of o skip locked
)
update outbox o
set claimed_until = now() + $2 * interval '1 second', attempt = o.attempt + 1
from due, destination d
where o.id = due.id and d.id = o.destination_id
returning o.id, o.destination_id as "destination_id!", d.kind as destination_kind, d.url as "url!", d.secret, o.kind, o.body::text as "body!", o.attempt
