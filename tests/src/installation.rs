//! One whole Croak, made of the real programs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tempfile::TempDir;

use crate::api::Api;
use crate::port::Port;
use crate::process::{Process, Signal};
use crate::programs::Program;
use crate::samples;
use crate::servers::{Database, Postgres, Redis, RedisLimits};
use crate::wait_until;

/// A service must be ready this soon after its start.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A service must have stopped this soon after SIGTERM.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);

/// All roles of a worker.
pub const ALL_ROLES: &str = "fold,command,deliver,housekeep,report";

/// Address of the user that every installation has.
pub const USER_EMAIL: &str = "ada@shop.example";

/// Password of that user.
pub const USER_PASSWORD: &str = "correct horse battery staple";

/// An installation: its servers, its database and queue prefix, and the services that run.
///
/// Project 1 exists with the key [`samples::KEY`], a user who is its member, and a token.
#[derive(Debug)]
pub struct Installation {
    /// The gateway, when one runs.
    pub gateway: Option<Service>,
    /// The workers that run.
    pub workers: Vec<Service>,
    /// The web, when it runs.
    pub web: Option<Service>,
    /// Settings beside or instead of the usual ones, for every service that is started from now on.
    pub settings: Vec<(&'static str, String)>,
    /// Its own Redis, which a test may kill.
    pub redis: Option<Redis>,
    /// Its own PostgreSQL, which a test may kill.
    pub postgres: Option<Postgres>,
    token: String,
    redis_url: String,
    prefix: String,
    worker_count: usize,
    web_port: Port,
    folder: TempDir,
    database: Database,
    _shared: Shared,
}

/// Servers that live as long as somebody uses them.
#[derive(Debug, Default)]
struct Shared {
    _postgres: Option<Arc<Postgres>>,
    _redis: Option<Redis>,
}

impl Installation {
    /// One on servers that no test kills.
    pub async fn new() -> Installation {
        let mut shared = Shared::default();
        let postgres_url = match std::env::var("CROAK_TEST_DATABASE_URL") {
            Ok(url) => url,
            Err(_) => shared._postgres.insert(Postgres::shared().await).url("postgres"),
        };
        let redis_url = match std::env::var("CROAK_TEST_REDIS_URL") {
            Ok(url) => url,
            Err(_) => shared._redis.insert(Redis::start(RedisLimits::default()).await).url(),
        };
        Installation::on(&postgres_url, redis_url, shared).await
    }

    /// One on servers of its own, which the test may kill.
    pub async fn with_private_servers(limits: RedisLimits) -> Installation {
        let (postgres, redis) = tokio::join!(Postgres::start(), Redis::start(limits));
        let mut installation = Installation::on(&postgres.url("postgres"), redis.url(), Shared::default()).await;
        installation.postgres = Some(postgres);
        installation.redis = Some(redis);
        installation
    }

    /// One with a gateway, a worker with all roles and the web running.
    pub async fn running() -> Installation {
        let mut installation = Installation::new().await;
        installation.start_all().await;
        installation
    }

    /// One on servers that somebody else has started and may kill, with keys that begin with `prefix`.
    pub async fn at(postgres_url: &str, redis_url: String, prefix: &str) -> Installation {
        let mut installation = Installation::on(postgres_url, redis_url, Shared::default()).await;
        prefix.clone_into(&mut installation.prefix);
        installation
    }

    async fn on(postgres_url: &str, redis_url: String, shared: Shared) -> Installation {
        let mut installation = Installation {
            gateway: None,
            workers: Vec::new(),
            web: None,
            settings: Vec::new(),
            redis: None,
            postgres: None,
            token: String::new(),
            redis_url,
            prefix: format!("croak-test-{}", uuid::Uuid::new_v4().simple()),
            worker_count: 0,
            web_port: Port::free(),
            folder: tempfile::Builder::new().prefix("croak-test-").tempdir().expect("a temporary folder"),
            database: Database::create(postgres_url).await,
            _shared: shared,
        };
        installation.croak(&["migrate"]);
        installation.croak(&["organization", "create", "--slug", "acme", "--name", "Acme"]);
        installation.create_project(1, "shop", samples::KEY);
        let mut user = installation.croak_command(&[
            "user",
            "create",
            "--email",
            USER_EMAIL,
            "--name",
            "Ada",
            "--project",
            "1",
            "--role",
            "member",
        ]);
        succeed(user.env("CROAK_USER_PASSWORD", USER_PASSWORD));
        let token = installation.croak_json(&["token", "create", "--name", "tests", "--user", USER_EMAIL]);
        installation.token = token["token"].as_str().expect("a token").to_owned();
        installation
    }

    /// Starts a worker with all roles, a gateway and the web, and waits until they are ready.
    pub async fn start_all(&mut self) {
        self.start_worker(ALL_ROLES).await;
        self.start_web().await;
        self.start_gateway().await;
    }

    /// Starts the gateway and waits until it is ready, which takes a snapshot of the projects: a worker must run, or have run.
    pub async fn start_gateway(&mut self) {
        self.gateway = Some(self.another_gateway("gateway", &self.journal_folder()).await);
    }

    /// Starts a gateway with a journal in a folder of its own, and waits until it is ready.
    pub async fn another_gateway(&self, name: &str, journal: &Path) -> Service {
        let port = Port::free();
        let environment = self.environment(&[
            ("CROAK_LISTEN", port.address().to_string()),
            ("CROAK_JOURNAL_DIR", journal.display().to_string()),
            ("CROAK_JOURNAL_BYTES_MAX", (1_u64 << 30).to_string()),
            ("CROAK_PUBLIC_URL", format!("http://{}", self.web_port.address())),
            ("CROAK_SNAPSHOT_POLL_MS", "200".to_owned()),
            ("CROAK_COMMAND_URL", self.command_urls()),
        ]);
        Service::start(Program::Gateway, name, Some(port), environment, self.folder.path()).await
    }

    /// Starts one more worker with these roles and waits until it is ready.
    pub async fn start_worker(&mut self, roles: &str) {
        self.worker_count += 1;
        let name = format!("worker-{}", self.worker_count);
        let command_port = Port::free();
        let environment = self.environment(&[
            ("CROAK_DATABASE_URL", self.database.url_as("croak_worker")),
            ("CROAK_COMMAND_LISTEN", command_port.address().to_string()),
            ("CROAK_WORKER_ID", name.clone()),
            // Webhooks of tests go to this machine.
            ("CROAK_DELIVER_ALLOW_PRIVATE", "true".to_owned()),
            ("CROAK_ROLES", roles.to_owned()),
            ("CROAK_SMTP_URL", format!("file://{}", self.mail_folder().display())),
            ("CROAK_MAIL_FROM", "Croak <croak@croak.test>".to_owned()),
            ("CROAK_PUBLIC_URL", format!("http://{}", self.web_port.address())),
        ]);
        self.workers
            .push(Service::start(Program::Worker, &name, Some(command_port), environment, self.folder.path()).await);
    }

    /// Starts the web and waits until it is ready.
    pub async fn start_web(&mut self) {
        let environment = self.environment(&[
            ("CROAK_LISTEN", self.web_port.address().to_string()),
            ("CROAK_DATABASE_URL", self.database.url_as("croak_web")),
            ("CROAK_PUBLIC_URL", format!("http://{}", self.web_port.address())),
            ("CROAK_GATEWAY_URL", "http://gateway.test".to_owned()),
        ]);
        self.web = Some(Service::start(Program::Web, "web", None, environment, self.folder.path()).await);
    }

    /// Where the workers that run take commands, if they do; some address where nobody is when none runs.
    fn command_urls(&self) -> String {
        let urls: Vec<String> = self.workers.iter().map(|worker| format!("http://{}", worker.address())).collect();
        if urls.is_empty() { format!("http://{}", Port::free().address()) } else { urls.join(",") }
    }

    /// Where notices are sent.
    pub fn gateway_address(&self) -> SocketAddr {
        self.gateway.as_ref().expect("a gateway runs").address()
    }

    /// Where pages are read.
    pub fn web_address(&self) -> SocketAddr {
        self.web_port.address()
    }

    /// The JSON API, with the token of the first user.
    pub fn api(&self) -> Api {
        Api::new(self.web_address(), &self.token)
    }

    /// That token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The database as its owner.
    pub fn pool(&self) -> PgPool {
        self.database.pool()
    }

    /// The database as one of its roles.
    pub fn pool_as(&self, role: &str) -> PgPool {
        PgPool::connect_lazy(&self.database.url_as(role)).expect("the address is one of a database")
    }

    /// The name of the database.
    pub fn database_name(&self) -> &str {
        self.database.name()
    }

    /// The folder of the gateway's journals.
    pub fn journal_folder(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    /// The folder of the mails that workers have sent.
    pub fn mail_folder(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// A folder for whatever a test wants to keep beside the rest.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The queue's prefix.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The queue's server.
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Makes a project of the organization `acme`, as an operator does.
    pub fn create_project(&self, id: i64, slug: &str, key: &str) {
        let (id, organization) = (id.to_string(), ["--organization", "acme"]);
        let create = ["project", "create", "--id", &id, "--slug", slug, "--name", slug, "--key", key];
        self.croak(&[&create[..], &organization].concat());
    }

    /// Makes the token that captured requests of build tools show, for project 1.
    pub fn create_build_token(&self) {
        let scopes = ["--scope", "org:read", "--scope", "project:write", "--scope", "project:releases"];
        let create = ["token", "create", "--name", "build", "--project", "1"];
        succeed(self.croak_command(&[&create[..], &scopes].concat()).env("CROAK_NEW_TOKEN", samples::BUILD_TOKEN));
    }

    /// Runs `croak` with these arguments; it must succeed.
    pub fn croak(&self, arguments: &[&str]) -> Output {
        succeed(&mut self.croak_command(arguments))
    }

    /// Runs `croak --json` with these arguments; it must succeed.
    pub fn croak_json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.croak(&[arguments, &["--json"]].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("croak {} --json: {error}", arguments.join(" ")))
    }

    /// `croak` with these arguments, not yet started.
    pub fn croak_command(&self, arguments: &[&str]) -> Command {
        let mut command = Program::Croak.command();
        command.args(arguments).envs(self.environment(&[])).env("CROAK_DATABASE_URL", self.database.url());
        command
    }

    /// Waits until everything that gateways took is committed: no journal is behind, by what `journal_cursor` says.
    pub async fn drained(&self, stored: i64, limit: Duration) {
        let pool = self.pool();
        wait_until(&format!("{stored} notices are stored"), limit, async || {
            let counted: Result<i64, _> =
                sqlx::query_scalar("select coalesce(sum(notice_count), 0)::bigint from chunk").fetch_one(&pool).await;
            counted.ok().filter(|counted| *counted >= stored)
        })
        .await;
    }

    /// The usual settings, those of one service, and then those that the test wants instead.
    fn environment(&self, own: &[(&'static str, String)]) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("CROAK_REDIS_URL", self.redis_url.clone()),
            ("CROAK_QUEUE_PREFIX", self.prefix.clone()),
            ("CROAK_CONTROL_TOKEN", "control-token-of-the-tests-0123456789".to_owned()),
            ("CROAK_SECRET_KEY", "secret-key-of-the-tests-0123456789abcdef0123456789abcdef0123456789abcdef".to_owned()),
            ("CROAK_LOG", "info".to_owned()),
            ("CROAK_LOG_FORMAT", "text".to_owned()),
        ];
        environment.extend_from_slice(own);
        environment.extend_from_slice(&self.settings);
        environment
    }
}

/// One service of an installation. It can be ended in every way and started again as it was.
#[derive(Debug)]
pub struct Service {
    /// The process as it is now.
    pub process: Process,
    program: Program,
    name: String,
    listen: Option<Port>,
    admin: Port,
    address: SocketAddr,
    environment: Vec<(&'static str, String)>,
    log: PathBuf,
}

impl Service {
    async fn start(
        program: Program,
        name: &str,
        listen: Option<Port>,
        mut environment: Vec<(&'static str, String)>,
        folder: &Path,
    ) -> Service {
        let admin = Port::free();
        environment.push(("CROAK_ADMIN_LISTEN", admin.address().to_string()));
        let log = folder.join(format!("{name}.log"));
        let process = spawn(program, name, &environment, &log);
        let address = listen.as_ref().unwrap_or(&admin).address();
        let mut service = Service { process, program, name: name.to_owned(), listen, admin, address, environment, log };
        service.ready().await;
        service
    }

    /// Starts it again after its end, with the same settings and ports. It may not be ready yet.
    pub fn start_again(&mut self) {
        self.start_again_with(&[]);
    }

    /// Starts it again with these settings beside its own, this once.
    pub fn start_again_with(&mut self, settings: &[(&'static str, String)]) {
        let environment = [self.environment.as_slice(), settings].concat();
        self.process = spawn(self.program, &self.name, &environment, &self.log);
    }

    /// Waits until it says that it is ready.
    pub async fn ready(&mut self) {
        let url = format!("http://{}/health/ready", self.admin.address());
        let client = reqwest::Client::new();
        let mut last = String::new();
        let started_at = std::time::Instant::now();
        loop {
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => last = answer.text().await.unwrap_or_default(),
                Err(error) => last = format!("{error}; before: {last}"),
            }
            assert!(self.process.is_running(), "{} ended instead of getting ready", self.name);
            assert!(started_at.elapsed() < READY_LIMIT, "{} is not ready: {last}", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it with SIGTERM; it must exit with 0 within its deadline. Answers how long it took.
    pub async fn stop(&mut self) -> Duration {
        self.process.signal(Signal::TERM);
        let (status, took) = self.process.exit_within(STOP_LIMIT + Duration::from_secs(1)).await;
        assert!(status.success(), "{} ended with {status} after SIGTERM", self.name);
        took
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens for others.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its health, metrics and control are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Whether it has a port of its own for others.
    pub fn listens(&self) -> bool {
        self.listen.is_some()
    }
}

fn spawn(program: Program, name: &str, environment: &[(&'static str, String)], log: &Path) -> Process {
    Process::start(name, program.command().envs(environment.iter().map(|(name, value)| (name, value))), log)
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("croak starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    output
}
