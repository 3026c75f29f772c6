-- The next small chunks of a lane in one stretch of time, those that end behind $3: the ones that a merge could fill up.
-- In the order of the index alone. With anything more to sort by, the whole rest of the stretch is read for each part of it where
-- statistics do not know yet how much that is.
select c.last_id, c.fingerprint_id
from chunk c
where c.project_id = $1 and c.lane = $2
    and c.last_id > $3 and c.last_id < $4
    and c.last_at >= $5 and c.last_at < $6
    and c.notice_count < $7 and c.raw_bytes < $8
order by c.last_id
limit $9
