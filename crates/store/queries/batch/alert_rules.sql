-- The rules that new and reopened groups of these projects may meet.
select id, project_id, trigger, environments, severity_min
from alert_rule
where project_id = any($1) and enabled and trigger in ('new', 'regression')
order by id
