insert into chunk (
    project_id, fingerprint_id, lane, first_id, last_id, last_at, notice_count, raw_bytes, codec, body
)
select project_id, fingerprint_id, $1, first_id, last_id, last_at, notice_count, raw_bytes, $2, body
from unnest($3::bigint[], $4::bigint[], $5::uuid[], $6::uuid[], $7::timestamptz[], $8::int[], $9::int[], $10::bytea[])
    as given (project_id, fingerprint_id, first_id, last_id, last_at, notice_count, raw_bytes, body)
