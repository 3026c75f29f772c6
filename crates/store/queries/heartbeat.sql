-- A sign of life of one worker; how many live ones fold, this one included, and how many lanes need an owner.
with me as (
    insert into worker (id, roles, command_address, control_address, version, sends_mail, alive_until)
    values ($1, $2::text[], $3, $4, $5, $6, clock_timestamp() + interval '5 s')
    on conflict (id) do update set
        roles = excluded.roles,
        command_address = excluded.command_address,
        control_address = excluded.control_address,
        alive_until = excluded.alive_until
)
select (
    ('fold' = any($2::text[]))::int
    + (select count(*) from worker where id <> $1 and 'fold' = any(roles) and alive_until between clock_timestamp() and clock_timestamp() + interval '10 s')
)::bigint as "fold_workers!",
    (select sum(lane_count) from lane_epoch where retired_at is null) as "lane_count!"
