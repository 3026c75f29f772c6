-- The groups of a project that came most in a week; only new ones if so asked.
select g.id, t.class, t.message, came.notice_count as "notice_count!", came.before_count as "before_count!"
from (
    select f.group_id,
        coalesce(sum(d.notice_count) filter (where d.day >= $2), 0)::bigint as notice_count,
        coalesce(sum(d.notice_count) filter (where d.day < $2), 0)::bigint as before_count
    from fingerprint_day d
    join fingerprint f on f.project_id = d.project_id and f.id = d.fingerprint_id
    where d.project_id = $1 and d.day >= $2::date - 7 and d.day < $2::date + 7
    group by f.group_id
) came
join grp g on g.project_id = $1 and g.id = came.group_id
join grp_text t on t.project_id = g.project_id and t.group_id = g.id
where came.notice_count > 0 and g.deleted_at is null and (not $3 or (g.first_seen_at >= $2 and g.first_seen_at < $2::date + 7))
order by came.notice_count desc, g.id
limit $4
