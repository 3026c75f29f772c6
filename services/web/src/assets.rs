//! Style, script and mark: part of the program, addressed by their contents, cached for ever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::rejection::Rejection;

/// One file and its address.
pub(crate) struct Asset {
    /// Its address, which changes with its contents.
    pub(crate) address: String,
    name: String,
    stem: &'static str,
    extension: &'static str,
    content_type: &'static str,
    text: &'static str,
}

pub(crate) static STYLE: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("croak", "css", "text/css; charset=utf-8", include_str!("../assets/croak.css")));
pub(crate) static SCRIPT: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("croak", "js", "text/javascript; charset=utf-8", include_str!("../assets/croak.js")));
pub(crate) static MARK: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("mark", "svg", "image/svg+xml", include_str!("../assets/mark.svg")));

impl Asset {
    fn new(stem: &'static str, extension: &'static str, content_type: &'static str, text: &'static str) -> Asset {
        let hash: String = Sha256::digest(text)[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{stem}-{hash}.{extension}");
        Asset { address: format!("/assets/{name}"), name, stem, extension, content_type, text }
    }

    /// Whether this is the name of another version of it.
    fn is_another(&self, name: &str) -> bool {
        let hash = name.strip_prefix(self.stem).and_then(|rest| rest.strip_suffix(self.extension));
        hash.is_some_and(|hash| hash.starts_with('-') && hash.ends_with('.'))
    }
}

pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, Rejection> {
    let assets = [&*STYLE, &*SCRIPT, &*MARK];
    let (asset, kept) = match assets.into_iter().find(|asset| asset.name == name) {
        Some(asset) => (asset, "public, max-age=31536000, immutable"),
        // While webs of two versions run, a page of the other one would have no style: ours is near enough.
        None => (assets.into_iter().find(|asset| asset.is_another(&name)).ok_or(Rejection::NotFound)?, "no-store"),
    };
    Ok(([(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, kept)], asset.text).into_response())
}

/// Browsers ask for this whatever a page says.
pub(crate) async fn favicon() -> Response {
    let headers = [(header::CONTENT_TYPE, MARK.content_type), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, MARK.text).into_response()
}

/// What bodies of webhooks look like, for whoever writes a receiver.
pub(crate) async fn webhook_schema() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/schema+json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("../assets/webhook.json")).into_response()
}
