-- Different values of a key that begin with a text, in their order: each is found by one step into the index, however often
-- it is there.
with recursive there as (
    (select f.value from facet f
     where f.project_id = $1 and f.key = $2 and f.value >= $3 and f.value <> '' order by f.value limit 1)
    union all
    select (select f.value from facet f
            where f.project_id = $1 and f.key = $2 and f.value > there.value order by f.value limit 1)
    from there where starts_with(there.value, $3)
)
select value as "value!" from there where starts_with(value, $3) limit $4
