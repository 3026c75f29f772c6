-- The sums of groups ($2) whose fingerprints have been moved, and when they were first and last seen: as it was for each of them
-- and for what is still merged into them before they were merged, and since then as their fingerprints say. Where the bodies
-- have gone by retention the day of the last notice is known.
with recursive tree as (
    select id as root_id, id from unnest($2::bigint[]) as given (id)
    union
    select tree.root_id, g.id from tree join grp g on g.project_id = $1 and g.merged_into = tree.id
),
own as (
    select tree.root_id, count(*) > 1 as has_others,
        min(coalesce(g.own_first_seen_at, g.first_seen_at)) as first_at, max(coalesce(g.own_last_seen_at, g.last_seen_at)) as last_at
    from tree join grp g on g.project_id = $1 and g.id = tree.id
    group by tree.root_id
),
counted as (
    select f.group_id, sum(d.notice_count)::bigint as notice_count, max(d.day)::timestamp at time zone 'utc' as last_day
    from fingerprint f
    join fingerprint_day d on d.project_id = f.project_id and d.fingerprint_id = f.id
    where f.project_id = $1 and f.group_id = any($2::bigint[])
    group by f.group_id
),
newest as (
    select f.group_id, max(c.last_at) as last_at
    from fingerprint f
    cross join lateral (
        select c.last_at from chunk c where c.project_id = f.project_id and c.fingerprint_id = f.id order by c.last_id desc limit 1
    ) c
    where f.project_id = $1 and f.group_id = any($2::bigint[])
    group by f.group_id
),
users as (
    select * from unnest($2::bigint[], $3::int[]) as users (group_id, user_count)
)
update grp g set
    notice_count = coalesce(c.notice_count, 0),
    count_bucket = count_bucket(coalesce(c.notice_count, 0)),
    user_count = u.user_count,
    user_bucket = count_bucket(u.user_count),
    first_seen_at = o.first_at,
    last_seen_at = greatest(o.last_at, n.last_at, c.last_day),
    last_seen_bucket = seen_bucket(greatest(o.last_at, n.last_at, c.last_day)),
    own_first_seen_at = case when o.has_others then coalesce(g.own_first_seen_at, g.first_seen_at) end,
    own_last_seen_at = case when o.has_others then coalesce(g.own_last_seen_at, g.last_seen_at) end,
    -- What came for the one that is taken back ($4) while it was merged came after it had been resolved.
    state = case when g.id = $4 and g.state = 'resolved' and greatest(n.last_at, c.last_day) > g.resolved_at then 'unresolved' else g.state end,
    resolved_at = case when g.id = $4 and g.state = 'resolved' and greatest(n.last_at, c.last_day) > g.resolved_at then null else g.resolved_at end,
    resolved_after = case when g.id = $4 and g.state = 'resolved' and greatest(n.last_at, c.last_day) > g.resolved_at then null else g.resolved_after end,
    -- As many more as before may come to the one that gives back.
    mute_notice_count = g.mute_notice_count + case when g.id = $4 then 0 else coalesce(c.notice_count, 0) - g.notice_count end,
    version = g.version + 1
from own o
join users u on u.group_id = o.root_id
left join counted c on c.group_id = o.root_id
left join newest n on n.group_id = o.root_id
where g.project_id = $1 and g.id = o.root_id
returning g.id, g.version
