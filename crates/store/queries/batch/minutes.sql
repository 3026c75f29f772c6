insert into fingerprint_minute as kept (project_id, fingerprint_id, minute, notice_count)
select *
from unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::int[]) as given (project_id, fingerprint_id, minute, notice_count)
order by project_id, fingerprint_id, minute
on conflict (project_id, fingerprint_id, minute) do update set notice_count = kept.notice_count + excluded.notice_count
