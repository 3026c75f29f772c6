-- Gives the releases of a batch that are new their places in the order of their projects.
insert into project_release (project_id, version)
select * from unnest($1::bigint[], $2::text[]) as given (project_id, version)
order by project_id, version
on conflict (project_id, version) do nothing
