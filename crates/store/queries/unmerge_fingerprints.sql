-- The fingerprints that a group ($3) brought, its own and those of groups that were merged into it, leave the group ($2) that shows
-- them now.
with recursive down as (
    select $3::bigint as id
    union
    select g.id from down join grp g on g.project_id = $1 and g.merged_into = down.id
)
update fingerprint set group_id = $3
where project_id = $1 and group_id = $2 and home_id in (select id from down)
