insert into grp_history (project_id, group_id, kind, detail)
select project_id, group_id, 'reopened', 'the error came back'
from unnest($1::bigint[], $2::bigint[]) as given (project_id, group_id)
order by project_id, group_id
