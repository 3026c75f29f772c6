-- Environments (most frequent first) and releases of the groups of one page.
select p.group_id, f.key, f.value, min(f.first_seen_at) as "first_seen_at!", max(f.last_seen_at) as "last_seen_at!"
from fingerprint p
join facet f on f.project_id = p.project_id and f.fingerprint_id = p.id
where p.project_id = $1 and p.group_id = any($2::bigint[]) and f.key in ('environment', 'release') and not f.is_other
group by p.group_id, f.key, f.value
order by p.group_id, sum(f.notice_count) desc, f.value
