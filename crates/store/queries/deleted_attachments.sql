-- Takes away the files that came with events ($2) whose notices have gone.
with gone as (
    delete from attachment where project_id = $1 and client_id = any($2::text[]) returning upload, at
)
delete from attachment_part p
using gone
where p.project_id = $1 and p.upload = gone.upload and p.at between gone.at - interval '1 day' and gone.at + interval '1 day'
