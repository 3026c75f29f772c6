-- A lane that this owner holds already, or that nobody does. The step of the token is random as in claim_free_lanes.sql.
update lane_state set
    token = token + 1 + (random() * 1000000)::bigint,
    attempts = attempts + (not released and owner is distinct from $3)::int,
    owner = $3,
    released = false,
    lease_until = clock_timestamp() + interval '5 s'
where epoch = $1 and lane = $2 and (owner = $3 or lease_until < clock_timestamp())
returning
    token, attempts,
    notice_records + deploy_records + ledger_records + stats_records + dead_records + gone_records as "accounted!"
