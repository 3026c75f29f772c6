-- The groups that show the notices of groups ($2): those that were merged are shown by the last one that they were merged into.
with recursive up as (
    select g.id as asked_id, g.id, g.merged_into, g.deleted_at from grp g where g.project_id = $1 and g.id = any($2::bigint[])
    union
    select up.asked_id, g.id, g.merged_into, g.deleted_at from up join grp g on g.project_id = $1 and g.id = up.merged_into
)
select asked_id as "asked_id!", id as "id!" from up where merged_into is null and deleted_at is null
