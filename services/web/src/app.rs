//! What every request has at hand.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::FromRef;
use store::Reader;
use store::reader::{Account, Member, Opened, ReadError, Token, Viewer};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::attempts::Attempts;
use crate::cache::ReadCache;
use crate::commands::Commands;
use crate::config::{Config, Registration};
use crate::cookies::Keys;
use crate::live::Live;
use crate::pages::Piece;
use crate::pages::saved::Saved;
use crate::passwords::Passwords;
use crate::rejection::Rejection;
use crate::totp::Sealer;
use crate::visitor::Seen;

const MIB: u64 = 1 << 20;

/// The service's parts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

pub(crate) struct Parts {
    pub(crate) reader: Reader,
    pub(crate) keys: Keys,
    pub(crate) commands: Commands,
    pub(crate) passwords: Passwords,
    pub(crate) sealer: Sealer,
    pub(crate) attempts: Attempts,
    pub(crate) registration: Registration,
    pub(crate) live: Live,
    /// Places of exports that stream.
    pub(crate) exports: Arc<Semaphore>,
    pub(crate) public_url: Option<String>,
    /// Whether people reach the pages by https.
    pub(crate) is_https: bool,
    pub(crate) gateway_url: String,
    /// Parts of pages that look the same to everybody who may see them.
    pub(crate) pieces: ReadCache<Piece>,
    /// Answers of the API.
    pub(crate) answers: ReadCache<Bytes>,
    /// Searches and feeds of one person in one project.
    pub(crate) saved: ReadCache<Saved>,
    /// Those who may be told to deal with groups, by the number of their project.
    members: ReadCache<Vec<Member>>,
    opened: ReadCache<Opened>,
    accounts: ReadCache<Account>,
    tokens: ReadCache<Token>,
}

impl std::ops::Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<App> for Keys {
    fn from_ref(app: &App) -> Keys {
        app.keys.clone()
    }
}

impl App {
    pub(crate) fn new(config: &Config, reader: Reader, shutdown: CancellationToken) -> anyhow::Result<App> {
        Ok(App(Arc::new(Parts {
            commands: Commands::new(
                reader.clone(),
                config.command_url.clone(),
                config.service.control_token.as_deref(),
            )?,
            live: Live::new(reader.clone(), shutdown),
            exports: crate::export::places(),
            reader,
            keys: Keys::new(&config.secret_key, config.is_https()),
            passwords: Passwords::new(),
            sealer: Sealer::new(&config.secret_key),
            attempts: Attempts::new(),
            registration: config.registration,
            public_url: config.public_url.clone(),
            is_https: config.is_https(),
            gateway_url: config.gateway_url.clone(),
            pieces: ReadCache::new("pieces", 48 * MIB, Piece::bytes),
            answers: ReadCache::new("answers", 24 * MIB, Bytes::len),
            saved: ReadCache::new("saved", 4 * MIB, Saved::bytes),
            members: ReadCache::new("members", 4 * MIB, |members| {
                members.iter().map(|member| 50 + member.name.len()).sum()
            }),
            opened: ReadCache::new("projects", 4 * MIB, |_| 200),
            accounts: ReadCache::new("accounts", 4 * MIB, |_| 300),
            tokens: ReadCache::new("tokens", 4 * MIB, |_| 100),
        })))
    }

    /// A project, if it is the viewer's to see. To everybody else there is no such project.
    pub(crate) async fn open(&self, viewer: Viewer, project_id: i64) -> Result<Arc<Opened>, Rejection> {
        let reader = self.reader.clone();
        let key = match viewer {
            Viewer::User(id) => format!("u{id} {project_id}"),
            Viewer::Project(id) => format!("p{id} {project_id}"),
        };
        let opened = self.opened.get(key, None, || async move { reader.open(viewer, project_id).await });
        opened.await?.ok_or(Rejection::NotFound)
    }

    /// Why there is no such group in a project: it may be that it was merged. `rest` is the end of the path behind it.
    pub(crate) async fn no_group(&self, opened: &Opened, group_id: i64, rest: impl Into<String>) -> Rejection {
        match self.reader.merged_into(opened, group_id).await {
            Ok(Some(into)) => Rejection::Merged { project_id: opened.id(), into, rest: rest.into() },
            Ok(None) => Rejection::NotFound,
            Err(error) => error.into(),
        }
    }

    /// An account, read anew when what there is does not show the visitor's own last change.
    pub(crate) async fn account(&self, id: i64, seen: Option<&Seen>) -> Result<Option<Arc<Account>>, ReadError> {
        let reader = self.reader.clone();
        let own = seen.cloned();
        let read = || async move {
            Seen::shown_by(own, &reader).await?;
            reader.account(id).await
        };
        self.accounts.get(id.to_string(), seen.map(Seen::at), read).await
    }

    /// Who belongs to a project and may be told to deal with its groups.
    pub(crate) async fn members(&self, opened: &Opened, seen: Option<&Seen>) -> Result<Arc<Vec<Member>>, ReadError> {
        let key = opened.id().to_string();
        let (reader, opened) = (self.reader.clone(), opened.clone());
        let own = seen.cloned();
        let read = || async move {
            Seen::shown_by(own, &reader).await?;
            reader.assignable(&opened).await.map(Some)
        };
        Ok(self.members.get(key, seen.map(Seen::at), read).await?.unwrap_or_default())
    }

    pub(crate) async fn token(&self, clear: &str) -> Result<Option<Arc<Token>>, ReadError> {
        let sha256 = store::token::sha256(clear);
        let key: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let reader = self.reader.clone();
        self.tokens.get(key, None, || async move { reader.token(&sha256).await }).await
    }

    /// A part of a page, read anew when what there is does not show the visitor's own last change.
    pub(crate) async fn piece<F>(
        &self,
        key: String,
        seen: Option<&Seen>,
        read: impl FnOnce(Reader) -> F,
    ) -> Result<Arc<Piece>, Rejection>
    where
        F: Future<Output = Result<Option<Piece>, Rejection>> + Send + 'static,
    {
        let reader = self.reader.clone();
        let not_before = seen.map(Seen::at);
        let own = seen.cloned();
        self.pieces
            .get(key, not_before, || {
                // Boxed: reading a page is a great future, and most requests never start one.
                let (waiting, read) = (reader.clone(), Box::pin(read(reader)));
                async move {
                    Seen::shown_by(own, &waiting).await?;
                    read.await
                }
            })
            .await?
            .ok_or(Rejection::NotFound)
    }
}
