-- Read, merged and written under the locks of resolve.sql.
insert into user_sketch (project_id, fingerprint_id, sketch)
select *
from unnest($1::bigint[], $2::bigint[], $3::bytea[]) as given (project_id, fingerprint_id, sketch)
order by project_id, fingerprint_id
on conflict (project_id, fingerprint_id) do update set sketch = excluded.sketch
