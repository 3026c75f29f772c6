-- Forgets the accounted sets of journals that nothing has come from for long; their lanes remember how many records it were.
with forgotten as (
    delete from journal_cursor
    where updated_at < now() - $1 * interval '1 day'
    returning epoch, lane, wm + coalesce((
        select sum(runs[i + 1] - runs[i] + 1) from generate_subscripts(runs, 1) i where i % 2 = 1
    ), 0) as record_count
),
noted as (
    update lane_state l set forgotten_records = l.forgotten_records + f.record_count
    from (select epoch, lane, sum(record_count)::bigint as record_count from forgotten group by epoch, lane) f
    where l.epoch = f.epoch and l.lane = f.lane
)
select count(*) as "journal_count!" from forgotten
