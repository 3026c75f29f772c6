-- Groups that are assigned to somebody who sees the project no longer, or has no account any more, are nobody's.
with absent as (
    select a.project_id, a.assignee_id
    from (select distinct project_id, assignee_id from grp where assignee_id is not null) a
    join project p on p.id = a.project_id and p.deleted_at is null
    where not exists (select from project_access m where m.user_id = a.assignee_id and m.project_id = a.project_id)
),
held as (
    select g.project_id, g.id
    from absent a
    join grp g on g.project_id = a.project_id and g.assignee_id = a.assignee_id
    order by g.project_id, g.id limit $1 for no key update of g skip locked
),
changed as (
    update grp g set assignee_id = null, version = g.version + 1
    from held where g.project_id = held.project_id and g.id = held.id
    returning g.project_id, g.id
)
insert into grp_history (project_id, group_id, kind, detail)
select project_id, id, 'unassigned', 'whoever it was belongs to the project no longer' from changed
