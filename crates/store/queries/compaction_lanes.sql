-- Lanes into which the next projects ($4 of them, behind $1) got notices from $2 to $3; one row without a lane for a
-- project that got none. A range of the primary key for each project: fingerprint_minute has no index by time alone.
select p.id as "project_id!", m.lane as "lane?"
from (select id from project where id > $1 and deleted_at is null order by id limit $4) p
left join lateral (
    select distinct lane from project_minute where project_id = p.id and minute >= $2 and minute < $3
) m on true
order by 1, 2
