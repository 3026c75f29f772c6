-- Bodies of chunks whose places are known.
select c.id, c.fingerprint_id, c.codec, c.body
from unnest($2::bigint[], $3::bigint[], $4::uuid[], $5::timestamptz[]) as k(id, fingerprint_id, last_id, last_at)
join chunk c on c.project_id = $1 and c.fingerprint_id = k.fingerprint_id and c.last_id = k.last_id
    and c.id = k.id and c.last_at = k.last_at
