-- The generations of the map of lanes, and what gateways hold for them that the database does not, as they last said.
select e.epoch, e.first_lane, e.lane_count, e.created_at, e.retired_at,
    coalesce((
        select sum(greatest(c.head_seq - c.wm - coalesce((
            select sum(c.runs[i + 1] - c.runs[i] + 1) from generate_series(1, cardinality(c.runs), 2) i), 0), 0))
        from journal_cursor c where c.epoch = e.epoch
    ), 0)::bigint as "waiting!"
from lane_epoch e
order by e.epoch
