-- Journals of gateways that have something which the database does not, or were heard of in the last day; those with the most first.
select journal, sum(waiting)::bigint as "waiting!", min(oldest_unacked_at) filter (where waiting > 0) as oldest_at,
    max(updated_at) as "as_of!"
from (
    select c.journal, c.oldest_unacked_at, c.updated_at, greatest(c.head_seq - c.wm - coalesce((
        select sum(c.runs[i + 1] - c.runs[i] + 1) from generate_series(1, cardinality(c.runs), 2) i), 0), 0) as waiting
    from journal_cursor c
) c
group by journal
having sum(waiting) > 0 or max(updated_at) > now() - interval '1 day'
order by 2 desc, 4 desc, 1
limit $1
