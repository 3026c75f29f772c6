//! Releases, their commits and their deploys.

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use store::Writer;
use store::writer::{Release, ReleaseChange, ReleaseCommit, ReleaseDeploy};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::answer::{Answered, Refusal, rfc3339};
use super::body::{CallBody, fitting, read};
use super::caller::{Scope, describe_project};

/// Most characters of a version.
const VERSION_CHARS_MAX: usize = 250;
/// What is kept of longer texts, in characters.
const NAME_CHARS_MAX: usize = 250;
const URL_CHARS_MAX: usize = 2_048;
const MESSAGE_CHARS_MAX: usize = 8_192;
/// The newest commits of a release are kept, and the first files of a commit.
const COMMITS_MAX: usize = 1_000;
const PATCHES_MAX: usize = 1_000;

/// The releases of an organization or a project, as one caller sees them.
pub(super) struct Releases<'a> {
    pub(super) writer: &'a Writer,
    pub(super) scope: &'a Scope<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReleaseBody {
    version: Option<String>,
    projects: Option<Vec<Value>>,
    #[serde(rename = "ref")]
    reference: Option<String>,
    url: Option<String>,
    date_started: Option<String>,
    date_released: Option<String>,
    commits: Option<Vec<CommitBody>>,
    refs: Option<Vec<RefBody>>,
}

#[derive(Deserialize)]
struct CommitBody {
    id: String,
    repository: Option<String>,
    author_name: Option<String>,
    author_email: Option<String>,
    message: Option<String>,
    timestamp: Option<String>,
    patch_set: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct RefBody {
    commit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DeployBody {
    environment: String,
    name: Option<String>,
    url: Option<String>,
    date_started: Option<String>,
    date_finished: Option<String>,
    projects: Option<Vec<Value>>,
}

impl Releases<'_> {
    /// What can be looked at below the list of releases.
    pub(super) async fn look(&self, rest: &[&str]) -> Answered {
        match rest {
            [] => {
                let found = self.writer.releases(self.scope.organization_id, &self.scope.project_ids()).await?;
                Ok((200, found.iter().map(|release| self.describe(release)).collect()))
            }
            [version] => Ok((200, self.describe(&self.find(version).await?))),
            [version, "commits"] => {
                let release = self.find(version).await?;
                let commits = self.writer.release_commits(release.id, &self.scope.project_ids()).await?;
                Ok((200, commits.iter().map(describe_commit).collect()))
            }
            [version, "previous-with-commits"] => {
                let release = self.find(version).await?;
                let (organization, projects) = (self.scope.organization_id, self.scope.project_ids());
                let before = self.writer.release_with_commits_before(organization, &projects, release.id).await?;
                Ok((200, before.map_or_else(|| json!({}), |before| self.describe(&before))))
            }
            [version, "deploys"] => {
                let release = self.find(version).await?;
                let deploys = self.writer.deploys_of(&self.scope.project_ids(), &release.version).await?;
                Ok((200, deploys.iter().map(describe_deploy).collect()))
            }
            _ => Err(Refusal::no_such_path()),
        }
    }

    /// What can be changed there.
    pub(super) async fn change(&self, method: &str, rest: &[&str], body: CallBody) -> Answered {
        match (method, rest) {
            ("POST", []) => self.put(read(&body.whole().await?)?).await,
            ("PUT", [version]) => {
                let change = self.change_of(read(&body.whole().await?)?)?;
                let release = self.find(version).await?;
                self.scope.changeable_ids(&release.project_ids)?;
                self.writer.change_release(release.id, self.scope.organization_changeable(), &change).await?;
                Ok((200, self.describe(&self.find(version).await?)))
            }
            ("DELETE", [version]) => {
                let release = self.find(version).await?;
                let projects = self.scope.changeable_ids(&release.project_ids)?;
                self.writer.delete_release(release.id, &projects).await?;
                Ok((204, Value::Null))
            }
            ("POST", [version, "deploys"]) => self.deploy(version, read(&body.whole().await?)?).await,
            _ => Err(Refusal::no_such_path()),
        }
    }

    /// The projects of a release, for whoever may change them.
    pub(super) async fn project_ids(&self, version: &str) -> Result<Vec<i64>, Refusal> {
        self.scope.changeable_ids(&self.find(version).await?.project_ids)
    }

    async fn put(&self, body: ReleaseBody) -> Answered {
        let version = body.version.clone().unwrap_or_default();
        check_version(&version)?;
        let mut change = self.change_of(body)?;
        if change.project_ids.is_empty() {
            let [only] = self.scope.projects() else {
                return Err(Refusal::bad("`projects` is empty: a release is of one project at least"));
            };
            change.project_ids = self.scope.changeable_ids(&[only.id])?;
        }
        let (organization, changeable) = (self.scope.organization_id, self.scope.organization_changeable());
        let is_new = self.writer.put_release(organization, &version, changeable, &change).await?;
        // 208 says that it was known already.
        Ok((if is_new { 201 } else { 208 }, self.describe(&self.find(&version).await?)))
    }

    fn change_of(&self, body: ReleaseBody) -> Result<ReleaseChange, Refusal> {
        let of_refs = || body.refs.iter().flatten().find_map(|of| of.commit.clone());
        Ok(ReleaseChange {
            r#ref: body.reference.clone().or_else(of_refs).map(|text| fitting(&text, NAME_CHARS_MAX)),
            url: body.url.map(|text| fitting(&text, URL_CHARS_MAX)),
            started_at: moment("dateStarted", body.date_started.as_deref())?,
            released_at: moment("dateReleased", body.date_released.as_deref())?,
            project_ids: self.scope.named(body.projects.as_deref().unwrap_or_default())?,
            commits: body.commits.map(commits_of).transpose()?,
        })
    }

    async fn deploy(&self, version: &str, body: DeployBody) -> Answered {
        let release = self.find(version).await?;
        let mut projects = self.scope.named(body.projects.as_deref().unwrap_or_default())?;
        if projects.is_empty() {
            projects = self.scope.changeable_ids(&release.project_ids)?;
        }
        if body.environment.trim().is_empty() {
            return Err(Refusal::bad("`environment` is empty: a deploy goes somewhere"));
        }
        let done_at = moment("dateFinished", body.date_finished.as_deref())?;
        let deploy = ReleaseDeploy {
            id: if done_at.is_some() { id_of(&release, &body) } else { Uuid::new_v4() },
            environment: fitting(&body.environment, NAME_CHARS_MAX),
            name: fitting(&body.name.unwrap_or_default(), NAME_CHARS_MAX),
            url: fitting(&body.url.unwrap_or_default(), URL_CHARS_MAX),
            started_at: moment("dateStarted", body.date_started.as_deref())?,
            at: done_at.unwrap_or_else(OffsetDateTime::now_utc),
        };
        self.writer.put_deploy(&release, &projects, &deploy).await?;
        Ok((201, describe_deploy(&deploy)))
    }

    async fn find(&self, version: &str) -> Result<Release, Refusal> {
        let found = self.writer.release(self.scope.organization_id, &self.scope.project_ids(), version).await?;
        found.ok_or_else(|| Refusal::missing(format!("there is no release {version:?}")))
    }

    fn describe(&self, release: &Release) -> Value {
        let of_them = self.scope.projects().iter().filter(|project| release.project_ids.contains(&project.id));
        json!({
            "id": release.id,
            "version": release.version,
            "shortVersion": release.version,
            "ref": release.r#ref,
            "url": release.url,
            "dateCreated": rfc3339(Some(release.created_at)),
            "dateStarted": rfc3339(release.started_at),
            "dateReleased": rfc3339(release.released_at),
            "lastEvent": rfc3339(release.last_seen_at),
            "commitCount": release.commit_count,
            "lastCommit": release.last_commit.as_ref().map(|sha| json!({ "id": sha })),
            "projects": of_them.map(|project| describe_project(project)).collect::<Vec<_>>(),
        })
    }
}

fn check_version(version: &str) -> Result<(), Refusal> {
    let is_good = (1..=VERSION_CHARS_MAX).contains(&version.chars().count())
        && version.trim() == version
        && !version.chars().any(char::is_control)
        && ![".", ".."].contains(&version);
    if is_good {
        return Ok(());
    }
    Err(Refusal::bad(format!(
        "`version` is not valid: it has 1 to {VERSION_CHARS_MAX} characters, and no space around them"
    )))
}

fn commits_of(bodies: Vec<CommitBody>) -> Result<Vec<ReleaseCommit>, Refusal> {
    let newest = bodies.into_iter().take(COMMITS_MAX);
    newest
        .map(|body| {
            if body.id.is_empty() || body.id.chars().count() > NAME_CHARS_MAX {
                return Err(Refusal::bad("`id` of a commit is empty or too long"));
            }
            let text = |text: Option<String>, chars_max| fitting(&text.unwrap_or_default(), chars_max);
            Ok(ReleaseCommit {
                sha: fitting(&body.id, NAME_CHARS_MAX),
                repository: text(body.repository, NAME_CHARS_MAX),
                author_name: text(body.author_name, NAME_CHARS_MAX),
                author_email: text(body.author_email, NAME_CHARS_MAX),
                message: text(body.message, MESSAGE_CHARS_MAX),
                at: moment("timestamp", body.timestamp.as_deref())?,
                patch_set: body
                    .patch_set
                    .map(|patches| patches.iter().take(PATCHES_MAX).filter_map(patch_of).collect()),
            })
        })
        .collect()
}

/// What a commit did to a file.
fn patch_of(patch: &Value) -> Option<Value> {
    let path = fitting(patch["path"].as_str()?, URL_CHARS_MAX);
    let kind = patch["type"].as_str().filter(|kind| ["A", "M", "D"].contains(kind))?;
    Some(json!({ "path": path, "type": kind }))
}

fn moment(name: &str, text: Option<&str>) -> Result<Option<OffsetDateTime>, Refusal> {
    // Near the last year there are times that have no counterpart in UTC.
    let read = |text| OffsetDateTime::parse(text, &Rfc3339).ok()?.checked_to_offset(UtcOffset::UTC);
    let bad = || Refusal::bad(format!("`{name}` is not a moment as in 2026-11-22T03:34:24Z"));
    text.map(|text| read(text).ok_or_else(bad)).transpose()
}

/// Made of what the deploy says: who was not answered and sends it again means the same one.
fn id_of(release: &Release, body: &DeployBody) -> Uuid {
    let said = json!([
        release.id,
        body.environment,
        body.name,
        body.url,
        body.date_started,
        body.date_finished,
        body.projects,
    ]);
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::digest(said.to_string())[..16]);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}

fn describe_commit(commit: &ReleaseCommit) -> Value {
    json!({
        "id": commit.sha,
        "message": commit.message,
        "dateCreated": rfc3339(commit.at),
        "author": { "name": commit.author_name, "email": commit.author_email },
        "repository": { "name": commit.repository },
    })
}

fn describe_deploy(deploy: &ReleaseDeploy) -> Value {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    json!({
        "id": deploy.id.to_string(),
        "environment": deploy.environment,
        "name": some(&deploy.name),
        "url": some(&deploy.url),
        "dateStarted": rfc3339(deploy.started_at),
        "dateFinished": rfc3339(Some(deploy.at)),
    })
}
