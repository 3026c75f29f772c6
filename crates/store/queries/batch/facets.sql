-- Counts values of facets, each once in the list. Which of them have a row of their own was decided before.
insert into facet as kept (project_id, fingerprint_id, key, is_other, value, notice_count, first_seen_at, last_seen_at)
select *
from unnest(
    $1::bigint[], $2::bigint[], $3::text[], $4::bool[], $5::text[], $6::bigint[], $7::timestamptz[], $8::timestamptz[]
) as given (project_id, fingerprint_id, key, is_other, value, notice_count, first_seen_at, last_seen_at)
order by project_id, fingerprint_id, key, is_other, value
on conflict (project_id, fingerprint_id, key, is_other, value) do update set
    notice_count = kept.notice_count + excluded.notice_count,
    first_seen_at = least(kept.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(kept.last_seen_at, excluded.last_seen_at)
