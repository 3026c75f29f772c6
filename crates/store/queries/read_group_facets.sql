-- All values of all facets of a group, the most frequent first and "other" last.
select f.key, f.value, f.is_other, sum(f.notice_count)::bigint as "notice_count!",
    min(f.first_seen_at) as "first_seen_at!", max(f.last_seen_at) as "last_seen_at!"
from fingerprint p
join facet f on f.project_id = p.project_id and f.fingerprint_id = p.id
where p.project_id = $1 and p.group_id = $2
group by f.key, f.value, f.is_other
order by f.key, f.is_other, 4 desc, f.value
