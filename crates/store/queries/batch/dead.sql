insert into dead_notice (journal, epoch, lane, seq, project_id, notice_id, kind, reason, detail, raw)
select journal, $1, $2, seq, project_id, notice_id, kind, reason, detail, raw
from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::uuid[], $7::smallint[], $8::text[], $9::text[], $10::bytea[])
    as given (journal, seq, project_id, notice_id, kind, reason, detail, raw)
order by journal, seq
on conflict (journal, epoch, lane, seq) do nothing
