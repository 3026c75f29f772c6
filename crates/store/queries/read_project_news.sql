-- The newest notice and the newest deploy of each project.
select p.id as "project_id!", seen.last_seen_at as "last_seen_at?", deployed.at as "last_deploy_at?", deployed.what as "last_deploy?"
from unnest($1::bigint[]) as p(id)
left join lateral (
    -- Only the newest bucket's groups can hold the newest notice. In a flood of new ones the newest thousand are enough.
    select max(newest.last_seen_at) as last_seen_at from (
        select g.last_seen_at from grp g
        where g.project_id = p.id and g.last_seen_bucket = (select max(n.last_seen_bucket) from grp n where n.project_id = p.id)
        order by g.id desc limit 1000
    ) newest
) seen on true
left join lateral (
    select d.at, coalesce(nullif(d.version, ''), nullif(left(d.revision, 10), ''), d.environment) as what
    from deploy d where d.project_id = p.id order by d.at desc limit 1
) deployed on true
