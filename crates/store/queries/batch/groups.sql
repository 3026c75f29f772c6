-- Totals and last sight of known groups. A resolved group whose error came back is reopened, and so is a muted one whose mute has
-- ended: its version then is one above the one that resolve.sql saw.
--
-- A merge, or the end of a group, that was committed while resolve.sql waited for its lock has moved fingerprints that
-- resolve.sql had read before.
-- Only those that are still where it saw them are added, and the answer says how many: their groups are locked, so they stay.
with touched as (
    select
        f.project_id, f.group_id, sum(given.notice_count)::bigint as notice_count,
        min(given.first_at) as first_at, max(given.last_at) as last_at, count(*) as fingerprint_count,
        max(given.last_at) filter (where given.may_reopen) as back_at, bool_or(given.is_elsewhere) as is_elsewhere
    from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::timestamptz[], $6::timestamptz[], $7::bool[], $8::bool[])
        as given (project_id, fingerprint_id, group_id, notice_count, first_at, last_at, may_reopen, is_elsewhere)
    join fingerprint f on f.project_id = given.project_id and f.id = given.fingerprint_id and f.group_id = given.group_id
    group by f.project_id, f.group_id
),
users as (
    select * from unnest($9::bigint[], $10::bigint[], $11::int[]) as users (project_id, group_id, user_count)
),
decided as (
    select
        t.*, g.notice_count + t.notice_count as total, coalesce(u.user_count, g.user_count) as user_count,
        case
            when g.state = 'resolved' and g.resolved_at < t.back_at then
                case when g.resolved_after is null then 'came_back' else 'later_release' end
            -- Housekeep opened it, and nothing came since.
            when g.state = 'unresolved' and g.mute_until is not null then 'mute_over'
            when g.state <> 'muted' then null
            when g.mute_until <= now() then 'mute_time'
            when g.mute_notice_count <= g.notice_count + t.notice_count then 'mute_notices'
            when g.mute_user_count <= coalesce(u.user_count, g.user_count) then 'mute_users'
            when g.mute_environment is not null and t.is_elsewhere then 'mute_elsewhere'
        end as back
    from touched t
    join grp g on g.project_id = t.project_id and g.id = t.group_id and g.deleted_at is null
    left join users u on u.project_id = t.project_id and u.group_id = t.group_id
)
update grp g set
    notice_count = d.total,
    count_bucket = count_bucket(d.total),
    user_count = d.user_count,
    user_bucket = count_bucket(d.user_count),
    first_seen_at = least(g.first_seen_at, d.first_at),
    last_seen_at = greatest(g.last_seen_at, d.last_at),
    last_seen_bucket = seen_bucket(greatest(g.last_seen_at, d.last_at)),
    state = case when d.back is null then g.state else 'unresolved' end,
    resolved_at = case when d.back is null then g.resolved_at end,
    resolved_after = case when d.back is null then g.resolved_after end,
    mute_until = case when d.back is null then g.mute_until end,
    mute_notice_count = case when d.back is null then g.mute_notice_count end,
    mute_user_count = case when d.back is null then g.mute_user_count end,
    mute_environment = case when d.back is null then g.mute_environment end,
    version = g.version + (d.back is not null)::int
from decided d
where g.project_id = d.project_id and g.id = d.group_id
returning g.project_id, g.id, d.fingerprint_count as "fingerprint_count!", d.back
