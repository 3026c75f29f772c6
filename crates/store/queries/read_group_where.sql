-- Environments (most frequent first) and releases of the groups of one page. Each fingerprint's are looked up, whatever the
-- planner believes of tables that have just begun to grow.
select p.group_id, f.key, f.value, min(f.first_seen_at) as "first_seen_at!", max(f.last_seen_at) as "last_seen_at!"
from fingerprint p
cross join lateral (
    select * from facet f
    where f.project_id = p.project_id and f.fingerprint_id = p.id and f.key in ('environment', 'release') and not f.is_other
    offset 0
) f
where p.project_id = $1 and p.group_id = any($2::bigint[])
group by p.group_id, f.key, f.value
order by p.group_id, sum(f.notice_count) desc, f.value
