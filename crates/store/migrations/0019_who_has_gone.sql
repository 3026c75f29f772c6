-- Who is assigned to groups is found without reading all of them: whoever has gone is taken out.
create index grp_assigned on grp (project_id, assignee_id) where assignee_id is not null;
