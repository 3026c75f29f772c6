-- Finding groups: by whom they were met, by the files and functions that an error passed through, by who has to deal with them.

-- Who met what, by the hash that user_sketch is made of. A row is written once: what a user meets again changes nothing.
-- It hangs on the fingerprint, so that merges hold for it, too. Of a fingerprint that ten thousand users met the rest is left out.
create table user_met (
    project_id bigint not null,
    user_hash bigint not null,
    fingerprint_id bigint not null,
    primary key (project_id, user_hash, fingerprint_id)
);

-- What small sketches hold is known: the form (1), then hashes of eight bytes each, little endian.
insert into user_met (project_id, user_hash, fingerprint_id)
select s.project_id, ('x' || encode(
        substr(s.sketch, n * 8 + 9, 1) || substr(s.sketch, n * 8 + 8, 1) || substr(s.sketch, n * 8 + 7, 1) || substr(s.sketch, n * 8 + 6, 1)
        || substr(s.sketch, n * 8 + 5, 1) || substr(s.sketch, n * 8 + 4, 1) || substr(s.sketch, n * 8 + 3, 1) || substr(s.sketch, n * 8 + 2, 1),
        'hex'))::bit(64)::bigint, s.fingerprint_id
from user_sketch s
cross join lateral generate_series(0, (length(s.sketch) - 1) / 8 - 1) n
where length(s.sketch) > 8 and get_byte(s.sketch, 0) = 1
on conflict do nothing;

-- Of in-app frames, one a line; null for groups that are older than these columns.
alter table grp_text add column files text, add column functions text;

-- Few groups are somebody's, and only people change that: most batches never touch it.
create index grp_by_assignee on grp (project_id, assignee_id) where assignee_id is not null;

grant select, insert, update, delete on user_met to croak_worker;
grant select on user_met to croak_web;

-- Searches that people keep: each their own, and those that they share with everybody of the project.
create table saved_search (
    id bigint generated always as identity primary key,
    project_id bigint not null references project (id) on delete cascade,
    user_id bigint not null references user_account (id) on delete cascade,
    is_shared boolean not null,
    name text not null constraint saved_search_name_is_short check (length(name) between 1 and 80),
    query text not null constraint saved_search_query_is_short check (length(query) <= 500),
    state text not null constraint saved_search_state_known check (state in ('all', 'unresolved', 'resolved', 'muted')),
    sort text not null constraint saved_search_sort_known check (sort in ('last_seen', 'first_seen', 'count', 'users')),
    created_at timestamptz not null default now(),
    constraint saved_search_has_one_name unique (project_id, user_id, name)
);
create index saved_search_user on saved_search (user_id);

-- Addresses that newsreaders ask, without a session: each has the eyes of whoever made it, while that person is a member.
create table feed (
    id bigint generated always as identity primary key,
    project_id bigint not null references project (id) on delete cascade,
    user_id bigint not null references user_account (id) on delete cascade,
    search_id bigint references saved_search (id) on delete cascade, -- null: all that is unresolved
    token_sha256 bytea not null unique check (length(token_sha256) = 32),
    created_at timestamptz not null default now()
);
create index feed_user on feed (user_id, project_id);
create index feed_project on feed (project_id);
create index feed_search on feed (search_id);

grant select, insert, update, delete on saved_search, feed to croak_worker;
grant usage on all sequences in schema public to croak_worker;
grant select on saved_search, feed to croak_web;

-- Notices that `croak generate` makes, and how far it came. Operators' own: services have nothing to do with it.
create table generated (
    project_id bigint primary key references project (id) on delete cascade,
    group_count bigint not null,
    notice_count bigint not null,
    slices_done bigint not null default 0,
    notices_done bigint not null default 0,
    ends_at timestamptz not null default now()
);

-- Columns that are new in a table with many rows: until it is looked at anew, the planner takes `is null` for rare, and reads lists by sorting all.
analyze grp;
analyze grp_text;
