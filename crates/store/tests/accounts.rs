//! People sign up, set passwords and make projects; links work once, and who sees what is decided in one place.
//!
//! Everything is written by the worker's role and read by the web's, with the rights that they have.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod database;

use database::Database;
use sqlx::Executor as _;
use store::reader::{LinkPurpose, Viewer};
use store::writer::{
    AcceptInvitation, Act, AskEmail, AskLink, ChangePassword, ChangeProject, ChangeTeam, CommandStatus, ConfirmEmail,
    CreateKey, CreateProject, CreateTeam, CreateToken, DeleteAccount, DeleteProject, DisableTotp, EnableTotp, Invite,
    LinkWanted, MakeFeed, Order, Outcome, Registration, RevokeKey, RevokeToken, SetOrganizationMember, SetPassword,
    SetProjectMember, SignOutEverywhere, TeamChange, UseRecoveryCode, UseTotp,
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

    async fn act_in(&self, actor_id: i64, project_id: i64, act: impl Act) -> Outcome {
        let order = Order { id: Uuid::now_v7(), actor_id, project_id };
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
            let after = ["link", "invitation"]
                .iter()
                .find_map(|what| Some(text.split_once(&format!("https://croak.example/{what}/"))?.1))?;
            after.split_whitespace().next().map(str::to_owned)
        };
        texts.iter().filter_map(token).collect()
    }

    /// How many mails of a kind wait.
    async fn mails(&self, kind: &str) -> i64 {
        sqlx::query_scalar("select count(*) from outbox where kind = $1")
            .bind(kind)
            .fetch_one(&self.database.pool)
            .await
            .unwrap()
    }

    /// Whose a token is, if it opens anything.
    async fn viewer(&self, token: &str) -> Option<Viewer> {
        self.reader.token(&store::token::sha256(token)).await.unwrap().map(|token| token.viewer)
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

fn public_url() -> Option<String> {
    Some("https://croak.example".to_owned())
}

fn ask_email(email: &str) -> AskEmail {
    AskEmail { email: email.to_owned(), public_url: public_url() }
}

fn confirm_email(token: &str) -> ConfirmEmail {
    ConfirmEmail { token_sha256: store::token::sha256(token).to_vec(), public_url: public_url() }
}

/// A token for scripts, of the actor's or of the project that it is ordered in.
fn token(clear: &str) -> CreateToken {
    CreateToken {
        name: "script".to_owned(),
        scopes: vec!["read".to_owned()],
        days: Some(30),
        token_sha256: store::token::sha256(clear).to_vec(),
        public_url: public_url(),
    }
}

/// A second factor whose step 100 is used up, with recovery codes 0 to 9.
fn enable_totp() -> EnableTotp {
    let recovery_sha256 = (0..10).map(|n| vec![n; 32]).collect();
    EnableTotp { sealed_secret: vec![1, 2, 3], step: 100, recovery_sha256, public_url: public_url() }
}

fn totp(user_id: i64, step: i64) -> UseTotp {
    UseTotp { user_id, step, public_url: public_url() }
}

fn recovery_code(user_id: i64, n: u8) -> UseRecoveryCode {
    UseRecoveryCode { user_id, code_sha256: vec![n; 32], public_url: public_url() }
}

fn new_project(name: &str) -> CreateProject {
    CreateProject { organization_id: 0, organization_name: "Acme".to_owned(), name: name.to_owned() }
}

#[tokio::test]
async fn two_sign_ups_at_once_make_one_account() {
    let scene = Scene::new().await;
    for round in 0..10 {
        sign_up_twice_at_once(&scene, &format!("ada{round}@example.org")).await;
    }
    assert_eq!(scene.database.number("select count(*) from user_account").await, 10);
}

async fn sign_up_twice_at_once(scene: &Scene, email: &str) {
    let (one, other) = tokio::join!(
        scene.act(NOBODY, sign_up(email, Registration::Open)),
        scene.act(NOBODY, sign_up(&format!(" {}", email.to_uppercase()), Registration::Open))
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
    assert_eq!(scene.act(ada, new_project("Shop\0")).await.status, CommandStatus::Invalid);
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

/// An organization of Ada's, with a project.
async fn acme(scene: &Scene) -> (i64, i64, i64) {
    let ada = scene.account("ada@example.org").await;
    let project_id = scene.act(ada, new_project("Shop")).await.made_id;
    (ada, scene.reader.organizations_of(ada).await.unwrap()[0].id, project_id)
}

fn invite(organization_id: i64, email: &str, role: Role) -> Invite {
    let public_url = Some("https://croak.example".to_owned());
    Invite { organization_id, email: email.to_owned(), role, team_id: None, public_url }
}

fn accept(token: &str, password_hash: &str) -> AcceptInvitation {
    let token_sha256 = store::token::sha256(token).to_vec();
    AcceptInvitation { token_sha256, password_hash: password_hash.to_owned(), registration: Registration::Invited }
}

#[tokio::test]
async fn who_is_invited_joins_once_with_a_new_account_or_the_own_one() {
    let scene = Scene::new().await;
    let (ada, acme, project_id) = acme(&scene).await;
    let team = scene.act(ada, CreateTeam { organization_id: acme, name: "Backend".into() }).await.made_id;
    let add = TeamChange::AddProject(project_id);
    scene.act(ada, ChangeTeam { organization_id: acme, team_id: team, change: add }).await;
    let into_team = Invite { team_id: Some(team), ..invite(acme, "Bob@Example.org", Role::Member) };
    assert_eq!(scene.act(ada, into_team).await.status, CommandStatus::Done);
    let link = scene.links("bob@example.org").await.pop().unwrap();
    let found = scene.reader.invitation(&store::token::sha256(&link)).await.unwrap().unwrap();
    assert_eq!((found.organization.as_str(), found.has_account), ("Acme", false));

    assert_eq!(scene.act(NOBODY, accept(&link, "")).await.status, CommandStatus::Denied, "without a password");
    let closed = AcceptInvitation { registration: Registration::Closed, ..accept(&link, "$argon2id$x") };
    assert_eq!(scene.act(NOBODY, closed).await.status, CommandStatus::Denied);
    let bob = scene.act(NOBODY, accept(&link, "$argon2id$bob")).await;
    assert_eq!(bob.status, CommandStatus::Done, "{}", bob.told);
    assert_eq!(scene.act(NOBODY, accept(&link, "$argon2id$eve")).await.status, CommandStatus::Invalid, "it works once");
    let opened = scene.reader.open(Viewer::User(bob.made_id), project_id).await.unwrap().unwrap();
    assert_eq!(opened.role(), Some(Role::Member), "by the team");

    let eve = scene.account("eve@example.org").await;
    scene.act(ada, invite(acme, "cleo@example.org", Role::Viewer)).await;
    let link = scene.links("cleo@example.org").await.pop().unwrap();
    assert_eq!(scene.act(eve, accept(&link, "")).await.status, CommandStatus::Denied, "it is for another address");
    assert_eq!(scene.act(NOBODY, sign_up("cleo@example.org", Registration::Invited)).await.status, CommandStatus::Done);
    let sign_up_link = scene.links("cleo@example.org").await.pop().unwrap();
    let cleo = scene.act(NOBODY, set_password(&sign_up_link, "$argon2id$cleo")).await.made_id;
    assert_eq!(scene.act(cleo, accept(&link, "")).await.status, CommandStatus::Done);
    assert_eq!(scene.reader.organizations_of(cleo).await.unwrap()[0].role, Role::Viewer);
}

#[tokio::test]
async fn roles_are_given_by_those_who_may_and_an_owner_is_left() {
    let scene = Scene::new().await;
    let (ada, acme, project_id) = acme(&scene).await;
    let mut people = Vec::new();
    for (email, role) in [("adm@example.org", Role::Admin), ("mem@example.org", Role::Member)] {
        scene.act(ada, invite(acme, email, role)).await;
        let link = scene.links(email).await.pop().unwrap();
        people.push(scene.act(NOBODY, accept(&link, "$argon2id$x")).await.made_id);
    }
    let (admin, member) = (people[0], people[1]);
    let set = |user_id, role| SetOrganizationMember { organization_id: acme, user_id, role };
    let denied = CommandStatus::Denied;
    assert_eq!(scene.act(member, set(member, Some(Role::Admin))).await.status, denied);
    assert_eq!(scene.act(member, invite(acme, "x@example.org", Role::Viewer)).await.status, denied);
    assert_eq!(scene.act(admin, set(admin, Some(Role::Owner))).await.status, denied, "owners are named by owners");
    assert_eq!(scene.act(admin, set(ada, None)).await.status, denied);
    assert_eq!(scene.act(admin, invite(acme, "x@example.org", Role::Owner)).await.status, denied);
    assert_eq!(scene.act(ada, set(ada, Some(Role::Member))).await.status, CommandStatus::Invalid, "the last owner");
    assert_eq!(scene.act(ada, DeleteAccount {}).await.status, CommandStatus::Invalid, "nobody else owns it");

    assert_eq!(scene.act(ada, set(admin, Some(Role::Owner))).await.status, CommandStatus::Done);
    let (one, other) = tokio::join!(scene.act(ada, set(admin, None)), scene.act(admin, set(ada, None)));
    let done = [&one, &other].into_iter().filter(|outcome| outcome.status == CommandStatus::Done).count();
    assert_eq!(done, 1, "two owners do not take each other out: {one:?} {other:?}");
    assert_eq!(scene.database.number("select count(*) from organization_member where role = 'owner'").await, 1);

    assert!(scene.reader.open(Viewer::User(member), project_id).await.unwrap().is_none(), "a member without a team");
    assert_eq!(scene.act(member, set(member, None)).await.status, CommandStatus::Done, "everybody may leave");
    assert_eq!(scene.act(member, DeleteAccount {}).await.status, CommandStatus::Done);
    assert!(scene.reader.account(member).await.unwrap().is_none());
}

#[tokio::test]
async fn two_owners_who_go_at_once_do_not_both_go() {
    let scene = Scene::new().await;
    let (ada, acme, _) = acme(&scene).await;
    scene.act(ada, invite(acme, "bob@example.org", Role::Owner)).await;
    let link = scene.links("bob@example.org").await.pop().unwrap();
    let bob = scene.act(NOBODY, accept(&link, "$argon2id$x")).await.made_id;
    let mut holds = scene.database.pool.begin().await.unwrap();
    sqlx::query("select from organization where id = $1 for update").bind(acme).execute(&mut *holds).await.unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let let_go = async {
        for _ in 0..100 {
            if scene.database.number(waits).await == 2 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        holds.commit().await.unwrap();
    };
    let (one, other, ()) = tokio::join!(scene.act(ada, DeleteAccount {}), scene.act(bob, DeleteAccount {}), let_go);
    let stays = [one, other].iter().filter(|outcome| outcome.status == CommandStatus::Invalid).count();
    assert_eq!(stays, 1);
    assert_eq!(scene.database.number("select count(*) from organization_member where role = 'owner'").await, 1);
}

#[tokio::test]
async fn a_retention_that_becomes_shorter_holds_a_day_later() {
    let scene = Scene::new().await;
    let (ada, _, project_id) = acme(&scene).await;
    let kept =
        async || scene.database.number("select kept_days(p)::bigint from project p order by id desc limit 1").await;
    let keep = async |retention_days| {
        let (name, seen) = ("Shop".to_owned(), String::new());
        let change = ChangeProject { name, retention_days, rate_per_minute_max: None, disabled: false, seen };
        assert_eq!(scene.act_in(ada, project_id, change).await.status, CommandStatus::Done);
    };
    let a_day_later = async || {
        sqlx::query("update project set kept_before_until = kept_before_until - interval '1 day'")
            .execute(&scene.database.pool)
            .await
            .unwrap();
    };
    keep(365).await;
    assert_eq!(kept().await, 365, "longer at once");
    keep(30).await;
    keep(30).await;
    assert_eq!(kept().await, 365);
    keep(60).await;
    assert_eq!(kept().await, 365);
    a_day_later().await;
    assert_eq!(kept().await, 60);
    keep(10).await;
    assert_eq!(kept().await, 60, "what is gone by now does not count any more");
    keep(100).await;
    assert_eq!(kept().await, 100);
}

#[tokio::test]
async fn settings_keys_and_members_of_a_project_are_its_managers() {
    let scene = Scene::new().await;
    let (ada, acme, project_id) = acme(&scene).await;
    scene.act(ada, invite(acme, "bob@example.org", Role::Member)).await;
    let link = scene.links("bob@example.org").await.pop().unwrap();
    let bob = scene.act(NOBODY, accept(&link, "$argon2id$x")).await.made_id;
    let eve = scene.account("eve@example.org").await;

    let let_in = |user_id, role| SetProjectMember { user_id, role };
    assert_eq!(scene.act_in(ada, project_id, let_in(eve, Some(Role::Viewer))).await.status, CommandStatus::Missing);
    assert_eq!(scene.act_in(ada, project_id, let_in(bob, Some(Role::Member))).await.status, CommandStatus::Done);
    let opened = scene.reader.open(Viewer::User(bob), project_id).await.unwrap().unwrap();
    assert!(opened.may_act() && !opened.may_manage());

    let change = ChangeProject {
        name: "Store".into(),
        retention_days: 30,
        rate_per_minute_max: Some(60),
        disabled: false,
        seen: String::new(),
    };
    let before = scene.reader.project_settings(&opened).await.unwrap().unwrap().seen();
    for actor in [bob, eve, NOBODY] {
        assert_eq!(scene.act_in(actor, project_id, change.clone()).await.status, CommandStatus::Denied);
        assert_eq!(scene.act_in(actor, project_id, CreateKey {}).await.status, CommandStatus::Denied);
        assert_eq!(
            scene.act_in(actor, project_id, let_in(actor, Some(Role::Owner))).await.status,
            CommandStatus::Denied
        );
    }
    assert_eq!(scene.act_in(ada, project_id, change.clone()).await.status, CommandStatus::Done);
    let late = ChangeProject { retention_days: 7, seen: before, ..change.clone() };
    assert_eq!(scene.act_in(ada, project_id, late.clone()).await.status, CommandStatus::Conflict, "a page of before");
    let never = ChangeProject { retention_days: 0, ..change };
    assert_eq!(scene.act_in(ada, project_id, never).await.status, CommandStatus::Invalid);
    let settings = scene.reader.project_settings(&opened).await.unwrap().unwrap();
    assert_eq!(
        (settings.name.as_str(), settings.retention_days, settings.rate_per_minute_max),
        ("Store", 30, Some(60))
    );
    let now = ChangeProject { seen: settings.seen(), ..late };
    assert_eq!(scene.act_in(ada, project_id, now).await.status, CommandStatus::Done);

    scene.act_in(ada, project_id, CreateKey {}).await;
    let keys = scene.reader.project_keys(&opened).await.unwrap();
    assert_eq!(keys.len(), 2);
    let revoke = RevokeKey { key_sha256: store::token::sha256(&keys[0].0).to_vec() };
    assert_eq!(scene.act_in(ada, project_id, revoke).await.status, CommandStatus::Done);
    assert_eq!(scene.reader.project_keys(&opened).await.unwrap().len(), 1);
    let logged: Vec<String> =
        scene.reader.audit_log(acme, None, 100).await.unwrap().into_iter().map(|line| line.kind).collect();
    for kind in [
        "organization.made",
        "project.made",
        "member.invited",
        "member.joined",
        "project.changed",
        "key.made",
        "key.revoked",
    ] {
        assert!(logged.iter().any(|logged| logged == kind), "{kind} is not in {logged:?}");
    }

    assert_eq!(
        scene.act_in(ada, project_id, DeleteProject { slug: "wrong".into() }).await.status,
        CommandStatus::Invalid
    );
    assert_eq!(scene.act_in(ada, project_id, DeleteProject { slug: "shop".into() }).await.status, CommandStatus::Done);
    assert!(scene.reader.open(Viewer::User(ada), project_id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_token_opens_until_it_is_revoked_and_only_its_owner_revokes_it() {
    let scene = Scene::new().await;
    let (ada, _, project_id) = acme(&scene).await;
    let eve = scene.account("eve@example.org").await;
    let own = scene.act(ada, token("croak_own")).await.made_id;
    scene.act_in(ada, project_id, token("croak_project")).await;
    assert_eq!(scene.viewer("croak_own").await, Some(Viewer::User(ada)));
    assert_eq!(scene.viewer("croak_project").await, Some(Viewer::Project(project_id)));
    assert_eq!(scene.mails("account.token_made").await, 2, "its maker is told");
    assert_eq!(scene.act_in(eve, project_id, token("croak_eve")).await.status, CommandStatus::Denied);
    let everything = CreateToken { scopes: vec!["everything".into()], ..token("croak_more") };
    assert_eq!(scene.act(ada, everything).await.status, CommandStatus::Invalid);
    assert_eq!(scene.act(eve, RevokeToken { token_id: own }).await.status, CommandStatus::Missing);
    assert_eq!(scene.act(ada, RevokeToken { token_id: own }).await.status, CommandStatus::Done);
    assert_eq!(scene.viewer("croak_own").await, None);
    assert_eq!(scene.reader.tokens(Viewer::Project(project_id)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_code_of_the_second_factor_is_taken_once_however_many_show_it() {
    let scene = Scene::new().await;
    let ada = scene.account("ada@example.org").await;
    assert_eq!(scene.act(ada, enable_totp()).await.status, CommandStatus::Done);
    assert_eq!(scene.act(ada, enable_totp()).await.status, CommandStatus::Conflict);
    assert_eq!(scene.act(NOBODY, totp(ada, 100)).await.status, CommandStatus::Denied);
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..16 {
        let writer = scene.writer.clone();
        let order = Order { id: Uuid::now_v7(), actor_id: NOBODY, project_id: 0 };
        let recovery = recovery_code(ada, 3);
        tries.spawn(async move {
            match n % 2 {
                0 => writer.execute(order, totp(ada, 101)).await,
                _ => writer.execute(order, recovery).await,
            }
            .unwrap()
            .outcome
            .status
        });
    }
    let taken = tries.join_all().await.into_iter().filter(|status| *status == CommandStatus::Done).count();
    assert_eq!(taken, 2, "the code and the recovery code, each once");
    let factor = scene.reader.second_factor(ada).await.unwrap().unwrap();
    assert_eq!((factor.codes_left, factor.sealed_secret), (9, vec![1, 2, 3]));
    assert_eq!(scene.mails("account.recovery_code_used").await, 1);
}

#[tokio::test]
async fn a_second_factor_ends_what_the_password_alone_opened_and_its_owner_is_told() {
    let scene = Scene::new().await;
    let ada = scene.account("ada@example.org").await;
    scene.act(ada, ask_email("eve@example.org")).await;
    let link = scene.links("eve@example.org").await.pop().unwrap();
    let epoch = async || scene.reader.account(ada).await.unwrap().unwrap().session_epoch;
    let before = epoch().await;
    scene.act(ada, enable_totp()).await;
    assert_eq!(epoch().await, before + 1);
    assert_eq!(scene.act(NOBODY, confirm_email(&link)).await.status, CommandStatus::Invalid);
    for _ in 0..2 {
        scene.act(ada, DisableTotp { public_url: public_url() }).await;
    }
    let told = (scene.mails("account.second_factor_on").await, scene.mails("account.second_factor_off").await);
    assert_eq!(told, (1, 1), "once each");
}

#[tokio::test]
async fn recovery_codes_that_were_not_kept_are_no_repeat_of_those_that_were() {
    let scene = Scene::new().await;
    let ada = scene.account("ada@example.org").await;
    let order = Order { id: Uuid::now_v7(), actor_id: ada, project_id: 0 };
    let status = async |act: EnableTotp| scene.writer.execute(order, act).await.unwrap().outcome.status;
    assert_eq!(status(enable_totp()).await, CommandStatus::Done);
    assert_eq!(status(enable_totp()).await, CommandStatus::Done, "the same once more");
    let others = EnableTotp { recovery_sha256: (10..20).map(|n| vec![n; 32]).collect(), ..enable_totp() };
    assert_eq!(status(others).await, CommandStatus::Denied);
    assert_eq!(status(EnableTotp { sealed_secret: vec![4], ..enable_totp() }).await, CommandStatus::Denied);
}

#[tokio::test]
async fn who_guesses_codes_waits_longer_and_longer_and_the_owner_is_told() {
    let scene = Scene::new().await;
    let ada = scene.account("ada@example.org").await;
    scene.act(ada, enable_totp()).await;
    let mut step = 100;
    let mut right = async || {
        step += 1;
        scene.act(NOBODY, totp(ada, step)).await
    };
    let wrong = async || scene.act(NOBODY, recovery_code(ada, 99)).await;
    let later = async |minutes: i32| {
        let earlier = sqlx::query("update totp set failed_at = failed_at - $1 * interval '1 minute'").bind(minutes);
        earlier.execute(&scene.database.pool).await.unwrap();
    };
    for _ in 0..9 {
        wrong().await;
    }
    assert_eq!(right().await.status, CommandStatus::Done, "and those before are forgotten");
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (writer, act) = (scene.writer.clone(), recovery_code(ada, 98));
        let order = Order { id: Uuid::now_v7(), actor_id: NOBODY, project_id: 0 };
        tries.spawn(async move { writer.execute(order, act).await.unwrap().outcome.told });
    }
    let told = tries.join_all().await;
    let counted = told.iter().filter(|told| told.starts_with("This code is wrong")).count();
    assert_eq!(counted, 10, "however many come at once, by whichever web: {told:?}");
    let paused = right().await;
    assert!(paused.status == CommandStatus::Denied && paused.told.contains("wait 10 minutes"), "{}", paused.told);
    assert_eq!(scene.mails("account.codes_guessed").await, 1);

    later(10).await;
    assert!(wrong().await.told.starts_with("This code is wrong"));
    later(10).await;
    assert!(right().await.told.contains("wait 10 minutes"), "the second pause is of twenty");
    later(10).await;
    assert_eq!(right().await.status, CommandStatus::Done);
    wrong().await;
    assert_eq!(right().await.status, CommandStatus::Done, "a right code forgets the wrong ones");

    for _ in 0..9 {
        wrong().await;
    }
    later(24 * 60).await;
    wrong().await;
    assert_eq!(right().await.status, CommandStatus::Done, "and so does a day");
}

#[tokio::test]
async fn what_was_left_behind_in_an_account_ends_when_its_owner_takes_it_back() {
    let scene = Scene::new().await;
    let (ada, _, project_id) = acme(&scene).await;
    let take_back = async |way: usize| match way {
        0 => {
            scene.act(NOBODY, forgotten("ada@example.org")).await;
            let link = scene.links("ada@example.org").await.pop().unwrap();
            scene.act(NOBODY, set_password(&link, "$argon2id$mine")).await
        }
        1 => {
            let password_hash = "$argon2id$mine".to_owned();
            scene.act(ada, ChangePassword { password_hash, revokes_tokens: true, public_url: public_url() }).await
        }
        _ => scene.act(ada, SignOutEverywhere { revokes_tokens: true }).await,
    };
    for way in 0..3 {
        let (theirs, clear) = (format!("eve{way}@example.org"), format!("croak_{way}"));
        scene.act(ada, ask_email(&theirs)).await;
        let link = scene.links(&theirs).await.pop().unwrap();
        scene.act(ada, token(&clear)).await;
        let token_sha256 = store::token::sha256(&clear).to_vec();
        let fed = scene.act_in(ada, project_id, MakeFeed { search_id: None, token_sha256 }).await;
        assert_eq!(fed.status, CommandStatus::Done, "{}", fed.told);

        assert_eq!(take_back(way).await.status, CommandStatus::Done);
        assert_eq!(scene.act(NOBODY, confirm_email(&link)).await.status, CommandStatus::Invalid, "way {way}");
        assert_eq!(scene.reader.account(ada).await.unwrap().unwrap().email, "ada@example.org");
        assert_eq!(scene.viewer(&clear).await, None, "way {way}");
        assert!(scene.reader.feed(&store::token::sha256(&clear)).await.unwrap().is_none(), "way {way}");
    }
    scene.act(ada, token("croak_kept")).await;
    scene.act(ada, SignOutEverywhere { revokes_tokens: false }).await;
    assert_eq!(scene.viewer("croak_kept").await, Some(Viewer::User(ada)), "who wants so keeps them");
}

#[tokio::test]
async fn who_is_taken_out_leaves_no_token_and_no_invitation_behind() {
    let scene = Scene::new().await;
    let (ada, acme, project_id) = acme(&scene).await;
    scene.act(ada, invite(acme, "adm@example.org", Role::Admin)).await;
    let link = scene.links("adm@example.org").await.pop().unwrap();
    let admin = scene.act(NOBODY, accept(&link, "$argon2id$x")).await.made_id;
    scene.act_in(ada, project_id, token("croak_hers")).await;
    scene.act_in(admin, project_id, token("croak_theirs")).await;
    scene.act(admin, invite(acme, "friend@example.org", Role::Admin)).await;
    scene.act(ada, invite(acme, "bob@example.org", Role::Member)).await;
    let out = SetOrganizationMember { organization_id: acme, user_id: admin, role: None };
    assert_eq!(scene.act(ada, out).await.status, CommandStatus::Done);
    assert_eq!(scene.viewer("croak_theirs").await, None);
    assert_eq!(scene.viewer("croak_hers").await, Some(Viewer::Project(project_id)));
    let friend = scene.links("friend@example.org").await.pop().unwrap();
    assert_eq!(scene.act(NOBODY, accept(&friend, "$argon2id$x")).await.status, CommandStatus::Invalid);
    let bob = scene.links("bob@example.org").await.pop().unwrap();
    let bob = scene.act(NOBODY, accept(&bob, "$argon2id$x")).await.made_id;

    let let_in = |role| SetProjectMember { user_id: bob, role };
    scene.act_in(ada, project_id, let_in(Some(Role::Admin))).await;
    scene.act_in(bob, project_id, token("croak_bob")).await;
    scene.act_in(ada, project_id, let_in(Some(Role::Member))).await;
    assert_eq!(scene.viewer("croak_bob").await, Some(Viewer::Project(project_id)), "they still see it");
    scene.act_in(ada, project_id, let_in(None)).await;
    assert_eq!(scene.viewer("croak_bob").await, None);

    scene.act_in(ada, project_id, let_in(Some(Role::Admin))).await;
    scene.act_in(bob, project_id, token("croak_bob_again")).await;
    assert_eq!(scene.act(bob, DeleteAccount {}).await.status, CommandStatus::Done);
    assert_eq!(scene.viewer("croak_bob_again").await, None, "nor does who goes of their own accord");
}

#[tokio::test]
async fn nobody_is_flooded_with_invitations() {
    let scene = Scene::new().await;
    let (ada, acme, _) = acme(&scene).await;
    let eve = scene.account("eve@example.org").await;
    scene.act(eve, new_project("Flood")).await;
    let flood = scene.reader.organizations_of(eve).await.unwrap()[0].id;
    for _ in 0..5 {
        assert_eq!(scene.act(eve, invite(flood, "bob@example.org", Role::Viewer)).await.status, CommandStatus::Done);
    }
    for (actor, organization) in [(eve, flood), (ada, acme)] {
        let sixth = scene.act(actor, invite(organization, "Bob@example.org", Role::Viewer)).await;
        assert_eq!(sixth.status, CommandStatus::Invalid, "{}", sixth.told);
    }
    assert_eq!(scene.links("bob@example.org").await.len(), 5);
    scene.database.pool.execute("update outbox set created_at = created_at - interval '1 hour'").await.unwrap();
    assert_eq!(scene.act(ada, invite(acme, "bob@example.org", Role::Viewer)).await.status, CommandStatus::Done);

    let invited_today = sqlx::query(
        "insert into audit_log (actor_id, organization_id, kind) select $1, $2, 'member.invited' from generate_series(1, 195)",
    );
    invited_today.bind(eve).bind(flood).execute(&scene.database.pool).await.unwrap();
    let more = scene.act(eve, invite(flood, "cleo@example.org", Role::Viewer)).await;
    assert_eq!(more.status, CommandStatus::Invalid, "{}", more.told);
    scene.act(eve, CreateProject { organization_name: "Other".into(), ..new_project("Other") }).await;
    let other = scene.reader.organizations_of(eve).await.unwrap().iter().map(|own| own.id).max().unwrap();
    let elsewhere = scene.act(eve, invite(other, "cleo@example.org", Role::Viewer)).await;
    assert_eq!(elsewhere.status, CommandStatus::Invalid, "nor from an organization of the same person's");
    assert_eq!(scene.act(ada, invite(acme, "cleo@example.org", Role::Viewer)).await.status, CommandStatus::Done);
}

#[tokio::test]
async fn how_often_another_address_may_be_asked_for_does_not_tell_whether_it_has_an_account() {
    let scene = Scene::new().await;
    scene.account("known@example.org").await;
    let mut mails = Vec::new();
    for (own, wanted) in [("ada@example.org", "known@example.org"), ("eve@example.org", "unknown@example.org")] {
        let account = scene.account(own).await;
        let mut told = Vec::new();
        for _ in 0..7 {
            told.push(scene.act(account, ask_email(wanted)).await);
        }
        let mailed: i64 =
            sqlx::query_scalar("select count(*) from outbox where kind = 'account.address_leaves' and recipient = $1")
                .bind(own)
                .fetch_one(&scene.database.pool)
                .await
                .unwrap();
        mails.push((told, mailed));
    }
    assert_eq!(mails[0], mails[1]);
    assert_eq!(mails[0].1, 5);
}

#[tokio::test]
async fn another_address_holds_when_its_link_was_followed_and_the_old_one_is_told() {
    let scene = Scene::new().await;
    let ada = scene.account("ada@example.org").await;
    scene.account("eve@example.org").await;
    let free = scene.act(ada, ask_email("lovelace@example.org")).await;
    assert_eq!(
        free,
        scene.act(ada, ask_email("eve@example.org")).await,
        "whether an address has an account is not told"
    );
    assert_eq!(scene.database.number("select count(*) from outbox where kind = 'account.address_leaves'").await, 2);
    assert_eq!(scene.links("eve@example.org").await.len(), 1, "only that of her own sign-up");
    assert_eq!(scene.reader.account(ada).await.unwrap().unwrap().email, "ada@example.org");
    let link = scene.links("lovelace@example.org").await.pop().unwrap();
    assert_eq!(scene.act(NOBODY, set_password(&link, "$argon2id$x")).await.status, CommandStatus::Invalid);
    assert_eq!(scene.act(NOBODY, confirm_email(&link)).await.status, CommandStatus::Done);
    assert_eq!(scene.act(NOBODY, confirm_email(&link)).await.status, CommandStatus::Invalid, "it works once");
    let told = "select count(*) from outbox where kind = 'account.address_changed' and recipient = 'ada@example.org'";
    assert_eq!(scene.database.number(told).await, 1);
    assert_eq!(scene.reader.account(ada).await.unwrap().unwrap().email, "lovelace@example.org");
}

#[tokio::test]
async fn who_is_no_admin_any_more_has_neither_tokens_nor_invitations_of_one() {
    let scene = Scene::new().await;
    let (ada, acme, project_id) = acme(&scene).await;
    scene.act(ada, invite(acme, "bob@example.org", Role::Admin)).await;
    let link = scene.links("bob@example.org").await.pop().unwrap();
    let bob = scene.act(NOBODY, accept(&link, "$argon2id$x")).await.made_id;
    let made = scene.act_in(bob, project_id, token("croak_bob")).await;
    assert_eq!(made.status, CommandStatus::Done, "{}", made.told);
    scene.act(bob, invite(acme, "eve@example.org", Role::Admin)).await;
    let back = scene.links("eve@example.org").await.pop().unwrap();
    assert_eq!(scene.viewer("croak_bob").await, Some(Viewer::Project(project_id)));

    let team = scene.act(ada, CreateTeam { organization_id: acme, name: "Backend".into() }).await.made_id;
    let change = |change| ChangeTeam { organization_id: acme, team_id: team, change };
    scene.act(ada, change(TeamChange::AddProject(project_id))).await;
    scene.act(ada, change(TeamChange::AddMember(bob))).await;
    let member = SetOrganizationMember { organization_id: acme, user_id: bob, role: Some(Role::Member) };
    assert_eq!(scene.act(ada, member).await.status, CommandStatus::Done);
    assert_eq!(scene.act(NOBODY, accept(&back, "$argon2id$eve")).await.status, CommandStatus::Invalid);
    assert_eq!(scene.viewer("croak_bob").await, Some(Viewer::Project(project_id)), "the team still shows it to him");
    scene.act(ada, change(TeamChange::RemoveProject(project_id))).await;
    assert_eq!(scene.viewer("croak_bob").await, None);
}

#[tokio::test]
async fn whoever_wants_an_address_does_not_keep_its_owner_from_a_new_password() {
    let scene = Scene::new().await;
    scene.account("ada@example.org").await;
    let eve = scene.account("eve@example.org").await;
    for _ in 0..6 {
        scene.act(eve, ask_email("ada@example.org")).await;
    }
    scene.act(NOBODY, forgotten("ada@example.org")).await;
    assert_eq!(scene.mails("account.reset").await, 1);
}
