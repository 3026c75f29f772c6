-- Alerts of rules with a search, of which nobody has looked yet whether it finds their groups; by rule.
select r.id as "rule_id!", r.project_id as "project_id!", r.search as "search!",
    array_agg(a.id order by a.id) as "ids!", array_agg(a.group_id order by a.id) as "group_ids!"
from (select rule_id, id, group_id from alert where told_at is null and not is_meant order by rule_id, id limit $1) a
join alert_rule r on r.id = a.rule_id
group by r.id
order by r.id
