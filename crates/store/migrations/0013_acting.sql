-- What people on call do with groups.

-- A merge moves fingerprints: what is counted hangs on them and is not rewritten. The group that was taken in keeps its row, so
-- that its address leads on and that it can be taken back; its counts are those of no fingerprint.
alter table grp
    add column merged_into bigint,             -- the group that took it in, which may have been taken in itself
    add column own_first_seen_at timestamptz,  -- of itself, when it first took part in a merge; null while nothing was merged
    add column own_last_seen_at timestamptz,
    add constraint grp_is_not_merged_into_itself check (merged_into <> id);
create index grp_merged_into on grp (project_id, merged_into) where merged_into is not null;

-- The group that it was made with, since it was first merged into another: where it goes when that merge is taken back.
alter table fingerprint add column home_id bigint;

-- The releases of a project in the order in which they were first seen in a notice, or created by a build tool: what "later" means.
create table project_release (
    project_id bigint not null,
    version text not null,
    place bigint generated always as identity,
    primary key (project_id, version)
);
create index project_release_place on project_release (project_id, place desc);
insert into project_release (project_id, version)
select project_id, version
from (
    select project_id, value as version, min(first_seen_at) as at from facet where key = 'release' and not is_other group by 1, 2
    union all
    select p.project_id, r.version, r.created_at from release_project p join release r on r.id = p.release_id
) known
group by project_id, version
order by min(at);

-- What is said of a state beside its name.
alter table grp
    add column resolved_after bigint,      -- a place in project_release: only a notice of a later one reopens it
    add column mute_until timestamptz,     -- each of these ends a mute
    add column mute_notice_count bigint,   -- as soon as it has so many
    add column mute_user_count int,
    add column mute_environment text;      -- as soon as a notice comes from elsewhere
create index grp_mute_until on grp (mute_until) where mute_until is not null;

-- What people write about a group, in Markdown.
create table comment (
    id bigint generated always as identity primary key,
    project_id bigint not null,
    group_id bigint not null,
    author_id bigint not null,
    body text not null constraint comment_is_bounded check (length(body) between 1 and 10000),
    at timestamptz not null default now(),
    edited_at timestamptz
);
create index comment_group on comment (project_id, group_id, at);

-- One change of many groups: executed in slices, each a transaction that says how far it came. Its id is that of its command.
create table bulk (
    id uuid primary key,
    project_id bigint not null,
    actor_id bigint not null,
    change jsonb not null,
    search text,                           -- of all that it finds; null: of groups that were ticked
    state text,                            -- only of these, null: of any
    cursor text,                           -- how far it came in the list of what was found, newest first
    changed_count bigint not null default 0,
    passed_count bigint not null default 0, -- of those that were ticked: changed by somebody else meanwhile
    created_at timestamptz not null default now(),
    done_at timestamptz,
    undo_id uuid,                          -- of the command that takes it back
    undone_id bigint not null default 0,
    undone_count bigint not null default 0,
    undone_at timestamptz
);
create index bulk_to_do on bulk (created_at) where done_at is null or (undo_id is not null and undone_at is null);
create index bulk_project on bulk (project_id, created_at desc);

-- What a bulk changed: as it was, and the version that it led to.
create table bulk_group (
    bulk_id uuid not null references bulk (id) on delete cascade,
    group_id bigint not null,
    version int not null,
    state text not null,
    resolved_at timestamptz,
    resolved_after bigint,
    mute_until timestamptz,
    mute_notice_count bigint,
    mute_user_count int,
    mute_environment text,
    assignee_id bigint,
    primary key (bulk_id, group_id)
);

grant select, insert, update, delete on project_release, comment, bulk, bulk_group to croak_worker;
grant usage on all sequences in schema public to croak_worker;
grant select on project_release, comment, bulk to croak_web;

-- A deleted group is hidden at once and taken away by housekeep. Its fingerprints get hashes that nothing else has, so that what comes
-- later begins a new group. What it had counted leaves the project's total as a row of no lane (-1), less than nothing.
alter table grp add column deleted_at timestamptz;
create index grp_deleted on grp (project_id, id) where deleted_at is not null;
alter table fingerprint add column deleted_at timestamptz;

-- What a project takes out of its notices beside what is always taken out; it reaches gateways with the snapshot.
create table project_scrubbing (
    project_id bigint primary key references project (id) on delete cascade,
    fields text[] not null default '{}',   -- names
    patterns text[] not null default '{}', -- regular expressions
    ip text not null default 'keep' constraint project_scrubbing_ip_known check (ip in ('keep', 'cut', 'drop')),
    version int not null default 1,
    changed_at timestamptz not null default now(),
    changed_by bigint,
    constraint project_scrubbing_is_bounded check (cardinality(fields) <= 50 and cardinality(patterns) <= 50)
);
create trigger project_scrubbing_snapshot after insert or update or delete on project_scrubbing
    for each statement execute function snapshot_changed();

grant select, insert, update, delete on project_scrubbing to croak_worker;
grant select on project_scrubbing to croak_web;
