-- The next small chunks of a lane in one stretch of time, behind ($3, $4): those that a merge could fill up.
select c.last_id, c.id, c.fingerprint_id
from chunk c
where c.project_id = $1 and c.lane = $2
    and c.last_id >= $3 and (c.last_id, c.id) > ($3, $4::bigint) and c.last_id < $5
    and c.last_at >= $6 and c.last_at < $7
    and c.notice_count < $8 and c.raw_bytes < $9
order by c.last_id, c.id
limit $10
