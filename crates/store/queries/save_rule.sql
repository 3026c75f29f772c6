-- Makes a rule (0), or changes one in the version that was seen.
with made as (
    insert into alert_rule (
        project_id, name, trigger, threshold, window_minutes, search, environments, severity_min,
        destination_ids, quiet_from, quiet_until, time_zone, digest_minutes, enabled
    )
    select $2, $4, $5, $6, $7, $8, $9::text[], $10, $11::bigint[], $12, $13, $14, $15, $16 where $1::bigint = 0
    returning id, version
),
changed as (
    update alert_rule
    set name = $4, trigger = $5, threshold = $6, window_minutes = $7, search = $8, environments = $9, severity_min = $10,
        destination_ids = $11, quiet_from = $12, quiet_until = $13, time_zone = $14, digest_minutes = $15, enabled = $16,
        version = version + 1
    where id = $1 and project_id = $2 and version = $3
    returning id, version
)
select id as "id!", version as "version!" from made union all select id, version from changed
