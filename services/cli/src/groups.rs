//! `croak groups`: what people on call do, for scripts, by the JSON API of the web.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::output::{Output, table};

/// Longest wait for one answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// How often a change is sent, with the same id, before it is given up.
const TRIES_MAX: u32 = 4;

/// Characters of a message in a list.
const MESSAGE_CHARS_MAX: usize = 80;

/// Groups of a project, by the JSON API
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Groups {
    /// Lists groups, as the page does
    List(List),
    /// Shows a group
    Show(One),
    /// Says that it is mended
    Resolve(Resolve),
    /// Says that it is not mended after all, or ends its mute
    Reopen(One),
    /// Has nobody told of it, until something or until it is reopened
    Mute(Mute),
    /// Says who deals with it
    Assign(Assign),
    /// Merges it into another
    Merge(Merge),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Api {
    /// Address of the web
    #[arg(long, env = "CROAK_WEB_URL", default_value = "http://127.0.0.1:8000")]
    web: String,
    /// Token of a person, with the scope `read` for what is shown and `write` for what is changed
    #[arg(long, env = "CROAK_API_TOKEN", hide_env_values = true)]
    token: String,
    /// Number of the project
    #[arg(long)]
    project: i64,
}

#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    api: Api,
    /// A search, as on the page
    #[arg(long, default_value = "")]
    query: String,
    /// Only groups that are unresolved, resolved or muted
    #[arg(long)]
    state: Option<String>,
    /// Order: last_seen, first_seen, count or users
    #[arg(long, default_value = "last_seen")]
    sort: String,
    /// Most groups that are listed
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
}

#[derive(clap::Args, Debug)]
pub(crate) struct One {
    #[command(flatten)]
    api: Api,
    /// Number of the group
    group: i64,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Resolve {
    #[command(flatten)]
    one: One,
    /// Which later notices reopen it: any, those of a release later than all it was seen in, or later than all there are
    #[arg(long, default_value = "any", value_parser = ["any", "this_release", "next_release"])]
    unless: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Mute {
    #[command(flatten)]
    one: One,
    /// Until this time, as in 2026-11-23T04:05:06Z
    #[arg(long)]
    until: Option<String>,
    /// Until so many more notices
    #[arg(long)]
    notices: Option<i64>,
    /// Until so many users met it
    #[arg(long)]
    users: Option<i32>,
    /// In this environment alone
    #[arg(long)]
    environment: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Assign {
    #[command(flatten)]
    one: One,
    /// Number of a member; without it nobody
    #[arg(long)]
    to: Option<i64>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Merge {
    #[command(flatten)]
    one: One,
    /// Number of the group that takes it in
    #[arg(long)]
    into: i64,
}

impl Groups {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Groups::List(list) => show_list(&list, output).await?,
            Groups::Show(one) => {
                let group = one.api.read(&format!("groups/{}", one.group)).await.context("reading the group")?;
                output.show(&group, text_of)?;
            }
            Groups::Resolve(resolve) => {
                resolve.one.act("resolve", json!({ "unless": resolve.unless }), output).await?;
            }
            Groups::Reopen(one) => one.act("reopen", json!({}), output).await?,
            Groups::Mute(mute) => {
                let limits = [
                    ("until", mute.until.map(Value::from)),
                    ("notices", mute.notices.map(Value::from)),
                    ("users", mute.users.map(Value::from)),
                    ("environment", mute.environment.map(Value::from)),
                ];
                let body: Map<String, Value> =
                    limits.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
                mute.one.act("mute", Value::Object(body), output).await?;
            }
            Groups::Assign(assign) => {
                let to = assign.to.map(|id| id.to_string());
                assign.one.act("assign", json!({ "assignee_id": to }), output).await?;
            }
            Groups::Merge(merge) => {
                merge.one.act("merge", json!({ "into": merge.into.to_string() }), output).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn show_list(list: &List, output: Output) -> anyhow::Result<()> {
    let limit = list.limit.to_string();
    let mut query = vec![("query", list.query.as_str()), ("sort", &list.sort), ("limit", &limit)];
    query.extend(list.state.as_deref().map(|state| ("state", state)));
    let call = list.api.call(|client, base| client.get(format!("{base}/groups")).query(&query));
    let page = call.await.map_err(Failed::into_error).context("reading the groups")?;
    output.show(&page, |page| {
        let text = |group: &Value, name: &str| match &group[name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let rows: Vec<Vec<String>> = page["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|group| {
                let error = format!("{}: {}", text(group, "class"), text(group, "message")).replace('\n', " ");
                let error = error.chars().take(MESSAGE_CHARS_MAX).collect();
                vec![
                    text(group, "id"),
                    text(group, "state"),
                    text(group, "notice_count"),
                    text(group, "last_seen_at"),
                    error,
                ]
            })
            .collect();
        table(&["id", "state", "notices", "last seen", "error"], &rows)
    })
}

/// A group in lines.
fn text_of(group: &Value) -> String {
    let mut lines = String::new();
    for (name, value) in group.as_object().into_iter().flatten() {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        lines += &format!("{name:<14}  {value}\n");
    }
    lines
}

impl One {
    /// Changes the group, once however often it is sent.
    async fn act(&self, action: &str, body: Value, output: Output) -> anyhow::Result<()> {
        let key = Uuid::new_v4().to_string();
        let mut tries = 0;
        let answer = loop {
            tries += 1;
            let call = self.api.call(|client, base| {
                client
                    .post(format!("{base}/groups/{}/{action}", self.group))
                    .header("Idempotency-Key", &key)
                    .json(&body)
            });
            match call.await {
                Err(Failed::Again(_)) if tries < TRIES_MAX => tokio::time::sleep(Duration::from_secs(1)).await,
                other => break other,
            }
        };
        let answer =
            answer.map_err(Failed::into_error).with_context(|| format!("asking to {action} group {}", self.group))?;
        output.show(&answer, |answer| answer["told"].as_str().unwrap_or_default().to_owned())
    }
}

/// Why a call was not answered as asked.
enum Failed {
    /// It may be sent again.
    Again(anyhow::Error),
    /// It would be refused again.
    Refused(anyhow::Error),
}

impl Failed {
    fn into_error(self) -> anyhow::Error {
        match self {
            Failed::Again(error) | Failed::Refused(error) => error,
        }
    }
}

impl Api {
    async fn read(&self, path: &str) -> anyhow::Result<Value> {
        self.call(|client, base| client.get(format!("{base}/{path}"))).await.map_err(Failed::into_error)
    }

    async fn call(&self, request: impl FnOnce(&Client, &str) -> RequestBuilder) -> Result<Value, Failed> {
        let client = Client::builder().timeout(ANSWER_WITHIN).build().map_err(|error| Failed::Refused(error.into()))?;
        let base = format!("{}/api/v1/projects/{}", self.web.trim_end_matches('/'), self.project);
        let sent = request(&client, &base).bearer_auth(&self.token).send().await;
        let answer = sent.map_err(|error| Failed::Again(error.into()))?;
        let status = answer.status();
        let body: Value = answer.json().await.unwrap_or_default();
        if status.is_success() {
            return Ok(body);
        }
        let error = anyhow::anyhow!("{}", body["detail"].as_str().unwrap_or("the web answered without words"))
            .context(status.to_string());
        if status == StatusCode::SERVICE_UNAVAILABLE { Err(Failed::Again(error)) } else { Err(Failed::Refused(error)) }
    }
}
