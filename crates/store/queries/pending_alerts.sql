-- What a rule has to tell, oldest first, with the texts of the groups.
select a.id, a.group_id, a.kind, a.at, a.body,
    coalesce(t.class, '') as "class!", coalesce(t.message, '') as "message!", coalesce(t.culprit, '') as "culprit!",
    coalesce(g.notice_count, 0) as "notice_count!", coalesce(g.user_count, 0) as "user_count!",
    coalesce(g.state, '') as "state!"
from alert a
left join grp g on g.project_id = a.project_id and g.id = a.group_id
left join grp_text t on t.project_id = a.project_id and t.group_id = a.group_id
where a.rule_id = $1 and a.told_at is null and a.is_meant
order by a.id
limit $2
