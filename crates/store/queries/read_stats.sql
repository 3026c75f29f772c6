-- A project's notices by how they ended, per bucket of $4 seconds. Aligned to the epoch, so days are UTC days.
select to_timestamp(floor(extract(epoch from at) / $4::float8) * $4::float8) as "at!", ending as "ending!", reason as "reason!", sum(count)::bigint as "count!"
from (
    select minute as at, 'stored' as ending, '' as reason, stored::bigint as count
    from project_minute where project_id = $1 and minute >= $2 and minute < $3
    union all
    select minute, ending, reason, record_count
    from ledger where project_id = $1 and minute >= $2 and minute < $3
    union all
    select at, 'dead', '', 1
    from dead_notice where project_id = $1 and at >= $2 and at < $3
) counted
group by 1, 2, 3
