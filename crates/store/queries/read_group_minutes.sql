-- Notices of groups per column of a chart. What has been rolled up into hours is no longer in the minutes.
select group_id as "group_id!", floor(extract(epoch from at - $3::timestamptz) / $4::bigint)::bigint as "bar!", sum(notice_count)::bigint as "count!"
from (
    select p.group_id, m.minute as at, m.notice_count
    from fingerprint p
    join fingerprint_minute m on m.project_id = p.project_id and m.fingerprint_id = p.id
    where p.project_id = $1 and p.group_id = any($2::bigint[]) and m.minute >= $3::timestamptz
    union all
    select p.group_id, h.hour, h.notice_count
    from fingerprint p
    join fingerprint_hour h on h.project_id = p.project_id and h.fingerprint_id = p.id
    where p.project_id = $1 and p.group_id = any($2::bigint[]) and h.hour >= $3::timestamptz
) counted
group by 1, 2
