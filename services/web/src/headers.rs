//! What every answer says about itself, and whom a change is taken from.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::rejection::Rejection;

const SECURITY: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// For a year browsers come by https alone, also when a link says otherwise.
const HTTPS_ONLY: &str = "max-age=31536000";

/// Puts the headers on that every answer has, unless it is stricter by itself. What is not said to be cacheable is not cached.
pub(crate) async fn secured(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if app.is_https {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HTTPS_ONLY));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    response
}

/// Refuses addresses with a NUL in them: no text of ours has one, and the database takes none.
pub(crate) async fn readable(request: Request, next: Next) -> Response {
    let is_readable = !request.uri().path_and_query().is_some_and(|path| path.as_str().contains("%00"));
    if is_readable {
        return next.run(request).await;
    }
    let refused = Rejection::BadRequest("There is a character in the address that no text has.".to_owned());
    if request.uri().path().starts_with("/api/") { refused.problem() } else { refused.into_response() }
}

/// Counts and times every answer, by the address's pattern.
pub(crate) async fn measured(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let began_at = Instant::now();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    metrics::histogram!("web_answer_seconds", "route" => route.clone()).record(began_at.elapsed().as_secs_f64());
    metrics::counter!("web_answers_total", "route" => route, "status" => status).increment(1);
    response
}

/// Takes changes only from our own pages.
///
/// Browsers say where a form was sent from. Signed tokens in the forms are the other half: they hold where a browser is
/// too old to say it.
pub(crate) async fn from_our_pages(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if is_read || is_ours(request.headers(), app.public_url.as_deref()) {
        return next.run(request).await;
    }
    Rejection::ForeignForm.into_response()
}

fn is_ours(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(origin) = text(header::ORIGIN) {
        // A proxy may have rewritten the host; then the configured address tells.
        let host = origin.split_once("://").map(|(_, host)| host);
        return host.is_some() && host == text(header::HOST) || public_url == Some(origin);
    }
    match text(HeaderName::from_static("sec-fetch-site")) {
        Some(site) => matches!(site, "same-origin" | "none"),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_ours(&pairs.collect(), Some("https://shown.example"))
    }

    #[test]
    fn forms_of_other_sites_are_not_ours() {
        assert!(ours(&[("host", "croak.example"), ("origin", "https://croak.example")]));
        assert!(!ours(&[("host", "croak.example"), ("origin", "https://evil.example")]));
        assert!(ours(&[("host", "inside"), ("origin", "https://shown.example")]));
        assert!(!ours(&[("host", "croak.example"), ("origin", "null")]));
        assert!(!ours(&[("host", "croak.example"), ("sec-fetch-site", "cross-site")]));
        assert!(ours(&[("host", "croak.example")]));
    }
}
