-- Opens groups whose mute has lasted as long as it should. One that a batch holds is left to the batch, or to the next look. A mute until
-- the beginning of time is what stays of it: the next notice is a return, as if it had come before this look.
with over as (
    select project_id, id from grp
    where mute_until > 'epoch' and mute_until <= now() and state = 'muted'
    order by project_id, id limit $1 for no key update skip locked
),
opened as (
    update grp g set
        state = 'unresolved', version = g.version + 1,
        mute_until = 'epoch', mute_notice_count = null, mute_user_count = null, mute_environment = null
    from over where g.project_id = over.project_id and g.id = over.id
    returning g.project_id, g.id
)
insert into grp_history (project_id, group_id, kind, detail)
select project_id, id, 'unmuted', 'the time of its mute is over' from opened
