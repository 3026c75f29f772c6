//! Parameters of a call, or what is wrong with them.

use std::collections::HashMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use notice::NoticeId;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::Problem;
use crate::rejection::Rejection;

const LIMIT_MAX: usize = 200;
const LIMIT_USUAL: usize = 50;

/// What stands behind the question mark. Of a name that is there twice the last counts.
pub(crate) struct Params(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Params(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

impl Params {
    /// A parameter that was given and is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter that must be one of some words.
    pub(crate) fn word<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
        words: &str,
    ) -> Result<Option<T>, Rejection> {
        self.text(name)
            .map(|text| {
                parse(text).ok_or_else(|| Rejection::BadRequest(format!("`{name}` is `{text}`; it can be {words}")))
            })
            .transpose()
    }

    /// How many items are wanted.
    pub(crate) fn limit(&self) -> Result<usize, Rejection> {
        match self.text("limit") {
            None => Ok(LIMIT_USUAL),
            Some(text) => text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
                Rejection::BadRequest(format!("`limit` is `{text}`; it can be a number from 1 to {LIMIT_MAX}"))
            }),
        }
    }

    /// A time.
    pub(crate) fn time(&self, name: &str) -> Result<Option<OffsetDateTime>, Rejection> {
        self.text(name)
            .map(|text| {
                // A `+` that was not encoded has become a space.
                let at = OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).ok();
                // Near the last year there are times that have no counterpart in UTC.
                at.and_then(|at| at.checked_to_offset(UtcOffset::UTC)).ok_or_else(|| {
                    Rejection::BadRequest(format!(
                        "`{name}` is `{text}`; it must be a time as in `2026-11-23T04:05:06Z`"
                    ))
                })
            })
            .transpose()
    }
}

/// A number in a path. What is no number names nothing.
pub(crate) fn number(text: &str) -> Result<i64, Rejection> {
    text.parse().ok().filter(|number| *number > 0).ok_or(Rejection::NotFound)
}

/// A notice's id in a path, with or without dashes.
pub(crate) fn notice_id(text: &str) -> Result<NoticeId, Rejection> {
    Uuid::try_parse(text).map(NoticeId::from).map_err(|_| Rejection::NotFound)
}
