//! Runs one client after the other against an installation.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::client::{Client, Home, Language, Part, SENTRY_CLI};
use super::expected::Expected;
use super::look;
use crate::Installation;
use crate::browser::{Browser, Scheme, Scripts, Size};
use crate::installation::{ALL_ROLES, USER_EMAIL, USER_PASSWORD};
use crate::port::Port;
use crate::process::Process;

/// A program has ended within this.
const PROGRAM_LIMIT: Duration = Duration::from_secs(60);

/// The organization that every project of an [`Installation`] belongs to.
const ORGANIZATION: &str = "acme";

/// The page that a browser's program runs in; what it writes to the console is kept for us.
const SHELL: &str = "<!doctype html><meta charset=utf-8><title>Shop</title><link rel=icon href=data:,><button>Pay</button>
<script>window.said = []; const log = console.log; console.log = (...words) => { said.push(words.join(' ')); log(...words) }</script>
<script src=page.js></script>
";

/// A running Croak and what is needed to run clients beside it.
#[derive(Debug)]
pub struct Stage {
    croak: Installation,
    home: Home,
    clients: Vec<Client>,
    people: Browser,
    grpc: Port,
    port_80: Result<SocketAddr, String>,
    _forwarding: JoinSet<()>,
}

/// What became of one client.
#[derive(Debug)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// The version that it says it has.
    pub version: String,
    /// From raising the error until the API shows it.
    pub visible_after: Option<Duration>,
    /// What it cannot tell.
    pub lacks: Vec<Part>,
    /// What was not found, or is not as it was sent.
    pub faults: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.faults.is_empty() { '✓' } else { '✗' };
        write!(formatter, "{mark} {:<20} {:<10}", self.name, self.version)?;
        match self.visible_after {
            Some(after) => write!(formatter, "{:>6} ms", after.as_millis())?,
            None => write!(formatter, "{:>9}", "–")?,
        }
        if self.faults.is_empty() {
            write!(
                formatter,
                "   found: class, message, top frame{}",
                if self.lacks.contains(&Part::Release) { "" } else { ", release" }
            )?;
        }
        if !self.lacks.is_empty() {
            let lacks: Vec<String> = self.lacks.iter().map(|part| format!("{part:?}").to_lowercase()).collect();
            write!(formatter, "; it tells no {}", lacks.join(", "))?;
        }
        self.faults.iter().try_for_each(|fault| write!(formatter, "\n    {fault}"))
    }
}

/// What a program has said of itself.
#[derive(Debug, Default)]
struct Said {
    version: String,
    raised_at_ms: Option<u64>,
}

impl Said {
    fn read(text: &str) -> Said {
        let mut said = Said::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("version", version)) => said.version = version.to_owned(),
                Some(("raised", at)) => said.raised_at_ms = at.trim().parse().ok(),
                _ => {}
            }
        }
        said
    }
}

impl Stage {
    /// Starts everything, with a project for each client.
    pub async fn prepare(home: Home, clients: Vec<Client>) -> Stage {
        let mut croak = Installation::new().await;
        let grpc = Port::free();
        croak.start_worker(ALL_ROLES).await;
        croak.start_web().await;
        croak.settings = vec![("CROAK_OTLP_GRPC_LISTEN", grpc.address().to_string())];
        croak.start_gateway().await;
        for n in 0..clients.len() {
            croak.create_project(project(n), &format!("live-{}", project(n)), &key(n));
            let id = project(n).to_string();
            let mut member = croak.croak_command(&[
                "user",
                "create",
                "--email",
                USER_EMAIL,
                "--name",
                "Ada",
                "--project",
                &id,
                "--role",
                "member",
            ]);
            let done = member.env("CROAK_USER_PASSWORD", USER_PASSWORD).output().expect("croak starts");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
        let people = Browser::start(Scripts::On).await;
        people.view(Size::WIDE, Scheme::Light).await;
        people.sign_in(croak.web_address()).await;
        let mut forwarding = JoinSet::new();
        let port_80 = forward_port_80(croak.gateway_address(), &mut forwarding).await;
        if let Err(trouble) = &port_80 {
            eprintln!("Clients that know no port but 80 cannot reach Croak: {trouble}");
        }
        Stage { croak, home, clients, people, grpc, port_80, _forwarding: forwarding }
    }

    /// Runs each client, and tells what became of it as soon as it is known.
    pub async fn run(&self, screenshots: Option<&Path>) -> Vec<Report> {
        let mut reports = Vec::new();
        for (n, client) in self.clients.iter().enumerate() {
            let report = self.run_client(n, client, screenshots).await;
            println!("{report}");
            reports.push(report);
        }
        reports
    }

    /// Ends it in order.
    pub async fn end(self) {
        self.people.close().await;
    }

    async fn run_client(&self, n: usize, client: &Client, screenshots: Option<&Path>) -> Report {
        let expected = Expected::of(client, &self.home);
        let mut report = Report {
            name: client.name.clone(),
            version: String::new(),
            visible_after: None,
            lacks: client.lacks.clone(),
            faults: Vec::new(),
        };
        let settings = self.settings(n, client, &expected);
        let api = self.croak.api();
        let looking = look::visible(&api, project(n), client, &expected);
        let ((said, ended), notices) = match client.language() {
            Language::Browser => self.run_in_browser(n, client, &settings, looking).await,
            _ => tokio::join!(self.run_program(client, &settings), looking),
        };
        report.version = match client.language() {
            Language::Node | Language::Browser => self.home.npm_version(client.versioned_package()),
            Language::Python | Language::Ruby => said.version,
        };
        if let (Some(raised_at_ms), Some(visible_at)) = (said.raised_at_ms, notices.visible_at) {
            let raised_at = UNIX_EPOCH + Duration::from_millis(raised_at_ms);
            report.visible_after = visible_at.duration_since(raised_at).ok();
        }
        report.faults.extend(notices.faults);
        if let Some(notice) = notices.error {
            report.faults.extend(look::in_notice(&notice, client, &expected));
            let web = self.croak.web_address();
            report.faults.extend(look::on_page(&self.people, web, project(n), client, &expected).await);
            if let Some(folder) = screenshots {
                self.people.screenshot(&folder.join(format!("{}.png", client.name))).await;
                let text = serde_json::to_string_pretty(&notices.all).expect("it is JSON");
                std::fs::write(folder.join(format!("{}.json", client.name)), text).expect("the folder can be written");
            }
        }
        if !report.faults.is_empty() {
            report.faults.push(ended);
        }
        report
    }

    fn settings(&self, n: usize, client: &Client, expected: &Expected) -> Vec<(&'static str, String)> {
        let gateway = self.croak.gateway_address();
        vec![
            ("LIVE_PACKAGE", client.package().to_owned()),
            ("LIVE_URL", format!("http://{gateway}")),
            (
                "LIVE_URL_80",
                self.port_80.as_ref().map_or_else(Clone::clone, |address| format!("http://{}", address.ip())),
            ),
            ("LIVE_GRPC", self.grpc.address().to_string()),
            ("LIVE_DSN", format!("http://{}@{gateway}/{}", key(n), project(n))),
            ("LIVE_PROJECT", project(n).to_string()),
            ("LIVE_KEY", key(n)),
            ("LIVE_RELEASE", expected.release.clone()),
            ("LIVE_ENVIRONMENT", expected.environment.clone()),
            ("LIVE_MESSAGE", expected.message.clone()),
            ("LIVE_NOTE", expected.note.clone()),
        ]
    }

    /// Runs a program until its end; how it ends does not matter, as long as what it has sent arrives.
    async fn run_program(&self, client: &Client, settings: &[(&'static str, String)]) -> (Said, String) {
        let program = self.home.folder().join(&client.program);
        let mut command = match client.language() {
            Language::Python => Command::new(self.home.python(client)),
            Language::Node => Command::new("node"),
            Language::Ruby => Command::new("ruby"),
            Language::Browser => unreachable!("it is run in a browser"),
        };
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.arg(program).env_clear().env("PATH", path).env("LANG", "C.UTF-8").envs(settings.iter().cloned());
        command.current_dir(self.home.folder());
        let log = self.croak.folder().join(format!("{}.log", client.name));
        let mut process = Process::start(&client.name, &mut command, &log);
        let ended = match tokio::time::timeout(PROGRAM_LIMIT, process.ended()).await {
            Ok(status) => format!("it ended with {status}"),
            Err(_) => format!("it did not end within {PROGRAM_LIMIT:?}"),
        };
        (Said::read(&process.log()), format!("{ended} and said:\n{}", indented(&process.log())))
    }

    /// Bundles a program, and opens it in a page that comes from another origin than the gateway.
    ///
    /// A page sends while it is open: it stays so until what it sends was looked for.
    async fn run_in_browser<T>(
        &self,
        n: usize,
        client: &Client,
        settings: &[(&'static str, String)],
        looking: impl Future<Output = T>,
    ) -> ((Said, String), T) {
        let folder = self.croak.folder().join(&client.name);
        std::fs::create_dir_all(&folder).expect("the folder can be written");
        std::fs::write(folder.join("index.html"), SHELL).expect("the folder can be written");
        let mut bundle = Command::new(self.home.npm_program("esbuild"));
        bundle.arg(&client.program).args(["--bundle", "--log-level=warning"]).current_dir(self.home.folder());
        bundle.arg(format!("--alias:LIVE_PACKAGE={}", client.package()));
        bundle.arg(format!("--outfile={}", folder.join("page.js").display()));
        let mut told = String::new();
        if client.uploads_source_map {
            bundle.args(["--minify", "--sourcemap"]);
        }
        told += &output(&mut bundle);
        if client.uploads_source_map {
            let release = settings.iter().find(|(name, _)| *name == "LIVE_RELEASE").map_or("", |(_, release)| release);
            told += &self.upload(n, release, &folder);
        }
        let port = Port::free();
        let mut server = Command::new("python3");
        server.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(&folder);
        server.arg(port.number().to_string());
        let _server = Process::start("the shop's server", &mut server, &folder.join("log"));
        crate::wait_until("the shop's server listens", PROGRAM_LIMIT, async || {
            TcpStream::connect(port.address()).await.ok()
        })
        .await;
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(settings).finish();
        let browser = Browser::start(Scripts::On).await;
        browser.open(&format!("http://{}/?{query}", port.address())).await;
        let found = looking.await;
        let said = browser.client().execute("return window.said", Vec::new()).await.expect("the page says it");
        let said: Vec<String> = serde_json::from_value(said).expect("a list of texts");
        let console = browser.console_errors().await.join("\n");
        browser.close().await;
        let said = said.join("\n");
        let told = indented(&format!("{told}{said}\n{console}"));
        ((Said::read(&said), format!("its tools and its console said:\n{told}")), found)
    }

    /// Uploads the scripts of a folder and their source maps, as a build does; answers what the tool said.
    fn upload(&self, n: usize, release: &str, folder: &Path) -> String {
        let project = project(n).to_string();
        let scopes = ["--scope", "org:read", "--scope", "project:write", "--scope", "project:releases"];
        let create = ["token", "create", "--json", "--name", SENTRY_CLI, "--project", &project];
        let made = self.croak.croak_command(&[&create[..], &scopes].concat()).output().expect("croak starts");
        let token: Value = serde_json::from_slice(&made.stdout).unwrap_or_default();
        let Some(token) = token["token"].as_str() else {
            return String::from_utf8_lossy(&made.stderr).into_owned();
        };
        let cli = || {
            let mut command = Command::new(self.home.npm_program(SENTRY_CLI));
            command.arg("sourcemaps").env("SENTRY_AUTH_TOKEN", token).env("SENTRY_ORG", ORGANIZATION);
            command.env("SENTRY_URL", format!("http://{}", self.croak.gateway_address()));
            command.env("SENTRY_PROJECT", format!("live-{project}"));
            command
        };
        output(cli().arg("inject").arg(folder)) + &output(cli().args(["upload", "--release", release]).arg(folder))
    }
}

/// What a program says.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if output.status.success() { said } else { format!("{said}it ended with {}\n", output.status) }
}

/// The project of the n-th client.
fn project(n: usize) -> i64 {
    101 + i64::try_from(n).expect("there are few clients")
}

/// The key of the n-th client's project.
fn key(n: usize) -> String {
    format!("{:032x}", 0xa1b2_c3d4_e5f6_0718_293a_4b5c_6d7e_0000_u128 + n as u128)
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n")
}

/// Forwards port 80 of a loopback address to the gateway, for clients that know no other port.
async fn forward_port_80(gateway: SocketAddr, forwarding: &mut JoinSet<()>) -> Result<SocketAddr, String> {
    let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 80), 80));
    let listener = TcpListener::bind(address).await.map_err(|error| format!("{address} cannot be had: {error}"))?;
    forwarding.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut server = TcpStream::connect(gateway).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    Ok(address)
}
