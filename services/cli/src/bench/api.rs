//! The JSON API, as a script reads it.

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use uuid::Uuid;

use super::sign_in::sign_in;
use super::target::{ReachArgs, Target};
use super::wire::Connection;

/// How the web is reached.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct WebArgs {
    /// Address of the web
    #[arg(long, env = "CROAK_WEB_URL", default_value = "http://127.0.0.1:8000")]
    web: String,
    /// Token of the JSON API; with it is counted what was stored, and timed when it can be seen
    #[arg(long, env = "CROAK_API_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Who signs in to look at pages
    #[arg(long, requires = "password")]
    email: Option<String>,
    /// Their password
    #[arg(long, env = "CROAK_USER_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// The API with a token. Clones have connections of their own.
pub(crate) struct Api {
    pub(crate) target: Target,
    token: String,
    pub(crate) project: i64,
    connection: Option<Connection>,
}

impl WebArgs {
    /// The API of a project; `None` without a token.
    pub(crate) async fn api(&self, reach: &ReachArgs, project: i64) -> anyhow::Result<Option<Api>> {
        let Some(token) = &self.token else { return Ok(None) };
        Ok(Some(Api::new(reach.find(&self.web).await?, token.clone(), project)))
    }

    /// The cookies of who signs in; `None` without an address.
    pub(crate) async fn sign_in(&self, target: &Target) -> anyhow::Result<Option<String>> {
        match (&self.email, &self.password) {
            (Some(email), Some(password)) => sign_in(target, email, password).await.map(Some),
            _ => Ok(None),
        }
    }
}

impl Clone for Api {
    fn clone(&self) -> Api {
        Api::new(self.target.clone(), self.token.clone(), self.project)
    }
}

impl Api {
    pub(crate) fn new(target: Target, token: String, project: i64) -> Api {
        Api { target, token, project, connection: None }
    }

    /// How many notices the project has.
    pub(crate) async fn notice_count(&mut self) -> anyhow::Result<u64> {
        let (status, body) = self.get("").await?;
        ensure!(
            status == 200,
            "the web answers {status} for project {}: is the token one that may read it?",
            self.project
        );
        let project: Value = serde_json::from_slice(&body).context("reading the project")?;
        project["notice_count"].as_u64().context("the project does not say how many notices it has")
    }

    /// Whether a notice can be seen.
    pub(crate) async fn is_visible(&mut self, id: Uuid) -> anyhow::Result<bool> {
        match self.get(&format!("/notices/{id}")).await? {
            (200, _) => Ok(true),
            (404, _) => Ok(false),
            (status, _) => bail!("the web answers {status} for a notice"),
        }
    }

    /// The request for something of the project.
    pub(crate) fn request(&self, path: &str) -> String {
        let Api { target, token, project, .. } = self;
        format!(
            "GET /api/v1/projects/{project}{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            target.authority
        )
    }

    /// Reads something of the project.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<(u16, Vec<u8>)> {
        let request = self.request(path);
        // A connection that was idle may be closed at any time: what fails on an old one is tried once on a new one.
        if let Some(mut open) = self.connection.take()
            && let Ok(answer) = open.exchange(request.as_bytes()).await
        {
            let (told, is_last) = ((answer.status, answer.body.to_vec()), answer.is_last);
            self.connection = Some(open).filter(|_| !is_last);
            return Ok(told);
        }
        let reading = || format!("reading {}/api/v1/projects/{}{path}", self.target.url, self.project);
        let mut open = Connection::open(&self.target).await.with_context(reading)?;
        let answer = open.exchange(request.as_bytes()).await.with_context(reading)?;
        let (told, is_last) = ((answer.status, answer.body.to_vec()), answer.is_last);
        self.connection = Some(open).filter(|_| !is_last);
        Ok(told)
    }
}
