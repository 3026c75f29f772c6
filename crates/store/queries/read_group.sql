select g.id, g.state, g.version, g.notice_count, g.user_count, g.count_bucket, g.user_bucket,
    g.first_seen_at, g.last_seen_at, g.last_seen_bucket, g.resolved_at, g.assignee_id,
    (select coalesce(nullif(u.name, ''), u.email) from user_account u where u.id = g.assignee_id) as assignee_name,
    t.class, t.message, t.culprit,
    -- Croak itself reopens a group when its error comes back, and nothing has been done since.
    coalesce(g.state = 'unresolved' and (select h.kind = 'reopened' and h.actor_id is null from grp_history h
        where h.project_id = g.project_id and h.group_id = g.id order by h.at desc, h.id desc limit 1), false) as "came_back!"
from grp g
join grp_text t on t.project_id = g.project_id and t.group_id = g.id
where g.project_id = $1 and g.id = $2 and g.merged_into is null and g.deleted_at is null
