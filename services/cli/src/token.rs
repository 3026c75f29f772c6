//! `croak token`: tokens for scripts.

use std::process::ExitCode;

use anyhow::Context as _;
use store::admin::{SCOPES, TokenOwner};

use crate::database::Database;
use crate::output::Output;

/// Tokens of the JSON API
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Token {
    /// Makes a token; it is shown this once and cannot be shown again
    Create(Create),
}

#[derive(clap::Args, Debug)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["user", "project"]))]
pub(crate) struct Create {
    #[command(flatten)]
    database: Database,
    /// What it is for
    #[arg(long)]
    name: String,
    /// E-mail address of the user whose it is: it sees what they see
    #[arg(long)]
    user: Option<String>,
    /// Number or slug of the project whose it is: it sees this project alone
    #[arg(long)]
    project: Option<String>,
    /// What it may do; may be given again. `read` is for the JSON API. sentry-cli and plug-ins of bundlers need `project:releases` (or
    /// `org:ci`), or `org:read` and `project:read` to look only
    #[arg(long = "scope", default_value = "read", value_parser = clap::builder::PossibleValuesParser::new(SCOPES))]
    scopes: Vec<String>,
    /// The token, for one that comes from elsewhere; a new one is made when absent
    #[arg(long, env = "CROAK_NEW_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl Token {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let Token::Create(create) = self;
        let admin = create.database.connect().await?;
        let owner = match (&create.user, &create.project) {
            (Some(email), _) => TokenOwner::User(admin.user_id(email).await.context("looking for the user")?),
            (None, Some(project)) => {
                TokenOwner::Project(admin.project(project).await.context("looking for the project")?.id)
            }
            (None, None) => anyhow::bail!("a token belongs to a --user or to a --project"),
        };
        let made = admin.create_token(owner, &create.name, &create.scopes, create.token).await;
        let token = made.context("making the token")?;
        output.show(&token, |token| token.token.clone())?;
        Ok(ExitCode::SUCCESS)
    }
}
