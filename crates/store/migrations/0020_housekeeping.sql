-- House is kept beside long readers and long work: partitions come without waiting for anybody, go when nobody is in the way, and
-- what sweeps look for is found by an index.

-- Makes the partitions of one day (UTC); answers how many were missing. Each is a table first and is attached then: for that nobody
-- who reads or writes its parent has to be waited for, and nobody waits behind it, however long a dump or an audit goes on.
create or replace function partition_ensure(day date) returns int
language plpgsql security definer set search_path = public set lock_timeout = '150ms' as $$
declare
    p text;
    name text;
    made int := 0;
begin
    for p in select parent from partition_names() loop
        name := p || '_' || to_char(day, 'YYYYMMDD');
        if to_regclass('public.' || name) is null then
            perform pg_advisory_xact_lock(hashtext('croak partitions'));
            continue when to_regclass('public.' || name) is not null; -- by somebody who was waited for
            execute format('create table %I (like %I including defaults including constraints including storage)%s',
                name, p, case when p in ('fingerprint_minute', 'project_minute') then ' with (fillfactor = 70)' else '' end);
            execute format('alter table %I attach partition %I for values from (%L) to (%L)',
                p, name, day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
            made := made + 1;
        end if;
    end loop;
    return made;
end $$;

-- Dropping a partition takes a lock on its parent that nobody can share, so who has the parent open for long is met with an error
-- (lock_not_available) after a moment: not now. This asks whether the lock can be had and gives it back, before dear work that
-- ends with it.
create function parent_is_free(parent text) returns void
language plpgsql set search_path = public set lock_timeout = '150ms' as $$
begin
    begin
        execute format('lock table %I in access exclusive mode', parent);
        raise exception using errcode = 'CR001', message = 'gives the lock back';
    exception when sqlstate 'CR001' then
        null;
    end;
end $$;
revoke execute on function parent_is_free(text) from public;

-- Rolls the minutes of one day (UTC) up into hours and drops their partition, in one transaction: the lock keeps
-- a batch from adding a minute to what was just summed.
create or replace function minutes_roll_up(day date) returns boolean
language plpgsql security definer set search_path = public set lock_timeout = '150ms' as $$
declare
    name text := 'fingerprint_minute_' || to_char(day, 'YYYYMMDD');
begin
    if to_regclass('public.' || name) is null then
        return false;
    end if;
    perform parent_is_free('fingerprint_minute');
    execute format('lock table %I in exclusive mode', name);
    execute format('insert into fingerprint_hour (project_id, fingerprint_id, hour, notice_count)
        select project_id, fingerprint_id, date_trunc(''hour'', minute, ''UTC''), sum(notice_count)
        from %I group by 1, 2, 3 order by 1, 2, 3
        on conflict (project_id, fingerprint_id, hour)
        do update set notice_count = fingerprint_hour.notice_count + excluded.notice_count', name);
    execute format('drop table %I', name);
    return true;
end $$;

-- Drops the bodies of one day (UTC) and writes down how many notices went.
create or replace function day_expire(day date) returns bigint
language plpgsql security definer set search_path = public set lock_timeout = '150ms' as $$
declare
    name text := 'chunk_' || to_char(day, 'YYYYMMDD');
    gone bigint;
begin
    if to_regclass('public.' || name) is null then
        return 0;
    end if;
    perform parent_is_free('chunk');
    execute format('lock table %I in exclusive mode', name);
    execute format('insert into expired (project_id, fingerprint_id, day, notice_count)
        select project_id, fingerprint_id, $1, sum(notice_count) from %I group by 1, 2 order by 1, 2
        on conflict (project_id, fingerprint_id, day)
        do update set notice_count = expired.notice_count + excluded.notice_count', name) using day;
    execute format('select coalesce(sum(notice_count), 0) from %I', name) into gone;
    execute format('drop table %I', name);
    return gone;
end $$;

-- Drops what else there is of one day (UTC), a table at a time; whether there was something.
create function day_drop(parent text, day date) returns boolean
language plpgsql security definer set search_path = public set lock_timeout = '150ms' as $$
declare
    name text := parent || '_' || to_char(day, 'YYYYMMDD');
begin
    if parent not in ('stats_record', 'project_minute', 'attachment_part') then
        raise exception 'the days of % are not dropped', parent;
    end if;
    if to_regclass('public.' || name) is null then
        return false;
    end if;
    execute format('drop table %I', name);
    return true;
end $$;
revoke execute on function day_drop(text, date) from public;
grant execute on function day_drop(text, date) to croak_worker;

-- A day of project_minute keeps its rows by minute and lane until it expires.
comment on table project_minute is 'Notices stored, by minute and lane, for as long as bodies are kept.';

-- What sweeps look for.
create index outbox_ended on outbox (coalesce(done_at, gave_up_at)) where coalesce(done_at, gave_up_at) is not null;
create index outbox_waiting on outbox (created_at) where done_at is null and gave_up_at is null;
create index alert_told_at on alert (told_at) where told_at is not null and kind <> 'group.users';
create index alert_waiting on alert (at) where told_at is null;
create index command_at on command (at);
create index bulk_created on bulk (created_at);
create index fingerprint_hour_at on fingerprint_hour (hour);

-- Who met a fingerprint that is taken away.
create index user_met_fingerprint on user_met (project_id, fingerprint_id);

-- When a destination was last reached.
create index outbox_done on outbox (destination_id, done_at desc) where done_at is not null;
-- The rows that go with a destination that is deleted: it was called a webhook before.
create index outbox_of_webhook on outbox (webhook_id) where webhook_id is not null;
