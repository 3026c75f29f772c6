-- Lanes whose accounted records and whose records with an end are not equally many.
with accounted as (
    select epoch, lane, sum(wm + coalesce((
        select sum(runs[i + 1] - runs[i] + 1) from generate_subscripts(runs, 1) i where i % 2 = 1
    ), 0)) as record_count
    from journal_cursor
    group by epoch, lane
),
compared as (
    select
        l.lane,
        coalesce(a.record_count, 0)::bigint + l.forgotten_records as accounted,
        l.notice_records + l.deploy_records + l.ledger_records + l.stats_records + l.dead_records + l.gone_records + l.repeat_records + l.attachment_records as ended
    from lane_state l
    left join accounted a on a.epoch = l.epoch and a.lane = l.lane
)
select lane, accounted as "accounted!", ended as "ended!" from compared where accounted <> ended order by lane
