-- Hides a group ($2) and what was merged into it.
with recursive tree as (
    select $2::bigint as id
    union
    select g.id from tree join grp g on g.project_id = $1 and g.merged_into = tree.id
)
update grp set deleted_at = now(), version = version + 1
where project_id = $1 and id in (select id from tree)
