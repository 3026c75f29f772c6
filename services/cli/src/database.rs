//! Which database a command works on.

use anyhow::Context as _;
use store::Admin;

/// The database, as the owner of its tables.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Database {
    /// Address of the database as the owner of the tables, like `postgres://croak:password@host/croak`; where it is not given, `DATABASE_URL` is taken
    #[arg(long, env = "CROAK_DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
}

impl Database {
    /// Its address, if one is given.
    pub(crate) fn named(&self) -> Option<String> {
        let fallback = || std::env::var("DATABASE_URL").ok();
        self.database_url.clone().or_else(fallback).filter(|url| !url.is_empty())
    }

    /// Its address.
    pub(crate) fn url(&self) -> anyhow::Result<String> {
        self.named().context(
            "no database is named: give --database-url or CROAK_DATABASE_URL, like postgres://croak:password@host/croak",
        )
    }

    /// Connects to it.
    pub(crate) async fn connect(&self) -> anyhow::Result<Admin> {
        Admin::connect(&self.url()?).await.context("connecting to the database")
    }
}
