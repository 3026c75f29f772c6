-- A notice that is in no chunk: dead, or still on its way. It is on its way while its time lies after what its lane
-- has committed through, or while a gateway still has records of the lane that are as old.
select
    exists (select from dead_notice d where d.project_id = $1 and d.notice_id = $2 and d.at >= $4::timestamptz - interval '10 minutes') as "is_dead!",
    exists (select from lane_state s where s.lane = $3
        and (s.committed_through is null or s.committed_through < $4
            or exists (select from journal_cursor c where c.epoch = s.epoch and c.lane = s.lane
                and c.head_seq > c.wm and c.oldest_unacked_at <= $4 + interval '1 millisecond'))) as "is_waiting!"
