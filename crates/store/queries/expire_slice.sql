-- One slice of the chunks that one project no longer needs, written down as expired in the same statement.
with old as (
    select tableoid, ctid
    from chunk
    where project_id = $1 and last_at < ((now() at time zone 'utc')::date - $2::int)::timestamp at time zone 'utc'
    limit $3
), gone as (
    delete from chunk
    where (tableoid, ctid) in (select tableoid, ctid from old)
      and last_at < ((now() at time zone 'utc')::date - $2::int)::timestamp at time zone 'utc'
    returning project_id, fingerprint_id, (last_at at time zone 'utc')::date as day, notice_count
), noted as (
    insert into expired (project_id, fingerprint_id, day, notice_count)
    select project_id, fingerprint_id, day, sum(notice_count)
    from gone
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (project_id, fingerprint_id, day) do update set notice_count = expired.notice_count + excluded.notice_count
)
select count(*) as "chunk_count!", coalesce(sum(notice_count), 0)::bigint as "notice_count!" from gone
