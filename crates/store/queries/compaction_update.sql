-- Puts the notices of other chunks into this one. Its id and xid stay, and with them its place in the list of what became visible.
update chunk
set first_id = $6, last_id = $7, last_at = $8, notice_count = $9, raw_bytes = $10, codec = $11, body = $12
where project_id = $1 and fingerprint_id = $2 and id = $3 and last_id = $4 and last_at = $5
