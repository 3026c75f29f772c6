//! Commands through their own door.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use service::auth::Bearer;
use service::proto::command::command::Action;
use service::proto::command::command_result::Status;
use service::proto::command::commands_client::CommandsClient;
use service::proto::command::{Command, CommandResult, ResolveGroup};
use support::{Bench, CONTROL_TOKEN, Worker, notice, record};
use uuid::Uuid;

async fn execute(worker: &Worker, token: Option<&str>, command: Command) -> Result<CommandResult, tonic::Status> {
    let address = format!("http://{}", worker.commands.unwrap());
    let channel = tonic::transport::Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let mut client = CommandsClient::with_interceptor(channel, Bearer::new(token).unwrap());
    client.execute(command).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_command_that_is_sent_twice_acts_once_and_is_answered_twice() {
    let bench = Bench::new().await;
    bench.run("insert into user_account (id, email) values (5, 'ada@example.com'); insert into membership (user_id, project_id) values (5, 1)").await;
    let worker = bench.worker("fold,command").await;
    bench.ship(Uuid::now_v7(), 1, &record(5, 1, &notice("Timeout"))).await;
    bench.drained(5).await;
    bench
        .until("its address is registered", async || {
            bench.number("select count(*) from worker where command_address like 'http://127.0.0.1:%'").await == 1
        })
        .await;
    let group_id = bench.number("select id from grp").await;
    let command = Command {
        id: Uuid::new_v4().to_string(),
        actor_id: 5,
        project_id: 1,
        action: Some(Action::ResolveGroup(ResolveGroup { group_id, expected_version: 1, unless: 0 })),
    };
    assert!(execute(&worker, None, command.clone()).await.is_err(), "nobody without the token");
    let first = execute(&worker, Some(CONTROL_TOKEN), command.clone()).await.unwrap();
    let second = execute(&worker, Some(CONTROL_TOKEN), command).await.unwrap();
    assert_eq!((first.status(), first.version), (Status::Done, 2));
    assert_eq!((second.status(), second.version, &second.told), (Status::Done, 2, &first.told));
    assert!(first.lsn.contains('/'), "{}", first.lsn);
    assert_eq!(bench.number("select count(*) from grp where state = 'resolved' and version = 2").await, 1);
    assert_eq!(bench.number("select count(*) from grp_history").await, 1);
    worker.stop().await;
}
