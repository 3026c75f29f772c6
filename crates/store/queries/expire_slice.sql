-- One slice of the chunks that their projects no longer need, written down as expired in the same statement. Those of days that nobody
-- needs any more have gone with the days.
with old as (
    select c.*
    from project p
    cross join lateral (
        select c.project_id, c.lane, c.last_id, c.id, c.last_at
        from chunk c
        where c.project_id = p.id and c.last_at < ((now() at time zone 'utc')::date - kept_days(p))::timestamp at time zone 'utc'
        order by c.lane, c.last_id
        limit $1
    ) c
    where p.deleted_at is null
    limit $1
), gone as (
    delete from chunk d using old
    where d.project_id = old.project_id and d.lane = old.lane and d.last_id = old.last_id and d.id = old.id and d.last_at = old.last_at
    returning d.project_id, d.fingerprint_id, (d.last_at at time zone 'utc')::date as day, d.notice_count
), noted as (
    insert into expired (project_id, fingerprint_id, day, notice_count)
    select project_id, fingerprint_id, day, sum(notice_count)
    from gone
    group by 1, 2, 3
    order by 1, 2, 3
    on conflict (project_id, fingerprint_id, day) do update set notice_count = expired.notice_count + excluded.notice_count
)
select count(*) as "chunk_count!", coalesce(sum(notice_count), 0)::bigint as "notice_count!" from gone
