-- The parts of uploads that nobody needs. The days around narrow the search to the partitions that can have them.
delete from attachment_part p
using unnest($1::bigint[], $2::uuid[], $3::timestamptz[]) as given (project_id, upload, at)
where p.project_id = given.project_id and p.upload = given.upload
    and p.at between given.at - interval '1 day' and given.at + interval '1 day'
