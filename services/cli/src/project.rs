//! `croak project`: projects and their keys.

use std::process::ExitCode;

use anyhow::Context as _;
use store::admin::{NewProject, ProjectRow};

use crate::database::Database;
use crate::output::{Output, table};

/// Projects and their keys
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Project {
    /// Makes a project and its key; gateways know it within a second
    Create(Create),
    /// Lists the projects
    List(List),
    /// Shows one project, with its keys
    Show(One),
    /// Gives a project a new key and revokes the old ones
    RotateKey(One),
    /// Deletes a project: gateways refuse it from now on, pages hide it, its rows go later
    Delete(Delete),
}

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    database: Database,
    /// What people call it
    #[arg(long)]
    name: String,
    /// Its name in addresses, of a–z, 0–9 and -; made from the name when absent
    #[arg(long)]
    slug: Option<String>,
    /// Its number, for a project that comes from elsewhere with clients that send it
    #[arg(long)]
    id: Option<i64>,
    /// Its key, for a project that comes from elsewhere; a new one is made when absent
    #[arg(long)]
    key: Option<String>,
    /// Slug of the organization that it belongs to; the first one's when absent
    #[arg(long)]
    organization: Option<String>,
    /// E-mail address of a user who is to own it
    #[arg(long)]
    owner: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
}

#[derive(clap::Args, Debug)]
pub(crate) struct One {
    #[command(flatten)]
    database: Database,
    /// Its number or slug
    project: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Delete {
    #[command(flatten)]
    one: One,
    /// Says that it is meant
    #[arg(long)]
    yes: bool,
}

impl Project {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            Project::Create(create) => create.run(output).await,
            Project::List(list) => {
                let projects = list.database.connect().await?.projects().await.context("reading the projects")?;
                output.show(&projects, |projects| {
                    let rows: Vec<_> = projects.iter().map(row).collect();
                    table(&["id", "slug", "name", "notices", "state"], &rows)
                })
            }
            Project::Show(one) => output.show(&one.find().await?, describe),
            Project::RotateKey(one) => {
                let project = one.find().await?;
                let key = one.database.connect().await?.rotate_key(project.id).await.context("making a key")?;
                output.show(&serde_json::json!({ "id": project.id, "key": key }), |_| key.clone())
            }
            Project::Delete(delete) => delete.run(output).await,
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let admin = self.database.connect().await?;
        // Looked up first: a project should not be left behind by a mistyped address.
        let owner = match &self.owner {
            Some(email) => Some(admin.user_id(email).await.context("looking for the owner")?),
            None => None,
        };
        let new = NewProject {
            id: self.id,
            slug: self.slug,
            name: self.name,
            key: self.key,
            organization: self.organization,
        };
        let project = admin.create_project(new).await.context("making the project")?;
        if let Some(owner) = owner {
            admin.add_member(owner, project.id, "owner").await.context("naming the owner")?;
        }
        output.show(&project, describe)
    }
}

impl One {
    async fn find(&self) -> anyhow::Result<ProjectRow> {
        self.database.connect().await?.project(&self.project).await.context("looking for the project")
    }
}

impl Delete {
    async fn run(self, output: Output) -> anyhow::Result<()> {
        let project = self.one.find().await?;
        anyhow::ensure!(self.yes, "`{}` has {} notices; say --yes to delete it", project.slug, project.notice_count);
        let admin = self.one.database.connect().await?;
        admin.delete_project(project.id).await.context("deleting the project")?;
        output
            .show(&serde_json::json!({ "id": project.id, "deleted": true }), |_| format!("{} is deleted", project.slug))
    }
}

fn row(project: &ProjectRow) -> Vec<String> {
    let state = if project.disabled { "disabled" } else { "" };
    let ProjectRow { id, slug, name, notice_count, .. } = project;
    vec![id.to_string(), slug.clone(), name.clone(), notice_count.to_string(), state.to_owned()]
}

fn describe(project: &ProjectRow) -> String {
    let ProjectRow { id, slug, name, organization, grouping, retention_days, notice_count, .. } = project;
    let limit = project.rate_per_minute_max.map_or_else(|| "none".to_owned(), |max| format!("{max} a minute"));
    let mut text = format!(
        "project    {id} {slug} ({name})\nof         {organization}\ngrouping   {grouping}\nretention  {retention_days} days\nlimit      {limit}\nnotices    {notice_count}\n"
    );
    for key in &project.keys {
        text += &format!("key        {key}\n");
    }
    text
}
