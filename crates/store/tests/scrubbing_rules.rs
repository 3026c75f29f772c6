//! What a project takes out of its notices: who may say so, and how it reaches gateways.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;

use database::Database;
use notice::IpRule;
use store::admin::NewProject;
use store::writer::{CommandStatus, Order, SetScrubbing};
use store::{Admin, Writer};
use uuid::Uuid;

#[tokio::test]
async fn rules_are_an_admins_to_set_and_travel_with_the_snapshot() {
    let database = Database::fresh().await;
    let admin = Admin::connect(&database.url).await.unwrap();
    admin.create_project(NewProject { id: Some(1), name: "Shop".into(), ..NewProject::default() }).await.unwrap();
    let owner = admin.create_user("owner@example.org", "", "x").await.unwrap();
    let member = admin.create_user("member@example.org", "", "x").await.unwrap();
    admin.add_member(owner, 1, "owner").await.unwrap();
    admin.add_member(member, 1, "member").await.unwrap();
    let writer = Writer::connect(&database.url).await.unwrap();
    let mut housekeeper = writer.housekeeper().await.unwrap().unwrap();
    assert_eq!(housekeeper.snapshot().await.unwrap().projects[0].scrubbing, None);

    let set = async |actor_id, patterns: &[&str], expected_version| {
        let act = SetScrubbing {
            fields: vec!["tax_id".into()],
            patterns: patterns.iter().map(|pattern| (*pattern).to_owned()).collect(),
            ip: IpRule::Cut,
            expected_version,
        };
        let order = Order { id: Uuid::now_v7(), actor_id, project_id: 1 };
        writer.execute(order, act).await.unwrap().outcome
    };
    assert_eq!(set(member, &["AB-[0-9]+"], 0).await.status, CommandStatus::Denied);
    assert_eq!(set(owner, &["("], 0).await.status, CommandStatus::Invalid);
    let before = writer.snapshot_version().await.unwrap();
    let first = set(owner, &["AB-[0-9]+"], 0).await;
    assert_eq!((first.status, first.version), (CommandStatus::Done, 1));
    assert!(writer.snapshot_version().await.unwrap() > before, "gateways hear of it");
    let snapshot = housekeeper.snapshot().await.unwrap();
    let published = snapshot.projects[0].scrubbing.as_ref().unwrap();
    assert_eq!((published.fields.as_slice(), published.ip.as_str()), (&["tax_id".to_owned()][..], "cut"));
    assert_eq!(published.patterns, ["AB-[0-9]+"]);

    let stale = set(owner, &["CD"], 0).await;
    assert_eq!(stale.status, CommandStatus::Conflict);
    assert!(stale.told.contains("owner@example.org"), "{}", stale.told);
    assert_eq!(set(owner, &["CD"], 1).await.version, 2);
    let noted = "select count(*) from audit_log where kind = 'project.scrubbing_changed' and project_id = 1";
    assert_eq!(database.number(noted).await, 2, "who changed them is found in the audit log");
}
