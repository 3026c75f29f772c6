-- Only the holder of the current token commits for a lane, and only where everything lies that it has committed before: a
-- standby that was promoted, or a backup, may lack some of it. No row updated means that it is not so: roll back and let go.
-- First in the transaction, so that two owners meet here and not on group rows.
update lane_state set
    lease_until = clock_timestamp() + interval '5 s',
    attempts = 0,
    -- A gateway whose clock is ahead must not make everything of this lane look committed.
    committed_through = greatest(committed_through, least($3::timestamptz, clock_timestamp() + interval '5 min')),
    notice_records = notice_records + $4,
    deploy_records = deploy_records + $5,
    ledger_records = ledger_records + $6,
    stats_records = stats_records + $7,
    dead_records = dead_records + $8,
    gone_records = gone_records + $9,
    repeat_records = repeat_records + $11,
    attachment_records = attachment_records + $12
where lane = $1 and token = $2
    and notice_records + deploy_records + ledger_records + stats_records + dead_records + gone_records + repeat_records + attachment_records = $10
returning notice_records + deploy_records + ledger_records + stats_records + dead_records + gone_records + repeat_records + attachment_records as "accounted!"
