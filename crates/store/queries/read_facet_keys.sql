-- Different keys of facets that begin with a text, as in read_facet_values.sql.
with recursive there as (
    (select f.key from facet f where f.project_id = $1 and f.key >= $2 order by f.key limit 1)
    union all
    select (select f.key from facet f where f.project_id = $1 and f.key > there.key order by f.key limit 1)
    from there where starts_with(there.key, $2)
)
select key as "key!" from there where starts_with(key, $2) limit $3
