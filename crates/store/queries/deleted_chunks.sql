-- One slice of the chunks of fingerprints that were deleted, written down as expired in the same statement.
with old as (
    select c.tableoid, c.ctid, c.last_at
    from chunk c
    where c.project_id = $1 and c.fingerprint_id = any($2::bigint[])
    limit $3
), gone as (
    delete from chunk
    where (tableoid, ctid) in (select tableoid, ctid from old)
        and last_at between (select min(last_at) from old) and (select max(last_at) from old)
    returning project_id, fingerprint_id, (last_at at time zone 'utc')::date as day, notice_count, codec, body
), noted as (
    insert into expired (project_id, fingerprint_id, day, notice_count)
    select project_id, fingerprint_id, day, sum(notice_count)
    from gone
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (project_id, fingerprint_id, day) do update set notice_count = expired.notice_count + excluded.notice_count
)
select codec, body from gone
