-- One slice of the parts of attachments that one project no longer needs; the attachments themselves go with the first. The
-- moment is written out each time, so that partitions that are younger are not looked at.
with heads as (
    delete from attachment
    where project_id = $1 and at < ((now() at time zone 'utc')::date - $2::int)::timestamp at time zone 'utc'
), old as (
    select tableoid, ctid
    from attachment_part
    where project_id = $1 and at < ((now() at time zone 'utc')::date - $2::int)::timestamp at time zone 'utc'
    limit $3
)
delete from attachment_part
where (tableoid, ctid) in (select tableoid, ctid from old)
    and at < ((now() at time zone 'utc')::date - $2::int)::timestamp at time zone 'utc'
