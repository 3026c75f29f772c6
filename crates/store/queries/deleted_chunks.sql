-- One slice of the chunks of fingerprints that were deleted, written down as expired in the same statement.
with old as (
    select c.project_id, c.fingerprint_id, c.last_id, c.id, c.last_at
    from chunk c
    where c.project_id = $1 and c.fingerprint_id = any($2::bigint[])
    limit $3
), gone as (
    delete from chunk d using old
    where d.project_id = old.project_id and d.fingerprint_id = old.fingerprint_id and d.last_id = old.last_id and d.id = old.id
        and d.last_at = old.last_at
    returning d.project_id, d.fingerprint_id, (d.last_at at time zone 'utc')::date as day, d.notice_count, d.codec, d.body
), noted as (
    insert into expired (project_id, fingerprint_id, day, notice_count)
    select project_id, fingerprint_id, day, sum(notice_count)
    from gone
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (project_id, fingerprint_id, day) do update set notice_count = expired.notice_count + excluded.notice_count
)
select codec, body from gone
