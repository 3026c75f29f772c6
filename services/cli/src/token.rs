//! `croak token`: tokens for scripts.

use std::process::ExitCode;

use anyhow::Context as _;
use store::admin::{Admin, SCOPES, TokenOwner, TokenRow};

use crate::database::Database;
use crate::output::{Output, table};

/// Tokens of the JSON API
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Token {
    /// Makes a token; it is shown this once and cannot be shown again
    Create(Create),
    /// Lists the valid tokens
    List(List),
    /// Ends a token: it opens nothing from two seconds later on
    Revoke(Revoke),
}

#[derive(clap::Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    database: Database,
    /// E-mail address of a user: only theirs
    #[arg(long, conflicts_with = "project")]
    user: Option<String>,
    /// Number or slug of a project: only its own
    #[arg(long)]
    project: Option<String>,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Revoke {
    #[command(flatten)]
    database: Database,
    /// Number of the token, as it is listed
    id: i64,
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
        match self {
            Token::Create(create) => create.run(output).await,
            Token::List(list) => list.run(output).await,
            Token::Revoke(revoke) => revoke.run(output).await,
        }
    }
}

impl Create {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let admin = self.database.connect().await?;
        let owner = owner(&admin, self.user.as_deref(), self.project.as_deref()).await?;
        let owner = owner.context("a token belongs to a --user or to a --project")?;
        let made = admin.create_token(owner, &self.name, &self.scopes, self.token).await;
        let token = made.context("making the token")?;
        output.show(&token, |token| token.token.clone())?;
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let admin = self.database.connect().await?;
        let owner = owner(&admin, self.user.as_deref(), self.project.as_deref()).await?;
        let tokens = admin.tokens(owner).await.context("listing the tokens")?;
        output.show(&tokens, |tokens| {
            let whose = |row: &TokenRow| row.user.clone().or_else(|| row.project.clone()).unwrap_or_default();
            let cells = tokens.iter().map(|row| {
                let ends = row.expires_at.map_or_else(|| "never".to_owned(), |at| at.date().to_string());
                vec![
                    row.id.to_string(),
                    row.name.clone(),
                    whose(row),
                    row.scopes.join(" "),
                    row.created_at.date().to_string(),
                    ends,
                ]
            });
            table(&["id", "name", "of", "scopes", "created", "ends"], &cells.collect::<Vec<_>>())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Revoke {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let admin = self.database.connect().await?;
        let name = admin.revoke_token(self.id).await.context("revoking the token")?;
        output.show(&serde_json::json!({ "id": self.id, "name": name }), |_| format!("revoked: {name}"))?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Whose tokens are meant, if anybody's in particular.
async fn owner(admin: &Admin, user: Option<&str>, project: Option<&str>) -> anyhow::Result<Option<TokenOwner>> {
    Ok(match (user, project) {
        (Some(email), _) => Some(TokenOwner::User(admin.user_id(email).await.context("looking for the user")?)),
        (None, Some(project)) => {
            Some(TokenOwner::Project(admin.project(project).await.context("looking for the project")?.id))
        }
        (None, None) => None,
    })
}
