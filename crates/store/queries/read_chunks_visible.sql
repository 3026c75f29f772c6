-- Chunks in order of becoming visible, from ($3, $4) on. Those of transactions younger than the oldest one that still
-- runs wait: what that one writes has to come before them.
select c.xid::text as "xid!", c.id, c.fingerprint_id, c.codec, c.body
from chunk c
where c.project_id = $1 and ($2::timestamptz is null or c.last_at >= $2)
    and not exists (select from fingerprint f where f.project_id = c.project_id and f.id = c.fingerprint_id and f.deleted_at is not null)
    and c.xid < pg_snapshot_xmin(pg_current_snapshot())
    and (c.xid, c.id) >= ($3::text::xid8, $4::bigint)
order by c.xid, c.id
limit $5
