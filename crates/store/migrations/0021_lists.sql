-- Lists of groups stay short work where very many groups are alike: their indexes go on by the number of the group inside a bucket.

-- Groups without a count are apart from those with one, so that each bucket up to 11 (seven and less) has one count.
create or replace function count_bucket(n bigint) returns smallint language sql immutable as
    $$ select case when n < 1 then -1 else floor(4 * ln(n::float8) / ln(2::float8)) end::smallint $$;
alter table grp alter column user_bucket set default -1, alter column count_bucket set default -1;
update grp set user_bucket = -1 where user_count < 1 and user_bucket = 0;
update grp set count_bucket = -1 where notice_count < 1 and count_bucket = 0;

drop index grp_by_last_seen, grp_by_count, grp_by_users, grp_by_state;
create index grp_by_last_seen on grp (project_id, last_seen_bucket desc, id desc);
create index grp_by_count on grp (project_id, count_bucket desc, id desc);
create index grp_by_users on grp (project_id, user_bucket desc, id desc);
create index grp_by_state on grp (project_id, state, last_seen_bucket desc, id desc);

-- From a group to its fingerprints without looking at them: a search for a facet takes this way for each group that it meets.
drop index fingerprint_group;
create index fingerprint_group on fingerprint (project_id, group_id) include (id);

-- And from the fingerprints that have a value of a facet to their groups.
create unique index fingerprint_id on fingerprint (project_id, id) include (group_id);
alter table fingerprint drop constraint fingerprint_project_id_id_key;

-- The rows were written anew.
analyze grp;
