insert into attachment_part (project_id, upload, part, at, byte_length, codec, body)
select * from unnest($1::bigint[], $2::uuid[], $3::int[], $4::timestamptz[], $5::int[], $6::smallint[], $7::bytea[])
    as given (project_id, upload, part, at, byte_length, codec, body)
