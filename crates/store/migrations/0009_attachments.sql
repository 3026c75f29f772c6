-- Files that clients attach to their events. A file comes in parts, each a record of its own, and a last record that says what
-- it is and how many parts there are: it is shown when all of them are there.

-- What a file is. Its id is made of the event's id, its names and its content: what is sent again is there already.
create table attachment (
    project_id bigint not null,
    id uuid not null,
    client_id text not null,             -- the event's, as its client gave it
    upload uuid not null,                -- whose parts these are
    name text not null,
    content_type text not null,
    attachment_type text not null,
    byte_length bigint not null check (byte_length >= 0),
    part_count int not null check (part_count >= 0),
    sha256 bytea not null check (length(sha256) = 32),
    lane int not null,
    at timestamptz not null,             -- accepted_at, clamped to the live partitions
    primary key (project_id, id)
);
create index attachment_of_notice on attachment (project_id, client_id);
create index attachment_at on attachment (project_id, at);

-- The bytes. An upload that was broken off has parts and no attachment: nobody is shown them, and they go with their day.
create table attachment_part (
    project_id bigint not null,
    upload uuid not null,
    part int not null check (part >= 0),
    at timestamptz not null,             -- partition key: of the upload, clamped to the live partitions
    byte_length int not null check (byte_length >= 0),
    codec smallint not null,             -- 0: as it is, 1: zstd
    body bytea not null,
    primary key (project_id, upload, part, at)
) partition by range (at);
alter table attachment_part alter column body set storage external;

-- Records of attachments: parts and ends, also those of a file that was there already and of one that was given up.
alter table lane_state add column attachment_records bigint not null default 0;

create or replace function partition_names() returns table (parent text) language sql immutable as
    $$ values ('fingerprint_minute'), ('project_minute'), ('chunk'), ('stats_record'), ('attachment_part') $$;

-- Drops the bodies, statistics, attachments and minutes by project of one day (UTC) and writes down how many notices went.
create or replace function day_expire(day date) returns bigint language plpgsql security definer set search_path = public as $$
declare
    suffix text := '_' || to_char(day, 'YYYYMMDD');
    gone bigint := 0;
    p text;
begin
    if to_regclass('public.chunk' || suffix) is not null then
        execute format('lock table %I in exclusive mode', 'chunk' || suffix);
        execute format('insert into expired (project_id, fingerprint_id, day, notice_count)
            select project_id, fingerprint_id, $1, sum(notice_count) from %I group by 1, 2 order by 1, 2
            on conflict (project_id, fingerprint_id, day)
            do update set notice_count = expired.notice_count + excluded.notice_count', 'chunk' || suffix) using day;
        execute format('select coalesce(sum(notice_count), 0) from %I', 'chunk' || suffix) into gone;
    end if;
    foreach p in array array['chunk', 'stats_record', 'project_minute', 'attachment_part'] loop
        execute format('drop table if exists %I', p || suffix);
    end loop;
    delete from attachment where at < (day + 1)::timestamp at time zone 'utc';
    return gone;
end $$;

-- Attachments have the days that bodies have. Minutes are rolled up and gone on the older ones: their days are not made again.
do $$
declare
    day date;
begin
    for day in select partition_days('chunk') loop
        execute format('create table if not exists %I partition of attachment_part for values from (%L) to (%L)',
            'attachment_part_' || to_char(day, 'YYYYMMDD'), day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
    end loop;
end $$;

grant select, insert, delete on attachment, attachment_part to croak_worker;
grant select on attachment, attachment_part to croak_web;
