-- The sketches of all fingerprints of the touched groups: a group's users are the union over its fingerprints.
select f.project_id, f.group_id, f.id as fingerprint_id, s.sketch
from unnest($1::bigint[], $2::bigint[]) as given (project_id, group_id)
join fingerprint f on f.project_id = given.project_id and f.group_id = given.group_id
join user_sketch s on s.project_id = f.project_id and s.fingerprint_id = f.id
