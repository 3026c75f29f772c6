insert into deploy (project_id, id, environment, revision, repository, username, version, message, at)
select *
from unnest(
    $1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::timestamptz[]
) as given (project_id, id, environment, revision, repository, username, version, message, at)
order by project_id, id
on conflict (project_id, id) do nothing
