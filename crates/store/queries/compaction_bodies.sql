-- Bodies of chunks of one fingerprint ($7) that end from $3 to $4.
select c.id, c.notice_count, c.codec, c.body
from chunk c
where c.project_id = $1 and c.fingerprint_id = $2
    and c.last_id >= $3 and c.last_id <= $4
    and c.last_at >= $5 and c.last_at <= $6
    and c.id = any($7::bigint[])
