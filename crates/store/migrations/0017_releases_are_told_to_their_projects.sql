-- A release is an organization's, so projects whose builds know nothing of each other may have one of the same version. What a build
-- tells of it (commits, dates, where it comes from) belongs to the projects that whoever runs the build may change; others that have
-- the version as well neither see nor change that.
alter table release_project add column is_told boolean not null default true;

-- A web from before destinations shows no settings of webhooks while it is being replaced: whoever knows an address may write there.
revoke select (url) on webhook from croak_web;
