-- Members of a project who want its alerts by mail.
select u.id, u.email
from project_access m
join user_account u on u.id = m.user_id
left join notification_choice c on c.user_id = m.user_id and c.project_id = m.project_id
where m.project_id = $1 and ($2::bigint[] is null or m.user_id = any($2)) and coalesce(c.alerts, true)
order by u.id
limit $3
