-- Attachments with their parts. One that lacks parts may be waiting for them where numbers of its lane are open, or where records
-- of the lane are dead or declared gone.
select
    a.project_id, a.id, a.byte_length, a.part_count, a.sha256,
    exists (select 1 from journal_cursor c where c.lane = a.lane and c.runs <> '{}')
        or exists (select 1 from dead_notice d where d.lane = a.lane)
        or exists (select 1 from lane_state l where l.lane = a.lane and l.gone_records > 0) as "may_wait!",
    p.part as "part?", p.codec as "codec?", p.byte_length as "part_bytes?", p.body as "body?"
from attachment a
left join attachment_part p on p.project_id = a.project_id and p.upload = a.upload
where $1::bigint is null or a.project_id = $1
order by a.project_id, a.id, p.part
