-- Chunks that end after an id ($3) and begin before another ($4); they end before $5. $6 has been opened already.
select c.id, c.fingerprint_id, c.last_id, c.last_at, c.notice_count, c.raw_bytes
from chunk c
where c.project_id = $1 and c.fingerprint_id = any($2::bigint[])
    and c.last_id > $3 and c.first_id < $4 and c.last_id < $5 and c.id <> $6
