-- Notices of each of the last 24 hours; hour 23 is the present one.
select m.project_id, 23 - (extract(epoch from date_trunc('hour', now()) - date_trunc('hour', m.minute)) / 3600)::int as "hour!",
    sum(m.stored)::bigint as "stored!"
from project_minute m
where m.project_id = any($1::bigint[]) and m.minute >= date_trunc('hour', now()) - interval '23 hours' and m.minute < now() + interval '1 minute'
group by 1, 2
