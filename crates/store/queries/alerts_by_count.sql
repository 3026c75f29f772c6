-- How often groups came within so many minutes, and a rule ($2) that is met by it. A minute that has begun counts with the whole ones.
-- Only groups that came within $1 seconds, or within the rule's time if that is shorter, can meet it; and it is met by a group once in that time.
-- How severe is ($5) what clients call so ($4); whoever says nothing, or a word of his own, means an error ($6).
insert into alert (project_id, rule_id, group_id, kind, body, is_meant)
select r.project_id, r.id, counted.group_id, 'group.count',
    jsonb_build_object('threshold', r.threshold, 'window_minutes', r.window_minutes, 'counted', counted.notice_count), r.search = ''
from alert_rule r
cross join lateral (
    select g.id as group_id, sum(m.notice_count) as notice_count
    from grp g
    join fingerprint f on f.project_id = g.project_id and f.group_id = g.id
    join fingerprint_minute m on m.project_id = f.project_id and m.fingerprint_id = f.id
        and m.minute >= date_trunc('minute', now()) - r.window_minutes * interval '1 minute'
    where g.project_id = r.project_id
        and g.last_seen_bucket >= seen_bucket(now() - least($1::float8, (r.window_minutes + 1) * 60) * interval '1 second')
        and g.state = 'unresolved' and g.deleted_at is null
        and g.notice_count > r.threshold and g.count_bucket >= count_bucket(r.threshold)
        and (r.environments = '{}' or exists (
            select from fingerprint e join facet v on v.project_id = e.project_id and v.fingerprint_id = e.id
            where e.project_id = g.project_id and e.group_id = g.id and v.key = 'environment' and v.value = any(r.environments)
                and v.last_seen_at > now() - r.window_minutes * interval '1 minute'))
        and (r.severity_min = '' or coalesce((
            select max(coalesce(s.rank, $6)) from fingerprint e
            join facet v on v.project_id = e.project_id and v.fingerprint_id = e.id
            left join unnest($4::text[], $5::int[]) as s(word, rank) on s.word = lower(v.value)
            where e.project_id = g.project_id and e.group_id = g.id and v.key = 'severity'
                and v.last_seen_at >= date_trunc('minute', now()) - r.window_minutes * interval '1 minute'), $6)
            >= (select s.rank from unnest($4::text[], $5::int[]) as s(word, rank) where s.word = r.severity_min))
        and not exists (
            select from alert a
            where a.rule_id = r.id and a.group_id = g.id and a.kind = 'group.count' and a.at > now() - r.window_minutes * interval '1 minute')
    group by g.id
    having sum(m.notice_count) > r.threshold
    order by g.id
    limit $3
) counted
where r.id = $2 and r.enabled and r.trigger = 'count'
for key share of r
