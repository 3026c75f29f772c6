-- Counts the values of facets. A fingerprint has at most $8 keys (environment and release always have a place) and a
-- key at most $9 values; what comes later is counted in the row with is_other.
with given as (
    select *
    from unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::timestamptz[], $7::timestamptz[])
        as given (project_id, fingerprint_id, key, value, notice_count, first_at, last_at)
),
given_keys as (
    select k.*, (
        select count(*) from facet f
        where f.project_id = k.project_id and f.fingerprint_id = k.fingerprint_id and f.key = k.key and not f.is_other
    ) as value_count
    from (select distinct project_id, fingerprint_id, key from given) k
),
given_fingerprints as (
    select p.*, (
        select count(distinct f.key) from facet f
        where f.project_id = p.project_id and f.fingerprint_id = p.fingerprint_id
    ) as key_count
    from (select distinct project_id, fingerprint_id from given) p
),
keys as (
    select project_id, fingerprint_id, key, value_count
    from (
        select k.*, key_count, row_number() over (
            partition by k.project_id, k.fingerprint_id, k.value_count > 0
            order by k.key in ('environment', 'release') desc, k.key
        ) as place
        from given_keys k join given_fingerprints using (project_id, fingerprint_id)
    ) ranked
    where value_count > 0 or key_count + place <= $8 or key in ('environment', 'release')
),
ranked as (
    select given.*, value_count, f.value is not null as is_known, row_number() over (
        partition by given.project_id, given.fingerprint_id, given.key, f.value is not null
        order by given.notice_count desc, given.value
    ) as place
    from given
    join keys using (project_id, fingerprint_id, key)
    left join facet f
        on f.project_id = given.project_id and f.fingerprint_id = given.fingerprint_id
        and f.key = given.key and not f.is_other and f.value = given.value
),
counted as (
    select
        project_id, fingerprint_id, key, is_other, case when is_other then '' else value end as value,
        sum(notice_count)::bigint as notice_count, min(first_at) as first_at, max(last_at) as last_at
    from (select *, not is_known and value_count + place > $9 as is_other from ranked) placed
    group by 1, 2, 3, 4, 5
)
insert into facet as kept (project_id, fingerprint_id, key, is_other, value, notice_count, first_seen_at, last_seen_at)
select project_id, fingerprint_id, key, is_other, value, notice_count, first_at, last_at
from counted
order by project_id, fingerprint_id, key, is_other, value
on conflict (project_id, fingerprint_id, key, is_other, value) do update set
    notice_count = kept.notice_count + excluded.notice_count,
    first_seen_at = least(kept.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at)
