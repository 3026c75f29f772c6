-- Small chunks of one fingerprint and lane that lie in one stretch of time ($4 to $5, as ids and as times) with both ends,
-- in the order in which they became visible.
select c.id, c.last_id, c.last_at, c.notice_count, c.raw_bytes
from chunk c
where c.project_id = $1 and c.fingerprint_id = $2 and c.lane = $3
    and c.first_id >= $4 and c.last_id >= $4 and c.last_id < $5
    and c.last_at >= $6 and c.last_at < $7
    and c.notice_count < $8 and c.raw_bytes < $9
order by c.xid, c.id
