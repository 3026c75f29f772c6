-- Answers whose parts are needed: an attachment that is there already keeps the parts that it has.
insert into attachment (project_id, id, client_id, upload, name, content_type, attachment_type, byte_length, part_count, sha256, lane, at)
select project_id, id, client_id, upload, name, content_type, attachment_type, byte_length, part_count, sha256, $1, at
from unnest(
    $2::bigint[], $3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::int[], $11::bytea[],
    $12::timestamptz[]
) as given (project_id, id, client_id, upload, name, content_type, attachment_type, byte_length, part_count, sha256, at)
order by project_id, id
on conflict (project_id, id) do nothing
returning upload
