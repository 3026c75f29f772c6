-- What the receivers of the projects are to be told about.
insert into outbox (webhook_id, project_id, group_id, kind, body)
select w.id, given.project_id, given.group_id, given.kind, given.body::jsonb
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as given (project_id, group_id, kind, body)
join webhook w on w.project_id = given.project_id and w.enabled
order by w.id, given.group_id
