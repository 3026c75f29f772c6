-- Rules that were met by groups; whether a rule's search finds the group is looked at before anybody is told. A rule whose deletion is
-- under way is met by nobody any more: its lock waits for that, and the row is gone then. Without it the foreign key would refuse the batch.
insert into alert (project_id, rule_id, group_id, kind, body, is_meant)
select given.project_id, given.rule_id, given.group_id, given.kind, given.body::jsonb, r.search = ''
from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) as given (project_id, rule_id, group_id, kind, body)
join alert_rule r on r.id = given.rule_id
order by given.rule_id, given.group_id
for key share of r
