-- The chunk of these fingerprints that ends first after an id: its end is a notice after it.
select c.id as "id!", c.fingerprint_id as "fingerprint_id!", c.last_id as "last_id!", c.last_at as "last_at!",
    c.notice_count as "notice_count!", c.raw_bytes as "raw_bytes!"
from unnest($2::bigint[]) as f(id)
cross join lateral (
    select * from chunk c
    where c.project_id = $1 and c.fingerprint_id = f.id and c.last_id > $3
    order by c.last_id
    limit 1
) c
order by c.last_id
limit 1
