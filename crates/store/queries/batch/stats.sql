insert into stats_record (project_id, id, kind, accepted_at, body)
select * from unnest($1::bigint[], $2::uuid[], $3::text[], $4::timestamptz[], $5::bytea[])
    as given (project_id, id, kind, accepted_at, body)
