insert into grp_history (project_id, group_id, kind, detail)
select project_id, group_id, kind, detail
from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) as given (project_id, group_id, kind, detail)
order by project_id, group_id
