-- Notices of groups per column of a chart whose columns are whole days.
select p.group_id, ((d.day - ($3::timestamptz at time zone 'utc')::date) * 86400 / $4::bigint)::bigint as "bar!",
    sum(d.notice_count)::bigint as "count!"
from fingerprint p
join fingerprint_day d on d.project_id = p.project_id and d.fingerprint_id = p.id
where p.project_id = $1 and p.group_id = any($2::bigint[]) and d.day >= ($3::timestamptz at time zone 'utc')::date
group by 1, 2
