-- Where the sums that are shown differ from the counters by day. Minutes and hours of a day add up to the day as long
-- as they are kept; a project's total and its groups' totals are sums of days.
with day as (
    select project_id, fingerprint_id, day, notice_count
    from fingerprint_day
    where $1::bigint is null or project_id = $1
), fine as (
    select project_id, fingerprint_id, (minute at time zone 'utc')::date as day, sum(notice_count) as notice_count
    from fingerprint_minute
    where $1::bigint is null or project_id = $1
    group by 1, 2, 3
    union all
    select project_id, fingerprint_id, (hour at time zone 'utc')::date, sum(notice_count)
    from fingerprint_hour
    where $1::bigint is null or project_id = $1
    group by 1, 2, 3
), fine_day as (
    select project_id, fingerprint_id, day, sum(notice_count) as notice_count from fine group by 1, 2, 3
), found as (
    select project_id, 'minutes and hours of fingerprint ' || fingerprint_id || ' on ' || day as what,
           coalesce(d.notice_count, 0) as expected, coalesce(f.notice_count, 0) as found
    from day d
    full join fine_day f using (project_id, fingerprint_id, day)
    -- Hours are kept for a fortnight: what is older may be gone.
    where day >= (now() at time zone 'utc')::date - 14
    union all
    select g.project_id, 'notice_count of group ' || g.id, coalesce(sum(d.notice_count), 0), g.notice_count
    from grp g
    left join fingerprint f on f.project_id = g.project_id and f.group_id = g.id
    left join day d on d.project_id = f.project_id and d.fingerprint_id = f.id
    -- A deleted group loses its fingerprints one by one, and its own row last.
    where ($1::bigint is null or g.project_id = $1) and g.deleted_at is null
    group by g.project_id, g.id, g.notice_count
    union all
    select project_id, 'project_tally', coalesce(d.total, 0), coalesce(t.total, 0)
    from (select project_id, sum(notice_count) as total from day group by 1) d
    full join (
        select project_id, sum(notice_count) as total
        from project_tally
        where $1::bigint is null or project_id = $1
        group by 1
    ) t using (project_id)
    union all
    select project_id, 'fingerprint ' || f.id || ' without its group', 1, 0
    from fingerprint f
    where ($1::bigint is null or project_id = $1)
      and not exists (select 1 from grp g where g.project_id = f.project_id and g.id = f.group_id)
)
select project_id as "project_id!", what as "what!", expected::bigint as "expected!", found::bigint as "found!"
from found
where expected is distinct from found
order by 1, 2
