-- Groups that so many users met that they meet a rule ($2): each meets it once, and again when the rule asks for more users than it did.
-- How severe is ($5) what clients call so ($4); whoever says nothing, or a word of his own, means an error ($6).
insert into alert (project_id, rule_id, group_id, kind, body, is_meant)
select r.project_id, r.id, met.id, 'group.users', jsonb_build_object('threshold', r.threshold, 'counted', met.user_count), r.search = ''
from alert_rule r
cross join lateral (
    select g.id, g.user_count
    from grp g
    where g.project_id = r.project_id and g.last_seen_bucket >= seen_bucket(now() - $1 * interval '1 second')
        and g.state = 'unresolved' and g.deleted_at is null
        and g.user_count >= r.threshold and g.user_bucket >= count_bucket(r.threshold)
        and (r.environments = '{}' or exists (
            select from fingerprint e join facet v on v.project_id = e.project_id and v.fingerprint_id = e.id
            where e.project_id = g.project_id and e.group_id = g.id and v.key = 'environment' and v.value = any(r.environments)))
        and (r.severity_min = '' or coalesce((
            select max(coalesce(s.rank, $6)) from fingerprint e
            join facet v on v.project_id = e.project_id and v.fingerprint_id = e.id
            left join unnest($4::text[], $5::int[]) as s(word, rank) on s.word = lower(v.value)
            where e.project_id = g.project_id and e.group_id = g.id and v.key = 'severity'), $6)
            >= (select s.rank from unnest($4::text[], $5::int[]) as s(word, rank) where s.word = r.severity_min))
        and not exists (
            select from alert a
            where a.rule_id = r.id and a.group_id = g.id and a.kind = 'group.users' and (a.body ->> 'threshold')::bigint >= r.threshold)
    order by g.id
    limit $3
) met
where r.id = $2 and r.enabled and r.trigger = 'users'
for key share of r
