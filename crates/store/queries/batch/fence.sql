-- Only the holder of the current token commits for a lane. No row updated means that another worker has taken
-- it over: roll back and let go. First in the transaction, so that two owners meet here and not on group rows.
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
-- A database that was set back gives out the same tokens once more, and has forgotten what their holders remember.
where epoch = $1 and lane = $2 and token = $3 and pg_postmaster_start_time() = $11
