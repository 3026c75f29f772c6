//! What people on call do with groups: resolved in a release, muted until something, assigned, commented, many at once, deleted.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "reading/scene.rs"]
mod scene;

use std::time::Duration;

use notice::{Notice, User};
use scene::{Scene, sample};
use store::housekeeper::Turn;
use store::reader::{GroupFilter, GroupState};
use store::writer::{
    Act, AssignGroup, ChangeFound, ChangeTicked, Comeback, CommandStatus, DeleteComment, DeleteGroup, EditComment,
    GroupAct, GroupChange, MuteUntil, Order, Outcome, SeenGroup, UndoBulk, WriteComment,
};
use store::{Admin, Writer};
use uuid::Uuid;

struct Stage {
    scene: Scene,
    writer: Writer,
}

impl Stage {
    async fn new() -> Stage {
        let scene = Scene::new().await;
        let writer = Writer::connect(&scene.database.url).await.unwrap();
        Stage { scene, writer }
    }

    fn order(&self) -> Order {
        Order { id: Uuid::now_v7(), actor_id: self.scene.member, project_id: 1 }
    }

    async fn act(&self, act: impl Act) -> Outcome {
        self.writer.execute(self.order(), act).await.unwrap().outcome
    }

    /// Changes a group as it is now.
    async fn change(&self, group_id: i64, change: GroupChange) -> Outcome {
        let expected_version = self.version(group_id).await;
        self.act(GroupAct { group_id, change, expected_version }).await
    }

    async fn version(&self, group_id: i64) -> i32 {
        sqlx::query_scalar("select version from grp where id = $1")
            .bind(group_id)
            .fetch_one(&self.scene.database.pool)
            .await
            .unwrap()
    }

    async fn state(&self, group_id: i64) -> GroupState {
        self.scene.reader.group(&self.scene.opened().await, group_id).await.unwrap().unwrap().state
    }

    /// Writes one notice that has come just now; the number tells notices apart.
    async fn write(&self, class: &str, environment: &str, release: &str, number: u64) {
        let id = notice::NoticeId::new(now_us(), 0, number);
        let user = Some(User { id: Some(number.to_string()), ..User::default() });
        self.scene.write_notice(id, Notice { user, ..sample(class, "", environment, release) }).await;
    }

    /// What the history of a group says last: kind, and what of it.
    async fn last(&self, group_id: i64) -> (String, String) {
        let change = self.scene.reader.history(&self.scene.opened().await, group_id).await.unwrap().remove(0);
        (change.kind, change.detail)
    }

    async fn assert_audited(&self) {
        let audit = Admin::connect(&self.scene.database.url).await.unwrap().audit(Some(1)).await.unwrap();
        assert_eq!(audit.findings, []);
    }
}

fn now_us() -> i64 {
    i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1000).unwrap()
}

fn mute(until: MuteUntil) -> GroupChange {
    GroupChange::Mute { until }
}

#[tokio::test]
async fn a_group_resolved_in_a_release_comes_back_with_a_later_one_alone() {
    let stage = Stage::new().await;
    stage.write("A", "production", "1.0", 1).await;
    // A release that the project has and the group has not been seen in.
    stage.write("Other", "production", "1.1", 2).await;
    let group = stage.scene.group_id("A").await;

    let this_release = GroupChange::Resolve { unless: Comeback::ThisRelease };
    assert_eq!(stage.change(group, this_release).await.status, CommandStatus::Done);
    assert_eq!(stage.last(group).await, ("resolved".into(), "until a release later than 1.0".into()));
    stage.write("A", "production", "1.0", 3).await;
    assert_eq!(stage.state(group).await, GroupState::Resolved, "machines that still have the release");
    stage.write("A", "production", "1.1", 4).await;
    assert_eq!(stage.state(group).await, GroupState::Unresolved);
    assert_eq!(stage.last(group).await, ("reopened".into(), "the error came back in a later release".into()));

    stage.write("Other", "production", "1.2", 5).await;
    let next_release = GroupChange::Resolve { unless: Comeback::NextRelease };
    assert_eq!(stage.change(group, next_release).await.status, CommandStatus::Done);
    stage.write("A", "production", "1.2", 6).await;
    assert_eq!(stage.state(group).await, GroupState::Resolved, "1.2 was there already");
    stage.write("A", "production", "0.9", 7).await;
    assert_eq!(stage.state(group).await, GroupState::Unresolved, "later is what was seen later, whatever it is called");
    let told = stage.scene.database.number("select count(*) from grp_history where kind = 'reopened'").await;
    assert_eq!(told, 2);
}

#[tokio::test]
async fn nothing_is_resolved_in_a_release_where_none_is_known() {
    let stage = Stage::new().await;
    let id = notice::NoticeId::new(now_us(), 0, 1);
    stage.scene.write_notice(id, Notice { release: None, ..sample("A", "", "production", "") }).await;
    let group = stage.scene.group_id("A").await;
    for unless in [Comeback::ThisRelease, Comeback::NextRelease] {
        assert_eq!(stage.change(group, GroupChange::Resolve { unless }).await.status, CommandStatus::Invalid);
    }
}

#[tokio::test]
async fn a_mute_ends_when_its_limit_is_reached() {
    let stage = Stage::new().await;
    stage.write("A", "production", "1", 1).await;
    let group = stage.scene.group_id("A").await;

    assert_eq!(
        stage.change(group, mute(MuteUntil { notices: Some(2), ..MuteUntil::default() })).await.status,
        CommandStatus::Done
    );
    assert_eq!(stage.last(group).await, ("muted".into(), "until 2 more notices".into()));
    stage.write("A", "production", "1", 2).await;
    assert_eq!(stage.state(group).await, GroupState::Muted);
    stage.write("A", "production", "1", 3).await;
    assert_eq!(stage.state(group).await, GroupState::Unresolved);
    assert_eq!(stage.last(group).await.0, "unmuted");

    stage.change(group, mute(MuteUntil { users: Some(4), ..MuteUntil::default() })).await;
    stage.write("A", "production", "1", 3).await;
    assert_eq!(stage.state(group).await, GroupState::Muted, "the same user again");
    stage.write("A", "production", "1", 4).await;
    assert_eq!(stage.state(group).await, GroupState::Unresolved);

    stage.change(group, mute(MuteUntil { elsewhere_than: Some("staging".into()), ..MuteUntil::default() })).await;
    stage.write("A", "staging", "1", 5).await;
    assert_eq!(stage.state(group).await, GroupState::Muted);
    stage.write("A", "production", "1", 6).await;
    assert_eq!(stage.state(group).await, GroupState::Unresolved);
    assert_eq!(stage.last(group).await.1, "a notice came from another environment");

    stage.change(group, mute(MuteUntil { at_s: Some(now_us() / 1_000_000 + 3600), ..MuteUntil::default() })).await;
    stage.write("A", "production", "1", 7).await;
    assert_eq!(stage.state(group).await, GroupState::Muted);
    sqlx::raw_sql("update grp set mute_until = now()").execute(&stage.scene.database.pool).await.unwrap();
    stage.write("A", "production", "1", 8).await;
    assert_eq!(stage.state(group).await, GroupState::Unresolved, "by the next notice");

    stage.change(group, mute(MuteUntil { at_s: Some(now_us() / 1_000_000 - 1), ..MuteUntil::default() })).await;
    let mut housekeeper = stage.writer.housekeeper().await.unwrap().unwrap();
    assert_eq!(
        (
            housekeeper.end_mutes(Turn::WHOLE).await.unwrap().count,
            housekeeper.end_mutes(Turn::WHOLE).await.unwrap().count
        ),
        (1, 0)
    );
    assert_eq!(stage.state(group).await, GroupState::Unresolved, "or by the housekeeper");
    let bad = mute(MuteUntil { notices: Some(0), ..MuteUntil::default() });
    assert_eq!(stage.change(group, bad).await.status, CommandStatus::Invalid);
}

#[tokio::test]
async fn a_release_that_lost_its_place_gets_a_new_one() {
    let stage = Stage::new().await;
    stage.write("A", "production", "1", 1).await;
    stage.write("A", "production", "2", 2).await;
    let group = stage.scene.group_id("A").await;
    // A standby has taken over that did not hear of release 2.
    sqlx::raw_sql("delete from project_release where version = '2'").execute(&stage.scene.database.pool).await.unwrap();
    stage.change(group, GroupChange::Resolve { unless: Comeback::NextRelease }).await;
    stage.write("A", "production", "1", 3).await;
    assert_eq!(stage.state(group).await, GroupState::Resolved);
    stage.write("A", "production", "2", 4).await;
    assert_eq!(stage.state(group).await, GroupState::Unresolved);
}

#[tokio::test]
async fn a_member_is_assigned_and_nobody_else() {
    let stage = Stage::new().await;
    stage.write("A", "production", "1", 1).await;
    let group = stage.scene.group_id("A").await;
    let assign = |assignee_id| GroupChange::Assign { assignee_id };
    assert_eq!(stage.change(group, assign(Some(stage.scene.stranger))).await.status, CommandStatus::Invalid);
    assert_eq!(stage.change(group, assign(Some(stage.scene.member))).await.status, CommandStatus::Done);
    assert_eq!(stage.last(group).await, ("assigned".into(), "to member@example.org".into()));
    let shown = stage.scene.reader.group(&stage.scene.opened().await, group).await.unwrap().unwrap();
    assert_eq!(shown.assignee, Some((stage.scene.member, "member@example.org".into())));
    assert_eq!(shown.state, GroupState::Unresolved);
    assert_eq!(stage.change(group, assign(None)).await.status, CommandStatus::Done);
    assert_eq!(stage.last(group).await.0, "unassigned");
}

#[tokio::test]
async fn who_is_given_a_group_hears_of_it_and_who_takes_it_does_not() {
    let stage = Stage::new().await;
    stage.write("A", "production", "1", 1).await;
    let group_id = stage.scene.group_id("A").await;
    let admin = Admin::connect(&stage.scene.database.url).await.unwrap();
    let other = admin.create_user("other@example.org", "", "x").await.unwrap();
    admin.add_member(other, 1, "member").await.unwrap();
    let told = async || {
        let mails = "select recipient, body ->> 'subject', body ->> 'text' from outbox where kind = 'group.assigned' order by created_at";
        sqlx::query_as::<_, (String, String, String)>(mails).fetch_all(&stage.scene.database.pool).await.unwrap()
    };
    let assign = async |assignee_id, url: Option<&str>| {
        let act = GroupAct { group_id, change: GroupChange::Assign { assignee_id }, expected_version: 0 };
        stage.act(AssignGroup { act, public_url: url.map(str::to_owned) }).await.status
    };
    let url = Some("https://croak.example");
    for (assignee_id, url) in
        [(stage.scene.member, url), (other, url), (other, url), (stage.scene.member, url), (other, None)]
    {
        assert_eq!(assign(Some(assignee_id), url).await, CommandStatus::Done);
    }
    assert_eq!(assign(None, url).await, CommandStatus::Done);
    let mails = told().await;
    let [(to, subject, text)] = mails.as_slice() else {
        panic!("who took it, what was so already, no address: {mails:?}")
    };
    assert_eq!(to, "other@example.org");
    assert!(subject.contains("Assigned to you: A"), "{subject}");
    assert!(text.contains("member@example.org assigned this to you"), "{text}");
    assert!(text.contains(&format!("https://croak.example/projects/1/groups/{group_id}\n")), "{text}");

    sqlx::query("insert into notification_choice (user_id, project_id, alerts, weekly) values ($1, 1, false, true)")
        .bind(other)
        .execute(&stage.scene.database.pool)
        .await
        .unwrap();
    assert_eq!(assign(Some(other), url).await, CommandStatus::Done);
    assert_eq!(told().await.len(), 1, "they want no mail of the project");

    sqlx::raw_sql("delete from notification_choice").execute(&stage.scene.database.pool).await.unwrap();
    for _ in 0..25 {
        assert_eq!(assign(None, url).await, CommandStatus::Done);
        assert_eq!(assign(Some(other), url).await, CommandStatus::Done);
    }
    assert_eq!(told().await.len(), 20, "nobody is flooded");
}

#[tokio::test]
async fn groups_of_somebody_who_has_gone_are_nobodys() {
    let stage = Stage::new().await;
    let admin = Admin::connect(&stage.scene.database.url).await.unwrap();
    let (gone, out) = (
        admin.create_user("gone@example.org", "", "x").await.unwrap(),
        admin.create_user("out@example.org", "", "x").await.unwrap(),
    );
    for (class, number, assignee) in [("A", 1, gone), ("B", 2, out), ("C", 3, stage.scene.member)] {
        admin.add_member(assignee, 1, "member").await.unwrap();
        stage.write(class, "production", "1", number).await;
        let group = stage.scene.group_id(class).await;
        stage.change(group, GroupChange::Assign { assignee_id: Some(assignee) }).await;
    }
    assert_eq!(stage.writer.unassign_absent().await.unwrap(), 0);
    let delete = Order { id: Uuid::now_v7(), actor_id: gone, project_id: 0 };
    let deleted = stage.writer.execute(delete, store::writer::DeleteAccount {}).await.unwrap().outcome;
    assert_eq!(deleted.status, CommandStatus::Done, "{}", deleted.told);
    sqlx::query("delete from organization_member where user_id = $1")
        .bind(out)
        .execute(&stage.scene.database.pool)
        .await
        .unwrap();
    sqlx::query("delete from membership where user_id = $1")
        .bind(out)
        .execute(&stage.scene.database.pool)
        .await
        .unwrap();
    assert_eq!(stage.writer.unassign_absent().await.unwrap(), 2);
    let filter = GroupFilter {
        search: store::reader::search::Search::parse("is:unassigned").unwrap(),
        ..GroupFilter::default()
    };
    let page = stage.scene.reader.groups(&stage.scene.opened().await, &filter, None, 10).await.unwrap().unwrap();
    let mut classes: Vec<&str> = page.groups.iter().map(|group| group.class.as_str()).collect();
    classes.sort_unstable();
    assert_eq!(classes, ["A", "B"]);
    let (kind, detail) = stage.last(page.groups[0].id).await;
    assert_eq!((kind.as_str(), detail.as_str()), ("unassigned", "whoever it was belongs to the project no longer"));
}

#[tokio::test]
async fn a_command_without_a_version_is_the_same_however_often_it_is_sent() {
    let stage = Stage::new().await;
    stage.write("A", "production", "1", 1).await;
    let group_id = stage.scene.group_id("A").await;
    let until = MuteUntil { seconds: Some(3_600), ..MuteUntil::default() };
    let act = GroupAct { group_id, change: mute(until), expected_version: 0 };
    let order = stage.order();
    let first = stage.writer.execute(order, act.clone()).await.unwrap().outcome;
    assert_eq!((first.status, first.version), (CommandStatus::Done, 2));
    assert_eq!(stage.writer.execute(order, act).await.unwrap().outcome, first);
    let lasts = "select extract(epoch from mute_until - now())::bigint from grp where state = 'muted'";
    assert!((3_590..=3_600).contains(&stage.scene.database.number(lasts).await));
}

#[tokio::test]
async fn a_comment_is_its_authors_to_change() {
    let stage = Stage::new().await;
    stage.write("A", "production", "1", 1).await;
    let group_id = stage.scene.group_id("A").await;
    let written = stage.act(WriteComment { group_id, body: " since the *deploy* \n".into() }).await;
    assert_eq!(written.status, CommandStatus::Done);
    let (opened, comment_id) = (stage.scene.opened().await, written.made_id);
    let comments = stage.scene.reader.comments(&opened, group_id).await.unwrap();
    assert_eq!((comments.len(), comments[0].id, comments[0].body.as_str()), (1, comment_id, "since the *deploy*"));
    assert_eq!(stage.act(WriteComment { group_id, body: " ".into() }).await.status, CommandStatus::Invalid);
    assert_eq!(stage.act(WriteComment { group_id, body: "x".repeat(10_001) }).await.status, CommandStatus::Invalid);
    assert_eq!(stage.act(WriteComment { group_id: 999, body: "x".into() }).await.status, CommandStatus::Missing);

    let other =
        Admin::connect(&stage.scene.database.url).await.unwrap().create_user("b@example.org", "", "x").await.unwrap();
    Admin::connect(&stage.scene.database.url).await.unwrap().add_member(other, 1, "member").await.unwrap();
    let by_other = Order { actor_id: other, ..stage.order() };
    let edit = EditComment { comment_id, body: "mine".into() };
    assert_eq!(stage.writer.execute(by_other, edit.clone()).await.unwrap().outcome.status, CommandStatus::Missing);
    assert_eq!(stage.act(edit).await.status, CommandStatus::Done);
    assert!(stage.scene.reader.comments(&opened, group_id).await.unwrap()[0].edited_at.is_some());
    let by_other = Order { actor_id: other, ..stage.order() };
    let delete = DeleteComment { comment_id };
    assert_eq!(stage.writer.execute(by_other, delete).await.unwrap().outcome.status, CommandStatus::Missing);
    assert_eq!(stage.act(delete).await.status, CommandStatus::Done);
    assert!(stage.scene.reader.comments(&opened, group_id).await.unwrap().is_empty());
}

#[tokio::test]
async fn many_groups_are_changed_at_once_and_taken_back_exactly() {
    let stage = Stage::new().await;
    let mut groups = Vec::new();
    for (number, class) in ["A", "B", "C", "D"].into_iter().enumerate() {
        stage.write(class, "production", "1", number as u64).await;
        groups.push(stage.scene.group_id(class).await);
    }
    stage.change(groups[1], mute(MuteUntil { notices: Some(9), ..MuteUntil::default() })).await;
    let mut seen = Vec::new();
    for group_id in &groups {
        seen.push(SeenGroup { group_id: *group_id, expected_version: stage.version(*group_id).await });
    }
    // Somebody is faster with one of them.
    stage.change(groups[2], GroupChange::Resolve { unless: Comeback::Any }).await;

    let order = stage.order();
    let act = ChangeTicked { groups: seen, change: GroupChange::Resolve { unless: Comeback::Any } };
    let outcome = stage.writer.execute(order, act.clone()).await.unwrap().outcome;
    assert_eq!(outcome.status, CommandStatus::Done);
    assert!(
        outcome.told.starts_with("3 groups resolved. Another was passed over. Meanwhile member@example.org resolved"),
        "{}",
        outcome.told
    );
    assert_eq!(stage.writer.execute(order, act).await.unwrap().outcome, outcome, "sent twice, done once");

    stage.write("D", "production", "1", 9).await;
    assert_eq!(stage.state(groups[3]).await, GroupState::Unresolved, "came back since");
    let bulk = stage.scene.reader.bulk(&stage.scene.opened().await, order.id).await.unwrap().unwrap();
    assert_eq!((bulk.changed_count, bulk.is_running, bulk.is_undone), (3, false, false));

    let undone = stage.act(UndoBulk { bulk_id: order.id }).await;
    assert_eq!(undone.told, "Taken back for 2 groups. 1 group changed since, and stays as it is.");
    assert_eq!(stage.state(groups[0]).await, GroupState::Unresolved);
    assert_eq!(stage.state(groups[1]).await, GroupState::Muted, "as it was, with its limit");
    assert_eq!(stage.scene.database.number("select mute_notice_count from grp where state = 'muted'").await, 10);
    assert_eq!(stage.state(groups[2]).await, GroupState::Resolved, "it was somebody else's");
    assert_eq!(stage.act(UndoBulk { bulk_id: order.id }).await.status, CommandStatus::Conflict);
}

#[tokio::test]
async fn a_deleted_group_is_hidden_at_once_and_leaves_nothing_but_right_sums() {
    let stage = Stage::new().await;
    let kept = stage.scene.accept(3, 1, 60);
    stage.scene.write("Kept", &kept).await;
    let gone = stage.scene.accept(300, 2, 3600);
    stage.scene.write("Gone", &gone).await;
    let (kept_group, group_id) = (stage.scene.group_id("Kept").await, stage.scene.group_id("Gone").await);
    sqlx::query(
        "insert into attachment (project_id, id, client_id, upload, name, content_type, attachment_type, byte_length, part_count, sha256, lane, at)
         values (1, gen_random_uuid(), 'client-' || $1, gen_random_uuid(), 'a', 'b', 'c', 0, 0, sha256(''), 0, now())",
    )
    .bind(gone[7].to_string())
    .execute(&stage.scene.database.pool)
    .await
    .unwrap();

    let act = DeleteGroup { group_id, expected_version: 1 };
    assert_eq!(stage.act(act).await.status, CommandStatus::Done);
    let opened = stage.scene.opened().await;
    let reader = &stage.scene.reader;
    let listed =
        async || reader.groups(&opened, &GroupFilter::default(), None, 10).await.unwrap().unwrap().groups.len();
    assert_eq!(listed().await, 1);
    assert!(reader.group(&opened, group_id).await.unwrap().is_none());
    assert!(reader.notice(&opened, gone[0]).await.unwrap().is_none());
    assert!(reader.notice_in_group(&opened, group_id, gone[0]).await.unwrap().is_none(), "nor by its group");
    assert!(reader.oldest(&opened, group_id).await.unwrap().is_none());
    assert!(reader.notice(&opened, kept[0]).await.unwrap().is_some());
    // Transactions of the whole server hold this list back, those of other tests too.
    let mut visible = 0;
    for _ in 0..600 {
        visible = reader.notices_since(&opened, None, None, 200).await.unwrap().unwrap().notices.len();
        if visible > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(visible, 3);
    assert_eq!(stage.act(DeleteGroup { group_id, expected_version: 2 }).await.status, CommandStatus::Missing);
    stage.assert_audited().await;

    // The error comes again before the housekeeper does.
    let again = stage.scene.accept(2, 3, 10);
    stage.scene.write("Gone", &again).await;
    assert_eq!(listed().await, 2);
    stage.assert_audited().await;

    let mut housekeeper = stage.writer.housekeeper().await.unwrap().unwrap();
    assert_eq!(housekeeper.sweep_deleted_groups(Turn::WHOLE).await.unwrap().count, 1);
    stage.assert_audited().await;
    let database = &stage.scene.database;
    assert_eq!(database.number("select count(*) from grp").await, 2);
    assert_eq!(database.number("select count(*) from fingerprint").await, 2);
    assert_eq!(database.number("select count(*) from grp_text").await, 2);
    assert_eq!(database.number("select count(*) from attachment").await, 0);
    assert_eq!(database.number("select count(*) from expired").await, 0);
    assert_eq!(database.number("select sum(notice_count)::bigint from chunk").await, 5);
    assert_eq!(database.number("select sum(notice_count)::bigint from project_tally").await, 5);
    assert_eq!(stage.state(kept_group).await, GroupState::Unresolved);
}

#[tokio::test]
async fn all_that_was_found_is_changed_slice_by_slice_and_taken_back_by_any_worker() {
    const GROUPS: i64 = 450;
    let stage = Stage::new().await;
    stage.write("Other", "production", "1", 1).await;
    sqlx::query(
        "with made as (
             insert into grp (project_id, id, first_seen_at, last_seen_at, last_seen_bucket)
             select 1, 1000 + n, now() - n * interval '1 second', now(), seen_bucket(now()) from generate_series(1, $1) n
             returning id
         )
         insert into grp_text (project_id, group_id, class, message, culprit, words) select 1, id, 'Found', '', '', '' from made",
    )
    .bind(GROUPS)
    .execute(&stage.scene.database.pool)
    .await
    .unwrap();
    let order = stage.order();
    let act = ChangeFound {
        search: "class:Found".into(),
        state: Some("unresolved".into()),
        change: GroupChange::Resolve { unless: Comeback::Any },
    };
    assert_eq!(stage.writer.execute(order, act).await.unwrap().outcome.status, CommandStatus::Done);
    let resolved = async || stage.scene.database.number("select count(*) from grp where state = 'resolved'").await;
    assert_eq!(resolved().await, 0);
    // Each slice by another worker, and two at once for the second.
    let workers = [
        Writer::connect(&stage.scene.database.url).await.unwrap(),
        Writer::connect(&stage.scene.database.url).await.unwrap(),
    ];
    let reader = &stage.scene.reader;
    assert!(workers[0].next_bulk_slice(reader).await.unwrap());
    assert_eq!(resolved().await, 200);
    let (one, other) = tokio::join!(workers[0].next_bulk_slice(reader), workers[1].next_bulk_slice(reader));
    assert!(one.unwrap() && other.unwrap());
    while workers[1].next_bulk_slice(reader).await.unwrap() {}
    assert_eq!(resolved().await, GROUPS);
    assert_eq!(stage.scene.database.number("select count(*) from grp_history").await, GROUPS);
    let bulk = reader.bulk(&stage.scene.opened().await, order.id).await.unwrap().unwrap();
    assert_eq!((bulk.changed_count, bulk.is_running), (GROUPS, false));

    stage.change(1001, GroupChange::Reopen).await;
    stage.act(UndoBulk { bulk_id: order.id }).await;
    while workers[0].next_bulk_slice(reader).await.unwrap() {}
    assert_eq!(resolved().await, 0);
    let bulk = reader.bulk(&stage.scene.opened().await, order.id).await.unwrap().unwrap();
    assert_eq!((bulk.undone_count, bulk.is_running, bulk.is_undone), (GROUPS - 1, false, true));
    let bad = ChangeFound { search: "is:nothing".into(), state: None, change: GroupChange::Reopen };
    assert_eq!(stage.act(bad).await.status, CommandStatus::Invalid);
}

/// Groups without notices in a project, with numbers from 1001 on.
async fn make_groups(stage: &Stage, project_id: i64, count: i64) {
    sqlx::query(
        "with made as (
             insert into grp (project_id, id, first_seen_at, last_seen_at, last_seen_bucket)
             select $1, 1000 + n, now() - n * interval '1 second', now(), seen_bucket(now()) from generate_series(1, $2) n
             returning id
         )
         insert into grp_text (project_id, group_id, class, message, culprit, words) select $1, id, 'Found', '', '', '' from made",
    )
    .bind(project_id)
    .bind(count)
    .execute(&stage.scene.database.pool)
    .await
    .unwrap();
}

/// Somebody resolves all that a search finds in a project.
async fn resolve_found(stage: &Stage, actor_id: i64, project_id: i64, search: &str) -> Order {
    let order = Order { id: Uuid::now_v7(), actor_id, project_id };
    let change = GroupChange::Resolve { unless: Comeback::Any };
    let act = ChangeFound { search: search.into(), state: Some("unresolved".into()), change };
    assert_eq!(stage.writer.execute(order, act).await.unwrap().outcome.status, CommandStatus::Done);
    order
}

#[tokio::test]
async fn a_change_of_many_groups_ends_when_one_of_them_comes_back_earlier_than_it_was() {
    let stage = Stage::new().await;
    make_groups(&stage, 1, 450).await;
    let order = resolve_found(&stage, stage.scene.member, 1, "").await;
    let reader = &stage.scene.reader;
    assert!(stage.writer.next_bulk_slice(reader).await.unwrap());
    // Late notices, from before it was first seen and from after it was resolved.
    let back =
        "update grp set state = 'unresolved', version = version + 1, first_seen_at = first_seen_at - interval '1 day'
         where (project_id, id) = (select project_id, id from grp where state = 'resolved' order by id limit 1)";
    sqlx::raw_sql(back).execute(&stage.scene.database.pool).await.unwrap();
    for _ in 0..10 {
        stage.writer.next_bulk_slice(reader).await.unwrap();
    }
    let bulk = reader.bulk(&stage.scene.opened().await, order.id).await.unwrap().unwrap();
    assert_eq!((bulk.changed_count, bulk.is_running, bulk.gave_up), (450, false, false));
    assert_eq!(stage.scene.database.number("select count(*) from grp where state = 'unresolved'").await, 1);
}

#[tokio::test]
async fn a_change_of_many_groups_that_cannot_go_on_is_given_up_and_holds_up_no_other() {
    let stage = Stage::new().await;
    make_groups(&stage, 1, 450).await;
    make_groups(&stage, 2, 1).await;
    let reader = &stage.scene.reader;
    let bad = resolve_found(&stage, stage.scene.member, 1, "").await;
    sqlx::raw_sql("update bulk set change = '{\"change\": \"of_a_newer_worker\"}'")
        .execute(&stage.scene.database.pool)
        .await
        .unwrap();
    let good = resolve_found(&stage, stage.scene.stranger, 2, "").await;
    for _ in 0..2 {
        assert!(stage.writer.next_bulk_slice(reader).await.unwrap());
    }
    let others = reader.open(store::reader::Viewer::User(stage.scene.stranger), 2).await.unwrap().unwrap();
    assert!(!reader.bulk(&others, good.id).await.unwrap().unwrap().is_running);
    assert!(!stage.writer.next_bulk_slice(reader).await.unwrap(), "the other one has a pause");

    for _ in 0..20 {
        sqlx::raw_sql("update bulk set next_at = now()").execute(&stage.scene.database.pool).await.unwrap();
        stage.writer.next_bulk_slice(reader).await.unwrap();
    }
    let bulk = reader.bulk(&stage.scene.opened().await, bad.id).await.unwrap().unwrap();
    assert_eq!((bulk.changed_count, bulk.is_running, bulk.gave_up), (0, false, true));
    assert!(!stage.writer.next_bulk_slice(reader).await.unwrap());
}

#[tokio::test]
async fn changes_of_many_groups_take_turns() {
    let stage = Stage::new().await;
    make_groups(&stage, 1, 450).await;
    make_groups(&stage, 2, 1).await;
    resolve_found(&stage, stage.scene.member, 1, "").await;
    resolve_found(&stage, stage.scene.stranger, 2, "").await;
    for _ in 0..2 {
        assert!(stage.writer.next_bulk_slice(&stage.scene.reader).await.unwrap());
    }
    let resolved = async |statement| stage.scene.database.number(statement).await;
    let here = resolved("select count(*) from grp where state = 'resolved' and project_id = 1").await;
    let there = resolved("select count(*) from grp where state = 'resolved' and project_id = 2").await;
    assert_eq!((here, there), (200, 1));
}

#[tokio::test]
async fn a_slice_looks_at_a_bounded_number_of_groups_whatever_the_search() {
    let stage = Stage::new().await;
    make_groups(&stage, 1, 2_500).await;
    sqlx::raw_sql("update grp_text set class = 'Rare' where group_id = 1001")
        .execute(&stage.scene.database.pool)
        .await
        .unwrap();
    let order = resolve_found(&stage, stage.scene.member, 1, "class:Rare").await;
    let reader = &stage.scene.reader;
    let mut changed = Vec::new();
    while stage.writer.next_bulk_slice(reader).await.unwrap() {
        let bulk = reader.bulk(&stage.scene.opened().await, order.id).await.unwrap().unwrap();
        changed.push((bulk.changed_count, bulk.is_running));
    }
    assert_eq!(changed, [(0, true), (0, true), (1, false)]);
}

#[tokio::test]
async fn what_came_while_it_was_open_again_is_not_resolved_by_taking_that_back() {
    let stage = Stage::new().await;
    for (class, number) in [("A", 1), ("B", 2)] {
        stage.write(class, "production", "1", number).await;
        let group = stage.scene.group_id(class).await;
        stage.change(group, GroupChange::Resolve { unless: Comeback::Any }).await;
    }
    let (came, quiet) = (stage.scene.group_id("A").await, stage.scene.group_id("B").await);
    let order = stage.order();
    let act = ChangeFound { search: String::new(), state: Some("resolved".into()), change: GroupChange::Reopen };
    stage.writer.execute(order, act).await.unwrap();
    while stage.writer.next_bulk_slice(&stage.scene.reader).await.unwrap() {}
    stage.write("A", "production", "1", 3).await;
    let admin = Admin::connect(&stage.scene.database.url).await.unwrap();
    let other = admin.create_user("b@example.org", "", "x").await.unwrap();
    admin.add_member(other, 1, "member").await.unwrap();
    let by_other = Order { actor_id: other, ..stage.order() };
    stage.writer.execute(by_other, UndoBulk { bulk_id: order.id }).await.unwrap();
    assert_eq!(stage.state(came).await, GroupState::Unresolved);
    assert_eq!(stage.state(quiet).await, GroupState::Resolved);
    assert_eq!(stage.scene.database.number("select undone_by from bulk").await, other);
}

#[tokio::test]
async fn the_first_notice_after_a_timed_mute_is_a_return_whoever_ended_the_mute() {
    let stage = Stage::new().await;
    let mut housekeeper = stage.writer.housekeeper().await.unwrap().unwrap();
    let over = || mute(MuteUntil { at_s: Some(now_us() / 1_000_000 - 1), ..MuteUntil::default() });
    for class in ["A", "B"] {
        stage.write(class, "production", "1", 1).await;
        stage.change(stage.scene.group_id(class).await, over()).await;
        if class == "B" {
            assert_eq!(housekeeper.end_mutes(Turn::WHOLE).await.unwrap().count, 1);
            assert_eq!(housekeeper.end_mutes(Turn::WHOLE).await.unwrap().count, 0);
        }
        stage.write(class, "production", "1", 2).await;
        stage.write(class, "production", "1", 3).await;
    }
    for class in ["A", "B"] {
        let group = stage.scene.group_id(class).await;
        let count = async |statement: &'static str| -> i64 {
            sqlx::query_scalar(statement).bind(group).fetch_one(&stage.scene.database.pool).await.unwrap()
        };
        let told = count("select count(*) from alert where group_id = $1 and kind = 'group.reopened'").await;
        let unmuted = count("select count(*) from grp_history where group_id = $1 and kind = 'unmuted'").await;
        assert_eq!((told, unmuted), (1, 1), "{class}");
        assert_eq!(stage.state(group).await, GroupState::Unresolved);
    }
}
