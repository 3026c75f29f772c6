-- Notices of groups per column of a chart whose columns are whole days. Each fingerprint's are looked up, as in read_group_where.sql.
select p.group_id, ((d.day - ($3::timestamptz at time zone 'utc')::date) * 86400 / $4::bigint)::bigint as "bar!",
    sum(d.notice_count)::bigint as "count!"
from fingerprint p
cross join lateral (
    select d.day, d.notice_count from fingerprint_day d
    where d.project_id = p.project_id and d.fingerprint_id = p.id and d.day >= ($3::timestamptz at time zone 'utc')::date
    offset 0
) d
where p.project_id = $1 and p.group_id = any($2::bigint[])
group by 1, 2
