-- Projects that a user ($1) may see, or the one ($2) that a project's token belongs to. Unresolved groups are counted up to $5, and one more.
select p.id, p.slug, p.name, p.created_at,
    coalesce((select sum(t.notice_count) from project_tally t where t.project_id = p.id), 0)::bigint as "notice_count!",
    (select count(*) from (select from grp g where g.project_id = p.id and g.state = 'unresolved'
        and g.merged_into is null and g.deleted_at is null limit $5::bigint + 1) few) as "unresolved_group_count!"
from project p
where p.id > $3 and p.deleted_at is null
    and (p.id = $2::bigint or p.id in (select a.project_id from project_access a where a.user_id = $1::bigint))
order by p.id
limit $4
