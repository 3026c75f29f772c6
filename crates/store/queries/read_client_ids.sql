-- Everything in which a hash ($2) of a client's id may be found: what batches brought within the last hour or two, and the index.
-- Bytes across two entries can look like it: whoever reads compares them entry by entry.
select entries as "entries!" from client_id_run
where project_id = $1 and not indexed and position($2::bytea in entries) > 0
union all
select entries from client_id_index
where project_id = $1 and bucket = $3 and position($2::bytea in entries) > 0
