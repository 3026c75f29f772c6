-- The group that shows the notices of a group ($2): itself, or the last one that it was merged into.
with recursive up as (
    select id, merged_into, deleted_at from grp where project_id = $1 and id = $2
    union
    select g.id, g.merged_into, g.deleted_at from up join grp g on g.project_id = $1 and g.id = up.merged_into
)
select id as "id!" from up where merged_into is null and deleted_at is null
