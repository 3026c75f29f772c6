//! `croak user`: people who may sign in.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use argon2::Argon2;
use argon2::password_hash::PasswordHasher as _;

use crate::database::Database;
use crate::output::Output;

/// Shorter passwords are guessed too soon.
const PASSWORD_CHARS_MIN: usize = 10;

/// People who may sign in
#[derive(clap::Subcommand, Debug)]
pub(crate) enum User {
    /// Makes a user, or gives the one with this address a new password and signs them out everywhere
    Create(Create),
    /// Makes a user an operator: they see the whole installation, and may have dead records tried again or dropped
    Operator(Operator),
    /// Turns the second factor of a user off, and signs them out everywhere: for who has neither telephone nor recovery codes
    SecondFactorOff(SecondFactorOff),
}

#[derive(clap::Args, Debug)]
pub(crate) struct SecondFactorOff {
    #[command(flatten)]
    database: Database,
    /// Address, by which they sign in
    #[arg(long)]
    email: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Operator {
    #[command(flatten)]
    database: Database,
    /// Address, by which they sign in
    #[arg(long)]
    email: String,
    /// Makes them one no longer
    #[arg(long)]
    revoke: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct Create {
    #[command(flatten)]
    database: Database,
    /// Address, by which they sign in
    #[arg(long)]
    email: String,
    /// What others call them
    #[arg(long, default_value = "")]
    name: String,
    /// Their password; where it is not given it is read from the standard input, and one that is empty is made up and shown
    #[arg(long, env = "CROAK_USER_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// Number or slug of a project that they see; may be given again
    #[arg(long = "project")]
    projects: Vec<String>,
    /// Slug of an organization that they belong to; may be given again
    #[arg(long = "organization")]
    organizations: Vec<String>,
    /// What they are in these projects and organizations
    #[arg(long, value_enum, default_value_t = Role::Owner)]
    role: Role,
    /// Makes them an operator of the installation, too
    #[arg(long)]
    operator: bool,
}

/// What somebody may do in a project.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Role {
    Owner,
    Admin,
    Member,
    Viewer,
}

impl User {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        match self {
            User::Create(create) => create.run(output).await,
            User::Operator(operator) => operator.run(output).await,
            User::SecondFactorOff(off) => off.run(output).await,
        }
    }
}

impl SecondFactorOff {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let admin = self.database.connect().await?;
        let was_on = admin.disable_second_factor(&self.email).await.context("turning the second factor off")?;
        output.show(&serde_json::json!({ "email": self.email, "was_on": was_on }), |_| {
            format!("the second factor of {} {}", self.email, if was_on { "is off" } else { "was off" })
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Operator {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let is_operator = !self.revoke;
        let admin = self.database.connect().await?;
        admin.set_operator(&self.email, is_operator).await.context("making them an operator")?;
        output.show(&serde_json::json!({ "email": self.email, "is_operator": is_operator }), |_| {
            format!(
                "{} is {} of this installation",
                self.email,
                if is_operator { "an operator" } else { "no operator" }
            )
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let create = self;
        let admin = create.database.connect().await?;
        let mut projects = Vec::new();
        for project in &create.projects {
            projects.push(admin.project(project).await.context("looking for the project")?.id);
        }
        let (password, is_made_up) = match create.password {
            Some(password) => (password, false),
            None => read_or_make_up()?,
        };
        ensure!(
            password.chars().count() >= PASSWORD_CHARS_MIN,
            "the password is too short: it takes at least {PASSWORD_CHARS_MIN} characters"
        );
        let id = admin.create_user(&create.email, &create.name, &hash(&password)?).await.context("making the user")?;
        for project in projects {
            admin.add_member(id, project, create.role.as_str()).await.context("letting them see the project")?;
        }
        for organization in &create.organizations {
            let added = admin.add_organization_member(id, organization, create.role.as_str()).await;
            added.context("letting them belong to the organization")?;
        }
        if create.operator {
            admin.set_operator(&create.email, true).await.context("making them an operator")?;
        }
        let shown = is_made_up.then_some(password);
        output.show(&serde_json::json!({ "id": id, "email": create.email, "password": shown }), |_| {
            let made_up = shown.as_ref().map(|password| format!(", password {password}"));
            format!("user {id}: {}{}", create.email, made_up.unwrap_or_default())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Member => "member",
            Role::Viewer => "viewer",
        }
    }
}

/// The first line of the standard input; where that is empty or is a terminal, a password that is made up.
fn read_or_make_up() -> anyhow::Result<(String, bool)> {
    let mut line = String::new();
    if !std::io::stdin().is_terminal() {
        std::io::stdin().read_line(&mut line).context("reading the password")?;
    }
    let typed = line.trim_end_matches(['\r', '\n']);
    Ok(if typed.is_empty() { (uuid::Uuid::new_v4().simple().to_string(), true) } else { (typed.to_owned(), false) })
}

/// What the database keeps of a password: argon2id with a salt of its own.
fn hash(password: &str) -> anyhow::Result<String> {
    let hashed = Argon2::default().hash_password(password.as_bytes());
    Ok(hashed.map_err(|error| anyhow::anyhow!("hashing the password: {error}"))?.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
    use super::hash;

    #[test]
    fn passwords_are_hashed_by_argon2id_each_with_a_salt_of_its_own() {
        let (one, other) = (hash("correct horse").unwrap(), hash("correct horse").unwrap());
        assert!(one.starts_with("$argon2id$v=19$m="), "{one}");
        assert_ne!(one, other);
    }
}
