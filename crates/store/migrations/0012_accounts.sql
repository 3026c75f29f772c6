-- People sign up, belong to organizations and teams, and are given roles, tokens and a second factor.

-- Accounts --------------------------------------------------------------------------------------------------------
-- A session knows of an account and its epoch alone, and an account may be without a password: other ways to sign in
-- (OpenID Connect, passkeys) are tables of their own beside this one, as the second factor is.

-- What mails lead to. The token itself is in the mail alone, and in the outbox until the mail has left.
create table account_link (
    token_sha256 bytea primary key check (length(token_sha256) = 32),
    purpose text not null constraint account_link_purpose_known check (purpose in ('sign_up', 'reset', 'email')),
    email text not null,                 -- whom it was sent to: who follows it reads their mail
    user_id bigint references user_account (id) on delete cascade, -- null: the account is to be made
    made_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index account_link_email on account_link (email, made_at);
create index account_link_user on account_link (user_id);
create index account_link_expires on account_link (expires_at);

-- Codes of RFC 6238. The secret is encrypted with a key of the web's, which is not in the database.
create table totp (
    user_id bigint primary key references user_account (id) on delete cascade,
    secret bytea not null,
    last_step bigint not null,           -- codes up to this step are used up
    created_at timestamptz not null default now()
);
create table recovery_code (
    user_id bigint not null references totp (user_id) on delete cascade,
    code_sha256 bytea not null check (length(code_sha256) = 32),
    used_at timestamptz,
    primary key (user_id, code_sha256)
);

-- Organizations and teams --------------------------------------------------------------------------------------------

create table organization_member (
    organization_id bigint not null references organization (id) on delete cascade,
    user_id bigint not null references user_account (id) on delete cascade,
    role text not null constraint organization_member_role_known check (role in ('owner', 'admin', 'member', 'viewer')),
    created_at timestamptz not null default now(),
    primary key (organization_id, user_id)
);
create index organization_member_user on organization_member (user_id);

create table team (
    id bigint generated always as identity primary key,
    organization_id bigint not null references organization (id) on delete cascade,
    name text not null check (length(name) between 1 and 100),
    created_at timestamptz not null default now(),
    constraint team_name_is_used_once unique (organization_id, name),
    unique (id, organization_id)
);

-- Who leaves the organization leaves its teams.
create table team_member (
    team_id bigint not null,
    organization_id bigint not null,
    user_id bigint not null,
    primary key (team_id, user_id),
    foreign key (team_id, organization_id) references team (id, organization_id) on delete cascade,
    foreign key (organization_id, user_id) references organization_member (organization_id, user_id) on delete cascade
);
create index team_member_user on team_member (user_id);
create index team_member_of_organization on team_member (organization_id, user_id);

alter table project add constraint project_of_organization unique (id, organization_id);
create index project_organization on project (organization_id);

-- A team has projects of its own organization only.
create table team_project (
    team_id bigint not null,
    organization_id bigint not null,
    project_id bigint not null,
    primary key (team_id, project_id),
    foreign key (team_id, organization_id) references team (id, organization_id) on delete cascade,
    foreign key (project_id, organization_id) references project (id, organization_id) on delete cascade
);
create index team_project_project on team_project (project_id);

create table invitation (
    id bigint generated always as identity primary key,
    organization_id bigint not null references organization (id) on delete cascade,
    email text not null constraint invitation_email_is_lower_case check (email = lower(email)),
    role text not null constraint invitation_role_known check (role in ('owner', 'admin', 'member', 'viewer')),
    team_id bigint references team (id) on delete set null, -- which they join with it
    token_sha256 bytea not null unique check (length(token_sha256) = 32),
    invited_by bigint references user_account (id) on delete set null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    accepted_at timestamptz,
    constraint invitation_is_one unique (organization_id, email)
);
create index invitation_email on invitation (email);

-- Who may see a project, and as what: the one place that decides it. Owners and admins of its organization, members of a
-- team that has it (as what they are in the organization), and who was let in directly; of several roles the highest.
create function role_rank(role text) returns int language sql immutable parallel safe as
    $$ select array_position(array['viewer', 'member', 'admin', 'owner'], role) $$;
create view project_access as
    select a.user_id, a.project_id, (array['viewer', 'member', 'admin', 'owner'])[max(role_rank(a.role))] as role
    from (
        select m.user_id, m.project_id, m.role from membership m
        union all
        select o.user_id, p.id, o.role
        from organization_member o join project p on p.organization_id = o.organization_id
        where o.role in ('owner', 'admin')
        union all
        select t.user_id, tp.project_id, o.role
        from team_member t
        join organization_member o on o.organization_id = t.organization_id and o.user_id = t.user_id
        join team_project tp on tp.team_id = t.team_id
    ) a
    join project p on p.id = a.project_id
    where p.deleted_at is null
    group by a.user_id, a.project_id;

-- Who owns all projects of an organization owns it; who sees some of them belongs to it.
insert into organization_member (organization_id, user_id, role)
    select p.organization_id, m.user_id,
        case when count(*) filter (where m.role = 'owner')
            = (select count(*) from project q where q.organization_id = p.organization_id and q.deleted_at is null)
        then 'owner' else 'member' end
    from membership m join project p on p.id = m.project_id and p.deleted_at is null
    group by p.organization_id, m.user_id;

-- Tokens ----------------------------------------------------------------------------------------------------------

alter table api_token add column created_by bigint references user_account (id) on delete set null;
create index api_token_user on api_token (user_id);
create index api_token_project on api_token (project_id);

-- What was changed by whom ----------------------------------------------------------------------------------------

create table audit_log (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    actor_id bigint not null,            -- may have been deleted since; 0: somebody who was not signed in
    organization_id bigint references organization (id) on delete cascade, -- null: about the actor's own account
    project_id bigint,
    kind text not null,                  -- 'project.made', 'member.role_changed', …
    about text not null default ''       -- of whom or what
);
create index audit_log_organization on audit_log (organization_id, id desc);
create index audit_log_at on audit_log (at);

-- Rights ----------------------------------------------------------------------------------------------------------

-- A worker writes hashes of passwords and sealed secrets, and reads neither.
revoke select on user_account from croak_worker;
grant select (id, email, name, session_epoch, created_at) on user_account to croak_worker;
grant insert (email, name, password_hash), update (email, name, password_hash, session_epoch), delete on user_account to croak_worker;
grant select (user_id, last_step, created_at), insert (user_id, secret, last_step), update (last_step), delete on totp to croak_worker;
grant select, insert, update (used_at), delete on recovery_code to croak_worker;
grant select, insert, update (used_at), delete on account_link to croak_worker;
grant select, insert, update (role), delete on organization_member to croak_worker;
grant insert, update (name), delete on organization to croak_worker;
grant select, insert, update (name), delete on team to croak_worker;
grant select, insert, delete on team_member, team_project to croak_worker;
grant select, insert, update (role, team_id, token_sha256, invited_by, created_at, expires_at, accepted_at), delete on invitation to croak_worker;
grant select on project_access to croak_worker;
grant insert, update (role), delete on membership to croak_worker;
grant insert, update (revoked_at) on project_key, api_token to croak_worker;
grant select, insert, delete on audit_log to croak_worker;
grant usage on all sequences in schema public to croak_worker;

grant select on account_link, totp, recovery_code, organization_member, team, team_member, team_project, invitation, project_access, audit_log
    to croak_web;
