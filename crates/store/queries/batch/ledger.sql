insert into ledger as kept (project_id, minute, ending, reason, lane, record_count)
select project_id, minute, ending, reason, $1, record_count
from unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::bigint[])
    as given (project_id, minute, ending, reason, record_count)
order by project_id, minute, ending, reason
on conflict (project_id, minute, ending, reason, lane) do update set record_count = kept.record_count + excluded.record_count
