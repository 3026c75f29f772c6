//! `croak send`: a test notice to a gateway, or requests that real clients once sent.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use reqwest::header::HeaderMap;
use serde::Serialize;

use crate::captured::Captured;
use crate::output::Output;

/// Longer than a gateway that is well takes to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends a test notice to a gateway and shows its answer.
#[derive(clap::Args, Debug)]
pub(crate) struct Send {
    /// Address of the gateway
    #[arg(long, env = "CROAK_GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    gateway: String,
    /// How to send it
    #[arg(long, value_enum, default_value_t = Protocol::Hoptoad)]
    protocol: Protocol,
    /// Key of the project
    #[arg(long, env = "CROAK_PROJECT_KEY", required_unless_present = "files")]
    key: Option<String>,
    /// Number of the project (Airbrake's and Sentry's clients send it, Hoptoad's do not)
    #[arg(long, default_value_t = 1)]
    project: i64,
    /// Class of the error
    #[arg(long, default_value = "CroakTest")]
    class: String,
    /// Message of the error
    #[arg(long, default_value = "a test notice from the command line")]
    message: String,
    /// Environment it is said to come from
    #[arg(long, default_value = "test")]
    environment: String,
    /// Captured requests (`*.http`) or folders of them: sent one by one as they are, instead of a test notice
    files: Vec<PathBuf>,
}

/// The kinds of client that can be played.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub(crate) enum Protocol {
    /// Hoptoad's and Airbrake's XML, version 2.4
    Hoptoad,
    /// Airbrake's JSON, version 3
    Airbrake,
    /// Sentry's envelope
    Sentry,
    /// OpenTelemetry's traces, by HTTP
    Otlp,
}

/// What the gateway said.
#[derive(Serialize)]
struct Answer {
    status: u16,
    body: String,
}

/// What became of captured requests.
#[derive(Default, Serialize)]
struct Sent {
    sent: usize,
    accepted: usize,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    file: PathBuf,
    status: u16,
    body: String,
}

impl Send {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_TIMEOUT)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        if self.files.is_empty() {
            self.send_one(&client, output).await
        } else {
            self.send_captured(&client, output).await
        }
    }

    async fn send_one(&self, client: &reqwest::Client, output: Output) -> anyhow::Result<ExitCode> {
        let captured = match self.protocol {
            Protocol::Hoptoad => self.as_hoptoad(),
            Protocol::Airbrake => self.as_airbrake(),
            Protocol::Sentry => self.as_sentry(),
            Protocol::Otlp => self.as_otlp(),
        };
        let answer = self.post(client, captured?).await?;
        let accepted = (200..300).contains(&answer.status);
        output.show(&answer, |answer| format!("{} {}", answer.status, answer.body))?;
        Ok(if accepted { ExitCode::SUCCESS } else { crate::DIFFERS.into() })
    }

    async fn send_captured(&self, client: &reqwest::Client, output: Output) -> anyhow::Result<ExitCode> {
        let mut files = Vec::new();
        for path in &self.files {
            collect(path, &mut files).with_context(|| format!("looking into {}", path.display()))?;
        }
        if files.is_empty() {
            bail!("no *.http file is there");
        }
        let mut sent = Sent::default();
        for file in files {
            let request = Captured::read(&file).with_context(|| format!("reading {}", file.display()))?;
            let Answer { status, body } = self.post(client, request).await?;
            sent.sent += 1;
            if status < 400 {
                sent.accepted += 1;
            } else {
                sent.refused.push(Refused { file, status, body });
            }
        }
        output.show(&sent, |sent| {
            let mut text = format!("{} sent, {} accepted\n", sent.sent, sent.accepted);
            for Refused { file, status, body } in &sent.refused {
                text += &format!("{} was answered {status}: {}\n", file.display(), body.trim());
            }
            text
        })?;
        Ok(if sent.refused.is_empty() { ExitCode::SUCCESS } else { crate::DIFFERS.into() })
    }

    async fn post(&self, client: &reqwest::Client, request: Captured) -> anyhow::Result<Answer> {
        let url = format!("{}{}", self.gateway.trim_end_matches('/'), request.target);
        let answer = client
            .request(request.method, &url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .with_context(|| format!("sending to {url}"))?;
        let status = answer.status().as_u16();
        let body = answer.text().await.context("reading the answer")?;
        Ok(Answer { status, body })
    }

    fn as_hoptoad(&self) -> anyhow::Result<Captured> {
        let [key, class, message, environment] =
            [self.key.as_deref().unwrap_or_default(), &self.class, &self.message, &self.environment].map(escape);
        let body = format!(
            r#"<?xml version="1.0" encoding="UTF-8"?><notice version="2.4"><api-key>{key}</api-key><notifier><name>croak send</name><version>{}</version><url></url></notifier><error><class>{class}</class><message>{class}: {message}</message><backtrace><line file="[PROJECT_ROOT]/services/cli/src/send.rs" number="{}" method="send"/></backtrace></error><server-environment><environment-name>{environment}</environment-name></server-environment></notice>"#,
            env!("CARGO_PKG_VERSION"),
            line!(),
        );
        Captured::post("/notifier_api/v2/notices", "text/xml", HeaderMap::new(), body)
    }

    fn as_airbrake(&self) -> anyhow::Result<Captured> {
        let body = serde_json::json!({
            "notifier": { "name": "croak send", "version": env!("CARGO_PKG_VERSION") },
            "errors": [{
                "type": self.class,
                "message": self.message,
                "backtrace": [{ "file": "/PROJECT_ROOT/services/cli/src/send.rs", "line": line!(), "function": "send" }],
            }],
            "context": { "environment": self.environment, "severity": "error" },
        });
        let mut headers = HeaderMap::new();
        let key = self.key.as_deref().unwrap_or_default();
        headers.insert(
            "authorization",
            format!("Bearer {key}").parse().context("the key has characters that no key has")?,
        );
        let target = format!("/api/v3/projects/{}/notices", self.project);
        Captured::post(&target, "application/json", headers, body.to_string())
    }
}

impl Send {
    fn as_sentry(&self) -> anyhow::Result<Captured> {
        let event = serde_json::json!({
            "platform": "rust",
            "level": "error",
            "environment": self.environment,
            "sdk": { "name": "croak send", "version": env!("CARGO_PKG_VERSION") },
            "exception": { "values": [{
                "type": self.class,
                "value": self.message,
                "stacktrace": { "frames": [
                    { "filename": "services/cli/src/send.rs", "lineno": line!(), "function": "send", "in_app": true },
                ] },
            }] },
        });
        let event_id = uuid::Uuid::new_v4().simple().to_string();
        let head = serde_json::json!({ "event_id": event_id });
        let envelope = format!("{head}\n{{\"type\":\"event\"}}\n{event}\n");
        let mut headers = HeaderMap::new();
        let key = self.key.as_deref().unwrap_or_default();
        headers.insert(
            "x-sentry-auth",
            format!("Sentry sentry_key={key}, sentry_version=7")
                .parse()
                .context("the key has characters that no key has")?,
        );
        let target = format!("/api/{}/envelope/", self.project);
        Captured::post(&target, "application/x-sentry-envelope", headers, envelope)
    }
}

impl Send {
    fn as_otlp(&self) -> anyhow::Result<Captured> {
        let text = |key: &str, value: &str| serde_json::json!({ "key": key, "value": { "stringValue": value } });
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
        let trace_id = uuid::Uuid::new_v4().simple().to_string();
        let stack = format!("{}: {}\n   at services/cli/src/send.rs:{}", self.class, self.message, line!());
        let event = serde_json::json!({
            "timeUnixNano": now_ns,
            "name": "exception",
            "attributes": [
                text("exception.type", &self.class),
                text("exception.message", &self.message),
                text("exception.stacktrace", &stack),
            ],
        });
        let span = serde_json::json!({
            "traceId": trace_id,
            "spanId": &trace_id[..16],
            "name": "send",
            "startTimeUnixNano": now_ns,
            "endTimeUnixNano": now_ns,
            "events": [event],
        });
        let resource = [
            text("service.name", "croak send"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("deployment.environment.name", &self.environment),
        ];
        let body = serde_json::json!({ "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{ "spans": [span] }],
        }] });
        let mut headers = HeaderMap::new();
        let key = self.key.as_deref().unwrap_or_default();
        headers.insert("x-croak-key", key.parse().context("the key has characters that no key has")?);
        Captured::post("/v1/traces", "application/json", headers, body.to_string())
    }
}

/// The files below `path` in the order of their names: of one client they belong together.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        path.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "http") {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

/// Text as XML wants it.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
