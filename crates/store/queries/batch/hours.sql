-- Minutes whose partition has gone already, because they were rolled up: straight into their hours.
insert into fingerprint_hour as kept (project_id, fingerprint_id, hour, notice_count)
select *
from unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::int[]) as given (project_id, fingerprint_id, hour, notice_count)
order by project_id, fingerprint_id, hour
on conflict (project_id, fingerprint_id, hour) do update set notice_count = kept.notice_count + excluded.notice_count
