-- Rules with alerts that nobody was told of, and what decides when they are: how long the oldest waits, how many were told singly of
-- late, when the last ones were told together, and whether it is a quiet hour where the rule's people are.
select r.id, r.project_id, r.name, r.digest_minutes, r.destination_ids,
    p.name as project_name,
    pending.alert_count as "alert_count!", pending.newest_id as "newest_id!",
    extract(epoch from now() - oldest.at)::float8 as "oldest_s!",
    (select count(*) from alert a where a.rule_id = r.id and a.told_as = 'single' and a.told_at > now() - $1 * interval '1 second') as "singly_count!",
    (select extract(epoch from now() - max(a.told_at)) from alert a
        where a.rule_id = r.id and a.told_as = 'together' and a.told_at > now() - $1 * interval '1 second')::float8 as together_s,
    coalesce(case
        when r.quiet_from < r.quiet_until then there.minute >= r.quiet_from and there.minute < r.quiet_until
        when r.quiet_from > r.quiet_until then there.minute >= r.quiet_from or there.minute < r.quiet_until
    end, false) as "is_quiet!"
from (
    select rule_id, count(*) as alert_count, min(id) as oldest_id, max(id) as newest_id
    from alert where told_at is null and is_meant
    group by rule_id
) pending
join alert oldest on oldest.rule_id = pending.rule_id and oldest.id = pending.oldest_id
join alert_rule r on r.id = pending.rule_id
join project p on p.id = r.project_id
cross join lateral (select minute_of_day(now(), r.time_zone) as minute) there
where r.enabled and p.deleted_at is null
order by r.id
