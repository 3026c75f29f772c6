-- Counts the values of facets. A fingerprint has at most $9 keys (environment and release always have a place) and a
-- key at most $10 values; what comes later is counted in the row with is_other.
--
-- By windows over the given rows and not by joins among them: the planner does not know how many rows a join of two
-- such lists gives, takes it for one, and then compares each with each. What a new fingerprint has is not looked for.
with given as (
    select
        g.*,
        row_number() over (partition by project_id, fingerprint_id order by key, value) = 1 as is_first
    from unnest(
        $1::bigint[], $2::bigint[], $3::bool[], $4::text[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[]
    ) as g (project_id, fingerprint_id, is_fresh, key, value, notice_count, first_at, last_at)
),
-- What is there is read once per fingerprint, and by nothing but the fingerprint: with the key in the condition a planner
-- without statistics takes the index by key, and reads the whole project's values each time. Materialized, or the window
-- below would read it again for every row.
known as materialized (
    select
        given.*,
        case when is_first and not is_fresh then (
            select jsonb_build_object('keys', count(*), 'values', jsonb_object_agg(key, value_count))
            from (
                select f.key, count(*) filter (where not f.is_other) as value_count
                from facet f
                where f.project_id = given.project_id and f.fingerprint_id = given.fingerprint_id
                group by f.key
            ) keys
        ) end as first_there,
        case when is_fresh then false else exists (
            select from facet f
            where f.project_id = given.project_id and f.fingerprint_id = given.fingerprint_id
                and f.key = given.key and not f.is_other and f.value = given.value
        ) end as is_known
    from given
),
spread as (
    select known.*, first_value(first_there) over (partition by project_id, fingerprint_id order by key, value) as there
    from known
),
counted as (
    select
        spread.*,
        coalesce((there->>'keys')::int, 0) as key_count,
        coalesce((there->'values'->>key)::int, 0) as value_count
    from spread
),
placed as (
    select
        counted.*,
        dense_rank() over (
            partition by project_id, fingerprint_id, value_count > 0
            order by key in ('environment', 'release') desc, key
        ) as key_place,
        row_number() over (
            partition by project_id, fingerprint_id, key, is_known
            order by notice_count desc, value
        ) as value_place
    from counted
),
admitted as (
    select placed.*, not is_known and value_count + value_place > $10 as is_other
    from placed
    where value_count > 0 or key_count + key_place <= $9 or key in ('environment', 'release')
)
insert into facet as kept (project_id, fingerprint_id, key, is_other, value, notice_count, first_seen_at, last_seen_at)
select
    project_id, fingerprint_id, key, is_other, case when is_other then '' else value end,
    sum(notice_count)::bigint, min(first_at), max(last_at)
from admitted
group by 1, 2, 3, 4, 5
order by 1, 2, 3, 4, 5
on conflict (project_id, fingerprint_id, key, is_other, value) do update set
    notice_count = kept.notice_count + excluded.notice_count,
    first_seen_at = least(kept.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at)
