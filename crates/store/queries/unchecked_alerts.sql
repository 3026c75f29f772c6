-- Rules with a search, and alerts of which nobody has looked yet whether it finds their groups: of each rule at most so many ($1).
select r.id as "rule_id!", r.project_id as "project_id!", r.search as "search!",
    array_agg(a.id order by a.id) as "ids!", array_agg(a.group_id order by a.id) as "group_ids!"
from (select distinct rule_id from alert where told_at is null and not is_meant) unchecked
join alert_rule r on r.id = unchecked.rule_id
cross join lateral (
    select id, group_id from alert where rule_id = r.id and told_at is null and not is_meant order by id limit $1
) a
group by r.id
order by r.id
