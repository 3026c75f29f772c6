-- A lane that this owner holds already, or that nobody does. The step of the token is random as in claim_free_lanes.sql.
update lane_state set
    token = token + 1 + (random() * 1000000)::bigint,
    attempts = attempts + (not released and owner is distinct from $2)::int,
    owner = $2,
    released = false,
    lease_until = clock_timestamp() + interval '5 s'
where lane = $1
    and (owner = $2 or released or lease_until not between clock_timestamp() and clock_timestamp() + interval '10 s')
returning
    epoch, token, attempts,
    notice_records + deploy_records + ledger_records + stats_records + dead_records + gone_records + repeat_records + attachment_records as "accounted!"
