insert into incident (kind, epoch, lane, journal, record_count, detail)
select kind, $1, $2, journal, record_count, detail
from unnest($3::text[], $4::uuid[], $5::bigint[], $6::text[]) as given (kind, journal, record_count, detail)
