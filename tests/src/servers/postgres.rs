//! A PostgreSQL of one's own: `fsync` on, with `pg_stat_statements`, and killable.

mod archive;
mod standby;

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::process::{Pid, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::port::Port;
use crate::process::{Process, Signal};
use crate::wait_until;

pub use archive::Archive;

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = on
synchronous_commit = on
shared_buffers = '128MB'
max_wal_size = '2GB'
shared_preload_libraries = 'pg_stat_statements'
log_min_messages = warning
log_line_prefix = '%m [%p] %u@%d '
";

/// Longest wait until a server answers: after an immediate stop it recovers first.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A private PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    port: Port,
    folder: TempDir,
    process: Option<Process>,
}

impl Postgres {
    /// Makes a cluster and starts it on a free port. Called by root, it runs as `postgres` or `nobody`: the server refuses root.
    pub async fn start() -> Postgres {
        Postgres::start_with("").await
    }

    /// The same with settings of its own, as lines of `postgresql.conf`.
    pub async fn start_with(settings: &str) -> Postgres {
        let mut postgres = Postgres { port: Port::free(), folder: server_folder(), process: None };
        let made = program("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "--pgdata"])
            .arg(postgres.data())
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.add_settings(SETTINGS);
        postgres.add_settings(settings);
        postgres.start_again().await;
        postgres
    }

    /// Adds lines to `postgresql.conf`; they hold from the next start.
    fn add_settings(&self, lines: &str) {
        let file = self.data().join("postgresql.conf");
        let standing = std::fs::read_to_string(&file).expect("there are settings");
        std::fs::write(&file, format!("{standing}\n{lines}\n")).expect("the settings can be changed");
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One for all tests of this process that do not kill it; it ends with the last of them.
    pub async fn shared() -> Arc<Postgres> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(Postgres::start().await);
        *shared = Arc::downgrade(&started);
        started
    }

    /// Starts it again on the same port, with its data.
    pub async fn start_again(&mut self) {
        let mut command = program("postgres");
        command.args(["-p", &self.port.number().to_string(), "-D"]).arg(self.data());
        let process = Process::start("postgres", &mut command, &self.folder.path().join("log"));
        self.process = Some(process.dropped_with(Signal::QUIT));
        let url = self.url("postgres");
        wait_until("postgres answers", START_LIMIT, async || PgConnection::connect(&url).await.ok()).await;
    }

    /// Ends it as `pg_ctl stop -m immediate` does: nothing is finished, the next start recovers from the log.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Copies the cluster while it runs, as a backup does.
    pub fn copy(&mut self) {
        let copied = program("pg_basebackup")
            .args(["--username=postgres", "--host=127.0.0.1", "--checkpoint=fast", "--wal-method=stream", "--no-sync"])
            .args(["--port", &self.port.number().to_string(), "--pgdata"])
            .arg(self.folder.path().join("copy"))
            .output()
            .expect("pg_basebackup starts");
        assert!(copied.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&copied.stderr));
    }

    /// Ends it, and goes on with what [`copy`](Self::copy) has kept: everything since is forgotten.
    pub async fn set_back(&mut self) {
        self.kill();
        let folder = self.folder.path();
        std::fs::rename(folder.join("data"), folder.join("forgotten")).expect("the folder is ours");
        std::fs::rename(folder.join("copy"), folder.join("data")).expect("there is a copy");
        self.start_again().await;
    }

    /// Stops the server and every process of it without ending them: connections stay, nothing is answered.
    pub fn freeze(&mut self) {
        // The first makes the others: after it there are no more than there are.
        let server = self.process.as_mut().expect("it runs");
        server.signal(Signal::STOP);
        for process in children(server.pid()) {
            let _ = kill_process(process, Signal::STOP);
        }
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&mut self) {
        let server = self.process.as_mut().expect("it runs");
        for process in children(server.pid()) {
            let _ = kill_process(process, Signal::CONT);
        }
        server.signal(Signal::CONT);
    }

    /// The address of a database in it, as its owner.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@{}/{database}", self.address())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

/// One test's own database, dropped with it.
#[derive(Debug)]
pub struct Database {
    server: url::Url,
    name: String,
}

impl Database {
    /// Makes an empty database on the server of `url`.
    pub async fn create(url: &str) -> Database {
        let server = url::Url::parse(url).expect("the address of a server");
        let name = format!("croak_test_{}", uuid::Uuid::new_v4().simple());
        let database = Database { server, name };
        let mut connection = PgConnection::connect(url).await.expect("the database server answers");
        database.run(&mut connection, "create database").await;
        database
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, as its owner.
    pub fn url(&self) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.to_string()
    }

    /// Its address, acting as `role`, which need not be allowed to log in.
    pub fn url_as(&self, role: &str) -> String {
        let mut url = self.server.clone();
        url.set_path(&self.name);
        url.query_pairs_mut().append_pair("options", &format!("-c role={role}"));
        url.to_string().replace('+', "%20")
    }

    /// Connections as the owner.
    pub fn pool(&self) -> PgPool {
        PgPool::connect_lazy(&self.url()).expect("the address is one of a database")
    }

    async fn run(&self, connection: &mut PgConnection, what: &str) {
        let statement = format!("{what} {}", self.name);
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(connection)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
    }
}

/// A folder that belongs to whom the server runs as.
fn server_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("croak-postgres-").tempdir().expect("a temporary folder");
    give_away(folder.path());
    folder
}

/// Gives a file to whom the server runs as.
pub(super) fn give_away(file: &Path) {
    if let Some((user, group)) = unprivileged() {
        chown(file, Some(user), Some(group)).expect("root may give files away");
    }
}

/// A command for one of PostgreSQL's programs, run by a user that is not root.
fn program(name: &str) -> Command {
    let on_path = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join(name))
        .find(|file| file.exists());
    let file = on_path
        .or_else(|| newest_of_debian(name))
        .unwrap_or_else(|| panic!("{name} is not installed: apt-get install postgresql"));
    let mut command = Command::new(file);
    command.current_dir("/");
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command
}

/// Debian keeps the server's programs off the path, one folder for each version.
fn newest_of_debian(name: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let files = versions.flatten().map(|version| version.path().join("bin").join(name)).filter(|file| file.exists());
    files.max_by_key(|file| version_of(file))
}

fn version_of(file: &Path) -> u32 {
    file.ancestors()
        .nth(2)
        .and_then(Path::file_name)
        .and_then(|name| name.to_str())
        .and_then(|name| name.parse().ok())
        .unwrap_or(0)
}

/// User and group to run as, when this process is root.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("a list of users");
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

/// The processes that this one has started.
fn children(parent: u32) -> Vec<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
