-- Totals and last sight of known groups. A resolved group whose error came back is reopened: its version then is one
-- above the one that resolve.sql saw. The group is read through the fingerprint once more, so that a merge holds.
with touched as (
    select
        f.project_id, f.group_id, sum(given.notice_count)::bigint as notice_count,
        min(given.first_at) as first_at, max(given.last_at) as last_at
    from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
        as given (project_id, fingerprint_id, notice_count, first_at, last_at)
    join fingerprint f on f.project_id = given.project_id and f.id = given.fingerprint_id
    group by f.project_id, f.group_id
),
users as (
    select * from unnest($6::bigint[], $7::bigint[], $8::int[]) as users (project_id, group_id, user_count)
)
update grp g set
    notice_count = g.notice_count + t.notice_count,
    count_bucket = count_bucket(g.notice_count + t.notice_count),
    user_count = coalesce(u.user_count, g.user_count),
    user_bucket = count_bucket(coalesce(u.user_count, g.user_count)),
    first_seen_at = least(g.first_seen_at, t.first_at),
    last_seen_at = greatest(g.last_seen_at, t.last_at),
    last_seen_bucket = seen_bucket(greatest(g.last_seen_at, t.last_at)),
    state = case when g.state = 'resolved' and g.resolved_at < t.last_at then 'unresolved' else g.state end,
    resolved_at = case when g.state = 'resolved' and g.resolved_at < t.last_at then null else g.resolved_at end,
    version = g.version + (g.state = 'resolved' and g.resolved_at < t.last_at)::int
from touched t
left join users u on u.project_id = t.project_id and u.group_id = t.group_id
where g.project_id = t.project_id and g.id = t.group_id
returning g.project_id, g.id, g.version, g.notice_count
