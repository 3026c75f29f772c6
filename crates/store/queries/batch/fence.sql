-- Only the holder of the current token commits for a lane, and only where everything lies that it has committed before: a
-- standby that was promoted, or a backup, may lack some of it. No row updated means that it is not so: roll back and let go.
-- First in the transaction, so that two owners meet here and not on group rows.
update lane_state set
    lease_until = clock_timestamp() + interval '5 s',
    attempts = 0,
    -- A gateway whose clock is ahead must not make everything of this lane look committed.
    committed_through = greatest(committed_through, least($4::timestamptz, clock_timestamp() + interval '5 min')),
    notice_records = notice_records + $5,
    deploy_records = deploy_records + $6,
    ledger_records = ledger_records + $7,
    stats_records = stats_records + $8,
    dead_records = dead_records + $9,
    gone_records = gone_records + $10
where epoch = $1 and lane = $2 and token = $3
    and notice_records + deploy_records + ledger_records + stats_records + dead_records + gone_records = $11
returning notice_records + deploy_records + ledger_records + stats_records + dead_records + gone_records as "accounted!"
