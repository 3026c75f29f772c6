-- What came of a project in a week, and in the week before.
select
    coalesce(sum(d.notice_count) filter (where d.day >= $2), 0)::bigint as "notice_count!",
    coalesce(sum(d.notice_count) filter (where d.day < $2), 0)::bigint as "before_count!",
    count(distinct f.group_id) filter (where d.day >= $2) as "group_count!",
    (select count(*) from grp g where g.project_id = $1 and g.deleted_at is null and g.merged_into is null and g.first_seen_at >= $2 and g.first_seen_at < $2::date + 7) as "fresh_count!",
    (select count(*) from grp_history h
        where h.project_id = $1 and h.kind = 'reopened' and h.actor_id is null and h.at >= $2 and h.at < $2::date + 7) as "returned_count!"
from fingerprint_day d
join fingerprint f on f.project_id = d.project_id and f.id = d.fingerprint_id
where d.project_id = $1 and d.day >= $2::date - 7 and d.day < $2::date + 7
