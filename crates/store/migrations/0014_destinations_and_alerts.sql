-- Whether a worker of role deliver has a server to hand mails to: without one, mails wait in the outbox.
alter table worker add column sends_mail boolean not null default false;
