-- How many notices share a chunk, of what was accepted since a time. By lane and last id, which are indexed: an id
-- begins with its time.
select coalesce(sum(c.notice_count), 0)::bigint as "notice_count!", count(*) as "chunk_count!"
from chunk c
where c.project_id = $1
    and c.lane = any (array(select lane from lane_state))
    and c.last_id >= (lpad(to_hex((extract(epoch from $2::timestamptz) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
    and c.last_at >= $2::timestamptz
