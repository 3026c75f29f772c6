//! `croak token`: tokens for scripts.

use std::process::ExitCode;

use anyhow::Context as _;
use store::admin::TokenOwner;

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
    /// What it may do; may be given again
    #[arg(long = "scope", default_value = "read")]
    scopes: Vec<String>,
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
        let token = admin.create_token(owner, &create.name, &create.scopes).await.context("making the token")?;
        output.show(&token, |token| token.token.clone())?;
        Ok(ExitCode::SUCCESS)
    }
}
