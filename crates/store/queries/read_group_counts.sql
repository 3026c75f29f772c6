-- Groups of a project ($1) in each state, counted to one more than $2. Each state by its name: where the planner does not know which one it is, it
-- takes each for as frequent as the others, and reads the whole table for one that no group has.
select state as "state!", count as "count!"
from (
    select 'unresolved' as state, count(*) as count
    from (
        select from grp
        where project_id = $1 and state = 'unresolved' and merged_into is null and deleted_at is null
        limit $2::bigint + 1
    ) few
    union all
    select 'resolved' as state, count(*) as count
    from (
        select from grp
        where project_id = $1 and state = 'resolved' and merged_into is null and deleted_at is null
        limit $2::bigint + 1
    ) few
    union all
    select 'muted' as state, count(*) as count
    from (
        select from grp
        where project_id = $1 and state = 'muted' and merged_into is null and deleted_at is null
        limit $2::bigint + 1
    ) few
) counted
where count > 0
