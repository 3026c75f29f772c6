-- Newest first. A deploy's new groups are those first seen between it and the next deploy of the same environment.
select d.id, d.environment, d.revision, d.repository, d.username, d.version, d.message, d.at,
    (select count(*) from grp g where g.project_id = d.project_id and g.merged_into is null and g.deleted_at is null and g.first_seen_at >= d.at
        and g.first_seen_at < coalesce(
            (select min(n.at) from deploy n where n.project_id = d.project_id and n.environment = d.environment and n.at > d.at),
            'infinity')) as "new_group_count!"
from deploy d
where d.project_id = $1
    and ($2::bigint is null or (d.at, d.id) < ('epoch'::timestamptz + $2::bigint * interval '1 microsecond', $3::uuid))
order by d.at desc, d.id desc
limit $4
