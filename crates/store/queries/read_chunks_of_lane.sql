-- Chunks of one lane that may hold an id ($3): they begin before it and end between $4 and $5. The partition key is
-- given ($6, $7) when it can be told from the id, so that only one or two days are looked at.
select c.id, c.last_id, c.codec, c.body, f.id as fingerprint_id, f.group_id, f.fingerprint, f.version, f.parts
from chunk c
join fingerprint f on f.project_id = c.project_id and f.id = c.fingerprint_id and f.deleted_at is null
where c.project_id = $1 and c.lane = $2
    and c.first_id <= $3 and c.last_id >= $4 and c.last_id < $5
    and ($6::timestamptz is null or c.last_at >= $6) and ($7::timestamptz is null or c.last_at <= $7)
    and ($8::uuid is null or (c.last_id, c.id) > ($8, $9::bigint))
order by c.last_id, c.id
limit $10
