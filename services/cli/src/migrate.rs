//! `croak migrate`: brings the tables up to date, and lets the services' roles log in.

use std::process::ExitCode;

use anyhow::Context as _;
use store::admin::ServiceRole;

use crate::database::Database;
use crate::output::Output;

/// Brings the database up to date. To be run before newer programs are started; older ones go on beside it.
#[derive(clap::Args, Debug)]
pub(crate) struct Migrate {
    #[command(flatten)]
    database: Database,
    /// Lets the role `croak_worker` log in with this password; without it the role stays as it is
    #[arg(long, env = "CROAK_WORKER_PASSWORD", hide_env_values = true)]
    worker_password: Option<String>,
    /// Lets the role `croak_web` log in with this password; without it the role stays as it is
    #[arg(long, env = "CROAK_WEB_PASSWORD", hide_env_values = true)]
    web_password: Option<String>,
}

impl Migrate {
    pub(crate) async fn run(self, output: Output) -> anyhow::Result<ExitCode> {
        let applied = store::migrate(&self.database.url()?).await.context("migrating the database")?;
        let logins = [(ServiceRole::Worker, &self.worker_password), (ServiceRole::Web, &self.web_password)];
        let mut enabled = Vec::new();
        if logins.iter().any(|(_, password)| password.is_some()) {
            let admin = self.database.connect().await?;
            for (role, password) in logins {
                if let Some(password) = password {
                    let doing = || format!("letting {} log in", role.as_str());
                    admin.set_login(role, password).await.with_context(doing)?;
                    enabled.push(role.as_str());
                }
            }
        }
        output.show(&serde_json::json!({ "applied": applied, "logins": enabled }), |_| match applied {
            0 => "the database is up to date".to_owned(),
            n => format!("{n} migration(s) applied"),
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
