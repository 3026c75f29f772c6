-- What cannot go on, is slow, or is about to be taken back holds up nobody else.

-- A change of many groups goes through the groups of its project by number, downwards, and looks at so many of them in a slice.
-- One that fails is put off; after some failures in a row it ends, and its page says so.
alter table bulk
    add column below_id bigint,                            -- groups below this number have not been looked at; null: none has
    add column failure_count int not null default 0,       -- in a row
    add column next_at timestamptz not null default now(), -- whose turn it is: the longest past
    add column gave_up boolean not null default false,     -- it, or taking it back, ended before its end
    add column undone_by bigint;                           -- who takes it back
create index bulk_turn on bulk (next_at) where done_at is null or (undo_id is not null and undone_at is null);

-- What is under way is found without looking at all that waits.
create index outbox_under_way on outbox (project_id, destination_id, claimed_until)
    where claimed_until is not null and recipient is null and done_at is null and gave_up_at is null;
-- Mails of accounts leave before those of alerts: their links do not last long.
create index outbox_mail_turn on outbox ((destination_id is not null), due_at)
    where recipient is not null and done_at is null and gave_up_at is null;

-- A rule that counts looks again at groups that its search did not find.
create index alert_passed_over on alert (rule_id, told_at) where told_as = 'passed_over';

-- The minute of the day in a time zone. One that this server does not know counts as UTC: the rule that has it goes on telling, and so
-- do the others.
create function minute_of_day(at timestamptz, zone text) returns int language plpgsql stable as $$
begin
    return extract(hour from at at time zone zone) * 60 + extract(minute from at at time zone zone);
exception when invalid_parameter_value then
    return extract(hour from at at time zone 'UTC') * 60 + extract(minute from at at time zone 'UTC');
end $$;

-- A retention that becomes shorter holds a day later: what it takes away does not come back.
alter table project
    add column kept_before_days int,            -- what the retention was, until
    add column kept_before_until timestamptz;
create function kept_days(p project) returns int language sql stable as $$
    select case when p.kept_before_until > now() then greatest(p.retention_days, p.kept_before_days) else p.retention_days end
$$;
