-- Lanes of the installation: what gateways hold that the database does not, as they last said.
select s.lane, coalesce(w.waiting, 0)::bigint as "waiting!", w.oldest_at as "oldest_at?", s.committed_through,
    w.as_of as "as_of?", case when s.lease_until > now() then s.owner end as owner,
    exists (select from lane_epoch e where e.epoch = s.epoch and e.retired_at is not null) as "is_retired!"
from lane_state s
left join lateral (
    select sum(greatest(c.head_seq - c.wm - coalesce((
            select sum(c.runs[i + 1] - c.runs[i] + 1) from generate_series(1, cardinality(c.runs), 2) i), 0), 0)) as waiting,
        min(c.oldest_unacked_at) filter (where c.head_seq > c.wm) as oldest_at,
        max(c.updated_at) as as_of
    from journal_cursor c
    where c.epoch = s.epoch and c.lane = s.lane
) w on true
order by 2 desc, s.lane
