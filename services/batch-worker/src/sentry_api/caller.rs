//! Who calls, and what they may touch.

use serde_json::{Value, json};
use store::Writer;
use store::writer::{Organization, ScriptToken, SeenProject};

use super::answer::{Answered, Refusal, rfc3339};

/// What a call needs to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// To look.
    Read,
    /// To change releases, deploys and what is uploaded.
    Release,
}

impl Need {
    /// Each of these scopes allows it. They are called as in Sentry, which gives build tools `org:ci`, or the rest.
    fn scopes(self) -> &'static [&'static str] {
        match self {
            Need::Read => &["org:read", "project:read", "project:releases", "project:write", "org:ci", "read"],
            Need::Release => &["project:releases", "project:write", "org:ci"],
        }
    }
}

/// Whoever shows a valid token.
pub(super) struct Caller {
    token: ScriptToken,
    projects: Vec<SeenProject>,
}

/// What a call is about: an organization, and those of its projects that the caller sees, or one of them.
pub(super) struct Scope<'a> {
    pub(super) organization_id: i64,
    need: Need,
    projects: Vec<&'a SeenProject>,
    /// Projects of the organization that the caller may change, also where the call is about one.
    changeable: Vec<i64>,
}

impl Caller {
    pub(super) async fn of_token(writer: &Writer, clear: &str) -> Result<Caller, Refusal> {
        // What takes a time that depends on its input is the hash, not a comparison.
        let token = writer.script_token(&store::token::sha256(clear)).await?;
        let token = token.ok_or_else(|| Refusal::Told(401, "Invalid token".to_owned()))?;
        let projects = writer.projects_seen_by(&token).await?;
        Ok(Caller { token, projects })
    }

    fn may(&self, need: Need) -> Result<(), Refusal> {
        let scopes = need.scopes();
        if self.token.scopes.iter().any(|scope| scopes.contains(&scope.as_str())) {
            return Ok(());
        }
        Err(Refusal::Told(403, format!("the token lacks a scope: this takes one of {}", scopes.join(", "))))
    }

    /// What is known of the token, for whoever has it.
    pub(super) fn describe(&self) -> (u16, Value) {
        let user = self.token.user.as_ref().map(
            |user| json!({ "id": user.id.to_string(), "email": user.email, "username": user.email, "name": user.name }),
        );
        (200, json!({ "version": "0", "auth": { "scopes": self.token.scopes }, "user": user }))
    }

    /// All organizations with a project that the caller sees.
    pub(super) fn organizations(&self) -> Answered {
        self.may(Need::Read)?;
        let mut seen: Vec<&Organization> = self.projects.iter().map(|project| &project.organization).collect();
        seen.sort_by_key(|organization| organization.id);
        seen.dedup_by_key(|organization| organization.id);
        Ok((200, seen.into_iter().map(describe_organization).collect()))
    }

    pub(super) fn organization(&self, need: Need, slug: &str) -> Result<Scope<'_>, Refusal> {
        self.may(need)?;
        let projects: Vec<&SeenProject> = self
            .projects
            .iter()
            .filter(|project| is_named(project.organization.id, &project.organization.slug, slug))
            .collect();
        let Some(first) = projects.first() else {
            return Err(Refusal::missing(format!("there is no organization {slug:?} that this token sees")));
        };
        let organization_id = first.organization.id;
        let changeable = projects.iter().filter(|project| project.may_change).map(|project| project.id).collect();
        Ok(Scope { organization_id, need, projects, changeable })
    }

    pub(super) fn project(&self, need: Need, organization: &str, project: &str) -> Result<Scope<'_>, Refusal> {
        let mut scope = self.organization(need, organization)?;
        scope.projects = vec![scope.find(project)?];
        Ok(scope)
    }
}

impl<'a> Scope<'a> {
    /// The projects, each with the right that the call needs.
    pub(super) fn projects(&self) -> &[&'a SeenProject] {
        &self.projects
    }

    pub(super) fn project_ids(&self) -> Vec<i64> {
        self.projects.iter().map(|project| project.id).collect()
    }

    /// Projects of the organization that the caller may change.
    pub(super) fn organization_changeable(&self) -> &[i64] {
        &self.changeable
    }

    /// Whether the caller changes anything in the organization at all: what is uploaded to it is everybody's to pay for.
    pub(super) fn may_upload(&self) -> Result<(), Refusal> {
        if self.changeable.is_empty() {
            return Err(Refusal::Told(
                403,
                "whoever has this token may change no project of the organization".to_owned(),
            ));
        }
        Ok(())
    }

    /// Those of its projects that may be changed.
    pub(super) fn changeable_ids(&self, among: &[i64]) -> Result<Vec<i64>, Refusal> {
        let of_them = self.projects.iter().filter(|project| among.contains(&project.id));
        of_them.map(|project| if project.may_change { Ok(project.id) } else { Err(may_only_look(project)) }).collect()
    }

    /// The projects of these names, each of which must be there and may be changed. Build tools write a name of digits as a number.
    pub(super) fn named(&self, names: &[Value]) -> Result<Vec<i64>, Refusal> {
        let mut ids = Vec::new();
        for name in names {
            let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
            let project = self.find(&name)?;
            if self.need == Need::Release && !project.may_change {
                return Err(may_only_look(project));
            }
            ids.push(project.id);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    pub(super) fn describe_projects(&self) -> Value {
        self.projects.iter().map(|project| describe_project(project)).collect()
    }

    fn find(&self, name: &str) -> Result<&'a SeenProject, Refusal> {
        self.projects
            .iter()
            .copied()
            .find(|project| is_named(project.id, &project.slug, name))
            .ok_or_else(|| Refusal::missing(format!("there is no project {name:?} that this token sees")))
    }
}

pub(super) fn describe_project(project: &SeenProject) -> Value {
    json!({ "id": project.id.to_string(), "slug": project.slug, "name": project.name })
}

fn describe_organization(organization: &Organization) -> Value {
    json!({
        "id": organization.id.to_string(),
        "slug": organization.slug,
        "name": organization.name,
        "dateCreated": rfc3339(Some(organization.created_at)),
        "isEarlyAdopter": false,
        "require2FA": false,
        "requireEmailVerification": false,
        "features": [],
    })
}

fn may_only_look(project: &SeenProject) -> Refusal {
    Refusal::Told(403, format!("whoever has this token may not change the project {:?}", project.slug))
}

/// Addresses name things by their slug, or by their number.
fn is_named(id: i64, slug: &str, name: &str) -> bool {
    slug == name || name.parse() == Ok(id)
}
