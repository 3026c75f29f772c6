-- What is sent again is recognised in whichever lane it comes: each batch looks at what others have brought of its projects since it
-- was prepared. They take turns for that, so the numbers of a project's rows are in the order of their transactions.
alter table client_id_run drop constraint client_id_run_pkey, add primary key (project_id, id);
