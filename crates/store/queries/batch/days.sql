insert into fingerprint_day as kept (project_id, fingerprint_id, day, notice_count)
select *
from unnest($1::bigint[], $2::bigint[], $3::date[], $4::bigint[]) as given (project_id, fingerprint_id, day, notice_count)
order by project_id, fingerprint_id, day
on conflict (project_id, fingerprint_id, day) do update set notice_count = kept.notice_count + excluded.notice_count
