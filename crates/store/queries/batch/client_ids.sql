-- Adds what a batch brings, a row for each project ($2), and answers these rows and those that others have added since: after the last
-- row that was known of the project ($5).
with added as (
    insert into client_id_run (lane, project_id, at, entries)
    select $1, given.project_id, given.at, given.entries
    from unnest($2::bigint[], $3::timestamptz[], $4::bytea[]) as given (project_id, at, entries)
    returning project_id, id, entries
)
select project_id as "project_id!", id as "id!", entries as "entries!", true as "is_own!", pg_postmaster_start_time() as "server_started_at!"
from added
union all
select news.project_id, news.id, news.entries, false, pg_postmaster_start_time()
from unnest($2::bigint[], $5::bigint[]) as known (project_id, run_id)
join client_id_run news on news.project_id = known.project_id and news.id > known.run_id
