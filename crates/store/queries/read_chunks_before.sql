-- Chunks of these fingerprints that hold notices before an id ($3), latest end first. A chunk around the id ends
-- before $4, because a chunk is never longer than one span. ($5, $6) is the last chunk of the look before.
select c.id as "id!", c.fingerprint_id as "fingerprint_id!", c.last_id as "last_id!", c.last_at as "last_at!",
    c.notice_count as "notice_count!", c.raw_bytes as "raw_bytes!"
from unnest($2::bigint[]) as f(id)
cross join lateral (
    select * from chunk c
    where c.project_id = $1 and c.fingerprint_id = f.id
        and ($3::uuid is null or c.first_id < $3) and ($4::uuid is null or c.last_id < $4)
        and ($5::uuid is null or (c.last_id <= $5 and (c.last_id, c.id) < ($5, $6::bigint)))
    order by c.last_id desc, c.id desc
    limit $7
) c
order by c.last_id desc, c.id desc
limit $7
