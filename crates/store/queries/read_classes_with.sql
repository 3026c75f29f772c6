-- Which classes have a text in them, of the first so many of a project, and whether these are all: each is found by one step
-- into the index.
with recursive there as (
    (select 1 as n, (select t.class from grp_text t where t.project_id = $1 order by t.class limit 1) as class)
    union all
    select there.n + 1, (select t.class from grp_text t where t.project_id = $1 and t.class > there.class order by t.class limit 1)
    from there where there.class is not null and there.n < $2
)
select coalesce(array_agg(class) filter (where position(lower($3) in lower(class)) > 0), '{}') as "classes!",
    bool_or(class is null) as "are_all!"
from there
