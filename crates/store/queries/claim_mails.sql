-- Mails that are due and nobody is sending; those that go to somebody for no destination's sake first, as their links do not last long.
-- All of them leave through one server, so its rest is the sender's to keep.
with due as (
    select id
    from outbox
    where recipient is not null and done_at is null and gave_up_at is null and due_at <= now()
      and (claimed_until is null or claimed_until <= now())
    order by destination_id is not null, due_at
    limit $1
    for update skip locked
)
update outbox o
set claimed_until = now() + $2 * interval '1 second', attempt = o.attempt + 1
from due
where o.id = due.id
returning o.id, o.kind, o.created_at, o.body, o.attempt
