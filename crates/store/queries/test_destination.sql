-- A test of a destination: a call, or a mail to each member whom it reaches; `$2` narrows them to the one who asks.
insert into outbox (destination_id, recipient, project_id, kind, body)
select d.id, reader.email, d.project_id, 'test',
    case when reader.email is null then jsonb_build_object('at', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'project_id', d.project_id)
    else jsonb_build_object('to', reader.email, 'subject', format('[%s] Test', p.name),
        'text', format(E'This is a test: alerts of %s reach you.\n', p.name))
    end
from destination d
join project p on p.id = d.project_id
left join lateral (
    select u.email
    from project_access m join user_account u on u.id = m.user_id
    where d.kind = 'mail' and m.project_id = d.project_id
        and (d.member_ids is null or m.user_id = any(d.member_ids))
        and ($2::bigint is null or m.user_id = $2)
) reader on true
where d.id = $1 and (d.kind <> 'mail' or reader.email is not null)
