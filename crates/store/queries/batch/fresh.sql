-- New fingerprints with a group of their own each. One that another lane has inserted meanwhile is left out of the
-- answer: it is then found by resolve.sql.
with given as (
    select *
    from unnest(
        $1::bigint[], $2::bytea[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::bigint[], $10::int[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[]
    ) as given (
        project_id, fingerprint, version, parts, class, message, culprit, words,
        notice_count, user_count, first_at, last_at, files, functions
    )
),
fresh as (
    insert into fingerprint (project_id, fingerprint, version, parts)
    select project_id, fingerprint, version, parts::jsonb from given order by project_id, fingerprint
    on conflict (project_id, fingerprint) do nothing
    returning project_id, fingerprint, id, group_id
),
groups as (
    insert into grp (
        project_id, id, notice_count, user_count, count_bucket, user_bucket,
        first_seen_at, last_seen_at, last_seen_bucket
    )
    select
        project_id, group_id, notice_count, user_count, count_bucket(notice_count), count_bucket(user_count),
        first_at, last_at, seen_bucket(last_at)
    from fresh join given using (project_id, fingerprint)
),
texts as (
    insert into grp_text (project_id, group_id, class, message, culprit, words, files, functions)
    select project_id, group_id, class, message, culprit, to_tsvector('simple', words), files, functions
    from fresh join given using (project_id, fingerprint)
)
select project_id, fingerprint, id, group_id from fresh
