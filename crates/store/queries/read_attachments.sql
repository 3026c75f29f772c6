-- The attachments of an event that are whole; one of them, or all.
select a.id, a.upload, a.name, a.content_type, a.attachment_type, a.byte_length, a.part_count, a.at
from attachment a
where a.project_id = $1 and a.client_id = $2 and ($3::uuid is null or a.id = $3)
    and a.part_count = (
        select count(*) from attachment_part p
        where p.project_id = a.project_id and p.upload = a.upload
            and p.at between a.at - interval '1 day' and a.at + interval '1 day'
    )
order by a.at, a.name, a.id
limit $4
