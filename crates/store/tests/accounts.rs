//! People sign up, set passwords and make projects; links work once, and who sees what is decided in one place.
//!
//! Everything is written by the worker's role and read by the web's, with the rights that they have.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;

use database::Database;
use sqlx::Executor as _;
use store::reader::{LinkPurpose, Viewer};
use store::writer::{
    Act, AskLink, CommandStatus, CreateProject, LinkWanted, Order, Outcome, Registration, SetPassword,
};
use store::{Reader, Role, Writer};
use uuid::Uuid;

const NOBODY: i64 = 0;

struct Scene {
    database: Database,
    writer: Writer,
    reader: Reader,
}

impl Scene {
    async fn new() -> Scene {
        let database = Database::fresh().await;
        let as_role = |role: &str| format!("{}?options[role]={role}", database.url);
        let writer = Writer::connect(&as_role("croak_worker")).await.unwrap();
        let reader = Reader::connect(&as_role("croak_web")).unwrap();
        Scene { database, writer, reader }
    }

    async fn act(&self, actor_id: i64, act: impl Act) -> Outcome {
        let order = Order { id: Uuid::now_v7(), actor_id, project_id: 0 };
        self.writer.execute(order, act).await.unwrap().outcome
    }

    /// The tokens of the links in mails that wait, oldest first.
    async fn links(&self, email: &str) -> Vec<String> {
        let texts: Vec<String> =
            sqlx::query_scalar("select body->>'text' from outbox where recipient = $1 order by created_at")
                .bind(email)
                .fetch_all(&self.database.pool)
                .await
                .unwrap();
        let token = |text: &String| {
            let (_, after) = text.split_once("https://croak.example/link/")?;
            after.split_whitespace().next().map(str::to_owned)
        };
        texts.iter().filter_map(token).collect()
    }

    /// A new account, made as people make theirs.
    async fn account(&self, email: &str) -> i64 {
        self.act(NOBODY, sign_up(email, Registration::Open)).await;
        let link = self.links(email).await.pop().unwrap();
        let made = self.act(NOBODY, set_password(&link, "$argon2id$first")).await;
        assert_eq!(made.status, CommandStatus::Done, "{}", made.told);
        made.made_id
    }
}

fn sign_up(email: &str, registration: Registration) -> AskLink {
    let public_url = Some("https://croak.example".to_owned());
    AskLink { email: email.to_owned(), wanted: LinkWanted::SignUp(registration), public_url }
}

fn forgotten(email: &str) -> AskLink {
    AskLink { wanted: LinkWanted::Reset, ..sign_up(email, Registration::Closed) }
}

fn set_password(token: &str, password_hash: &str) -> SetPassword {
    SetPassword {
        token_sha256: store::token::sha256(token).to_vec(),
        password_hash: password_hash.to_owned(),
        public_url: Some("https://croak.example".to_owned()),
    }
}

fn new_project(name: &str) -> CreateProject {
    CreateProject { organization_id: 0, organization_name: "Acme".to_owned(), name: name.to_owned() }
}

#[tokio::test]
async fn two_sign_ups_at_once_make_one_account() {
    let scene = Scene::new().await;
    let email = "ada@example.org";
    let (one, other) = tokio::join!(
        scene.act(NOBODY, sign_up(email, Registration::Open)),
        scene.act(NOBODY, sign_up(" Ada@Example.org", Registration::Open))
    );
    assert_eq!(one, other, "they are answered alike");
    let links = scene.links(email).await;
    assert_eq!(links.len(), 2);
    let (first, second) = tokio::join!(
        scene.act(NOBODY, set_password(&links[0], "$argon2id$one")),
        scene.act(NOBODY, set_password(&links[1], "$argon2id$other"))
    );
    let done = [&first, &second].into_iter().filter(|outcome| outcome.status == CommandStatus::Done).count();
    assert_eq!(done, 1, "{first:?} {second:?}");
    assert_eq!(scene.database.number("select count(*) from user_account").await, 1);
}

#[tokio::test]
async fn a_link_works_once_and_only_while_it_is_young() {
    let scene = Scene::new().await;
    let email = "ada@example.org";
    scene.act(NOBODY, sign_up(email, Registration::Open)).await;
    let link = scene.links(email).await.pop().unwrap();
    let found = scene.reader.account_link(&store::token::sha256(&link)).await.unwrap().unwrap();
    assert_eq!((found.email.as_str(), found.purpose), (email, LinkPurpose::SignUp));

    let mut tries = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (writer, act) = (scene.writer.clone(), set_password(&link, &format!("$argon2id${n}")));
        let order = Order { id: Uuid::now_v7(), actor_id: NOBODY, project_id: 0 };
        tries.spawn(async move { writer.execute(order, act).await.unwrap().outcome.status });
    }
    let statuses = tries.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == CommandStatus::Done).count(), 1, "{statuses:?}");
    assert_eq!(scene.reader.account_link(&store::token::sha256(&link)).await.unwrap(), None);

    scene.act(NOBODY, forgotten(email)).await;
    let link = scene.links(email).await.pop().unwrap();
    scene.database.pool.execute("update account_link set expires_at = now() where used_at is null").await.unwrap();
    assert_eq!(scene.reader.account_link(&store::token::sha256(&link)).await.unwrap(), None);
    assert_eq!(scene.act(NOBODY, set_password(&link, "$argon2id$late")).await.status, CommandStatus::Invalid);
}

#[tokio::test]
async fn the_answer_is_the_same_whether_an_address_has_an_account() {
    let scene = Scene::new().await;
    scene.account("ada@example.org").await;
    for registration in [Registration::Open, Registration::Invited, Registration::Closed] {
        let known = scene.act(NOBODY, sign_up("ada@example.org", registration)).await;
        let unknown = scene.act(NOBODY, sign_up("eve@example.org", registration)).await;
        assert_eq!(known, unknown, "{registration:?}");
    }
    let known = scene.act(NOBODY, forgotten("ada@example.org")).await;
    assert_eq!(known, scene.act(NOBODY, forgotten("nobody@example.org")).await);
    assert_eq!(scene.links("eve@example.org").await.len(), 1, "who was not invited gets nothing");
    assert_eq!(scene.links("nobody@example.org").await.len(), 0);
    assert_eq!(scene.links("ada@example.org").await.len(), 4, "one to sign up, two for who has an account, one reset");
}

#[tokio::test]
async fn nobody_is_flooded_with_mail_and_notices_no_difference() {
    let scene = Scene::new().await;
    let first = scene.act(NOBODY, sign_up("ada@example.org", Registration::Open)).await;
    for _ in 0..9 {
        assert_eq!(scene.act(NOBODY, sign_up("ada@example.org", Registration::Open)).await, first);
    }
    assert_eq!(scene.links("ada@example.org").await.len(), 5);
}

#[tokio::test]
async fn a_new_password_signs_out_everywhere_and_is_told_by_mail() {
    let scene = Scene::new().await;
    let ada = scene.account("ada@example.org").await;
    let before = scene.reader.account(ada).await.unwrap().unwrap();
    scene.act(NOBODY, forgotten("ada@example.org")).await;
    let link = scene.links("ada@example.org").await.pop().unwrap();
    let outcome = scene.act(NOBODY, set_password(&link, "$argon2id$second")).await;
    assert_eq!((outcome.status, outcome.made_id), (CommandStatus::Done, ada));
    let after = scene.reader.account(ada).await.unwrap().unwrap();
    assert_eq!(after.password_hash.as_deref(), Some("$argon2id$second"));
    assert_eq!(after.session_epoch, before.session_epoch + 1);
    assert_eq!(scene.database.number("select count(*) from outbox where kind = 'account.password_changed'").await, 1);
}

#[tokio::test]
async fn commands_keep_no_secret_and_a_repeat_is_known_by_its_password() {
    let scene = Scene::new().await;
    scene.act(NOBODY, sign_up("ada@example.org", Registration::Open)).await;
    let link = scene.links("ada@example.org").await.pop().unwrap();
    let order = Order { id: Uuid::now_v7(), actor_id: NOBODY, project_id: 0 };
    let status =
        async |hash: &str| scene.writer.execute(order, set_password(&link, hash)).await.unwrap().outcome.status;
    assert_eq!(status("$argon2id$mine").await, CommandStatus::Done);
    assert_eq!(status("$argon2id$mine").await, CommandStatus::Done, "the same once more");
    assert_eq!(status("$argon2id$theirs").await, CommandStatus::Denied, "another password is another command");
    let kept: Vec<String> =
        sqlx::query_scalar("select args::text from command").fetch_all(&scene.database.pool).await.unwrap();
    assert!(kept.iter().all(|args| !args.contains("argon2") && !args.contains(&link)), "{kept:?}");
}

#[tokio::test]
async fn who_makes_a_project_owns_its_organization_and_nobody_else_sees_it() {
    let scene = Scene::new().await;
    let (ada, eve) = (scene.account("ada@example.org").await, scene.account("eve@example.org").await);
    let made = scene.act(ada, new_project("  The   Shop ")).await;
    assert_eq!(made.status, CommandStatus::Done, "{}", made.told);
    let opened = scene.reader.open(Viewer::User(ada), made.made_id).await.unwrap().unwrap();
    assert_eq!((opened.name(), opened.slug(), opened.role()), ("The Shop", "the-shop", Some(Role::Owner)));
    assert!(scene.reader.project_key(&opened).await.unwrap().is_some());
    assert!(scene.reader.open(Viewer::User(eve), made.made_id).await.unwrap().is_none());
    assert!(scene.reader.projects(Viewer::User(eve), 0, 10).await.unwrap().is_empty());

    let own = scene.reader.organizations_of(ada).await.unwrap();
    let theirs = CreateProject { organization_id: own[0].id, ..new_project("Mine") };
    assert_eq!(scene.act(eve, theirs).await.status, CommandStatus::Denied);
    assert_eq!(scene.act(NOBODY, new_project("Mine")).await.status, CommandStatus::Denied);
    assert_eq!(scene.act(ada, new_project(" ")).await.status, CommandStatus::Invalid);
    let again = scene.act(ada, CreateProject { organization_id: own[0].id, ..new_project("The Shop") }).await;
    let again = scene.reader.open(Viewer::User(ada), again.made_id).await.unwrap().unwrap();
    assert_eq!(again.slug(), "the-shop-2");
    let noted = "select count(*) from audit_log where kind = 'project.made'";
    assert_eq!(scene.database.number(noted).await, 2);
}

#[tokio::test]
async fn who_sees_a_project_is_decided_by_organization_team_and_membership() {
    let scene = Scene::new().await;
    scene
        .database
        .pool
        .execute(
            "insert into organization (id, slug, name) values (7, 'acme', 'Acme'), (8, 'other', 'Other');
             insert into project (id, slug, name, organization_id) values (1, 'a', 'A', 7), (2, 'b', 'B', 7), (3, 'c', 'C', 8);
             insert into user_account (id, email) select n, n || '@example.org' from generate_series(1, 7) n;
             insert into organization_member (organization_id, user_id, role)
                 values (7, 1, 'owner'), (7, 2, 'admin'), (7, 3, 'member'), (7, 4, 'viewer'), (7, 5, 'member');
             insert into team (id, organization_id, name) overriding system value values (9, 7, 'Backend');
             insert into team_member values (9, 7, 3), (9, 7, 4);
             insert into team_project values (9, 7, 2);
             insert into membership (user_id, project_id, role) values (6, 1, 'viewer'), (3, 2, 'admin');",
        )
        .await
        .unwrap();
    let role = async |user: i64, project: i64| {
        scene.reader.open(Viewer::User(user), project).await.unwrap().and_then(|opened| opened.role())
    };
    for (user, a, b) in [
        (1, Some(Role::Owner), Some(Role::Owner)),
        (2, Some(Role::Admin), Some(Role::Admin)),
        (3, None, Some(Role::Admin)), // the team makes a member, the membership an admin: the higher one holds
        (4, None, Some(Role::Viewer)),
        (5, None, None),
        (6, Some(Role::Viewer), None),
        (7, None, None),
    ] {
        assert_eq!((role(user, 1).await, role(user, 2).await, role(user, 3).await), (a, b, None), "user {user}");
        let listed = scene.reader.projects(Viewer::User(user), 0, 10).await.unwrap();
        assert_eq!(listed.len(), usize::from(a.is_some()) + usize::from(b.is_some()), "user {user}");
    }
    // Who leaves the organization leaves its teams.
    scene.database.pool.execute("delete from organization_member where user_id = 4").await.unwrap();
    assert_eq!(role(4, 2).await, None);
    scene.database.pool.execute("update project set deleted_at = now() where id = 1").await.unwrap();
    assert_eq!(role(1, 1).await, None);
    let foreign = scene.database.pool.execute("insert into team_project values (9, 7, 3)").await;
    assert!(foreign.is_err(), "a team has projects of its own organization only");
}
