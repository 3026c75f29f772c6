-- What was merged into a group ($2), also through others, and how much of it came by each one's own fingerprints.
with recursive tree as (
    select g.id, g.merged_into from grp g where g.project_id = $1 and g.merged_into = $2
    union
    select g.id, g.merged_into from tree join grp g on g.project_id = $1 and g.merged_into = tree.id
)
select tree.id as "id!", tree.merged_into as "into_id!", t.class, t.message, coalesce(counted.notice_count, 0)::bigint as "notice_count!"
from tree
join grp_text t on t.project_id = $1 and t.group_id = tree.id
left join (
    select f.home_id, sum(d.notice_count) as notice_count
    from fingerprint f
    join fingerprint_day d on d.project_id = f.project_id and d.fingerprint_id = f.id
    where f.project_id = $1 and f.group_id = $2
    group by f.home_id
) counted on counted.home_id = tree.id
order by tree.id
limit $3
