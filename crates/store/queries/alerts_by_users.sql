-- Rules that are met by how many users met a group: by each group once.
insert into alert (project_id, rule_id, group_id, kind, body, is_meant)
select r.project_id, r.id, met.id, 'group.users', jsonb_build_object('threshold', r.threshold, 'counted', met.user_count), r.search = ''
from alert_rule r
cross join lateral (
    select g.id, g.user_count
    from grp g
    where g.project_id = r.project_id and g.last_seen_bucket >= seen_bucket(now() - $1 * interval '1 second')
        and g.state = 'unresolved' and g.deleted_at is null and g.user_count >= r.threshold
        and (r.environments = '{}' or exists (
            select from fingerprint e join facet v on v.project_id = e.project_id and v.fingerprint_id = e.id
            where e.project_id = g.project_id and e.group_id = g.id and v.key = 'environment' and v.value = any(r.environments)))
        and not exists (select from alert a where a.rule_id = r.id and a.group_id = g.id and a.kind = 'group.users')
    order by g.id
    limit $2
) met
where r.enabled and r.trigger = 'users'
