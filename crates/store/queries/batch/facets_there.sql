-- The values that fingerprints have, by nothing but the fingerprint: with more in the condition a planner without statistics
-- takes the index by key, and reads the whole project's values each time. The offset keeps it from turning this into a join.
select given.project_id as "project_id!", given.fingerprint_id as "fingerprint_id!", f.key, f.value
from unnest($1::bigint[], $2::bigint[]) as given (project_id, fingerprint_id)
cross join lateral (
    select facet.key, facet.value
    from facet
    where facet.project_id = given.project_id and facet.fingerprint_id = given.fingerprint_id and not facet.is_other
    offset 0
) f
