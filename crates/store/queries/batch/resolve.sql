-- The fingerprints of a batch that are known, with their groups locked. Every batch locks groups in the same order,
-- and whatever else two lanes could meet on hangs on these locks, so that they wait instead of deadlocking.
select f.project_id, f.fingerprint, f.id, f.group_id, g.resolved_after, g.mute_environment
from unnest($1::bigint[], $2::bytea[]) as given (project_id, fingerprint)
join fingerprint f on f.project_id = given.project_id and f.fingerprint = given.fingerprint
join grp g on g.project_id = f.project_id and g.id = f.group_id
order by g.project_id, g.id
for no key update of g
