-- What people wrote about a group ($2) and about those that were merged into it, oldest first.
with recursive tree as (
    select $2::bigint as id
    union
    select g.id from tree join grp g on g.project_id = $1 and g.merged_into = tree.id
)
select c.id, c.author_id, coalesce(nullif(u.name, ''), u.email) as author, c.body, c.at, c.edited_at
from comment c
left join user_account u on u.id = c.author_id
where c.project_id = $1 and c.group_id in (select id from tree)
order by c.at, c.id
limit $3
