-- What people do to the state of groups ($2), which are locked. $3 is the new state, null where it stays; $4 says after which
-- release a resolved group comes back: any, the newest that it was seen in, or the newest of the project. The limits of a mute
-- begin at what there is now. $9 says that $10 is the assignee from now on.
update grp g set
    state = coalesce($3, g.state),
    resolved_at = case when $3 = 'resolved' then now() when $3::text is null then g.resolved_at end,
    resolved_after = case
        when $3::text is null then g.resolved_after
        when $3 = 'resolved' and $4 = 'this_release' then (
            select max(r.place) from fingerprint f
            join facet x on x.project_id = f.project_id and x.fingerprint_id = f.id and x.key = 'release' and not x.is_other
            join project_release r on r.project_id = x.project_id and r.version = x.value
            where f.project_id = g.project_id and f.group_id = g.id)
        when $3 = 'resolved' and $4 = 'next_release' then (
            select max(r.place) from project_release r where r.project_id = g.project_id)
    end,
    mute_until = case when $3 = 'muted' then $5::timestamptz when $3::text is null then g.mute_until end,
    mute_notice_count = case when $3 = 'muted' then g.notice_count + $6::bigint when $3::text is null then g.mute_notice_count end,
    mute_user_count = case when $3 = 'muted' then $7::int when $3::text is null then g.mute_user_count end,
    mute_environment = case when $3 = 'muted' then $8::text when $3::text is null then g.mute_environment end,
    assignee_id = case when $9::bool then $10::bigint else g.assignee_id end,
    version = g.version + 1
where g.project_id = $1 and g.id = any($2::bigint[])
returning g.id, g.version, g.resolved_after
