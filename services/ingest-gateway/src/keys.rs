//! Finding the project that a request is for.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use http::request::Parts;

use crate::projects::{Project, Projects};
use crate::rejection::{Refusal, Rejection};

const AIRBRAKE_TOKEN: HeaderName = HeaderName::from_static("x-airbrake-token");

/// A project that may be sent to, by the key that was shown.
pub(crate) fn open(projects: &Projects, key: &str) -> Result<Arc<Project>, Refusal> {
    let project = projects.by_key(key).ok_or(Rejection::UnknownKey)?;
    if project.is_disabled {
        return Err(Rejection::Disabled.of_project(project.id));
    }
    Ok(Arc::clone(project))
}

/// The same, for an address that names the project: its number or a key of it must be right. A name that is neither, as addresses of
/// other trackers have, says nothing.
pub(crate) fn open_at(projects: &Projects, key: &str, named: &str) -> Result<Arc<Project>, Refusal> {
    let project = open(projects, key)?;
    let named_id = named.parse().ok().or_else(|| projects.by_key(named).map(|by_name| by_name.id));
    match named_id {
        Some(id) if id != project.id => Err(Rejection::OtherProject.of_project(project.id)),
        _ => Ok(project),
    }
}

/// The key of an Airbrake request, as far as its head has it: `?key=`, `X-Airbrake-Token`, `Authorization: Bearer`
/// (also `Token`, or bare).
pub(crate) fn in_head(parts: &Parts) -> Option<String> {
    let in_query = || in_form(parts.uri.query()?.as_bytes(), "key");
    let in_header = |name: HeaderName| Some(parts.headers.get(name)?.to_str().ok()?.trim());
    in_query()
        .or_else(|| in_header(AIRBRAKE_TOKEN).map(str::to_owned))
        .or_else(|| in_header(AUTHORIZATION).map(without_scheme).map(str::to_owned))
        .filter(|key| !key.is_empty())
}

/// The project of a request that shows no key anywhere: users of Errbit write the key in place of the project.
pub(crate) fn open_by_address(projects: &Projects, named: &str) -> Result<Arc<Project>, Refusal> {
    match open(projects, named) {
        Err(Refusal { rejection: Rejection::UnknownKey, .. }) => Err(Rejection::MissingKey.into()),
        opened => opened,
    }
}

fn without_scheme(value: &str) -> &str {
    let Some((scheme, rest)) = value.split_once(' ') else {
        return value;
    };
    if scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token") {
        // Rails writes `Token token="…"`.
        rest.trim().trim_start_matches("token=").trim_matches('"')
    } else {
        value
    }
}

/// The first field of this name in a form or a query.
pub(crate) fn in_form(form: &[u8], name: &str) -> Option<String> {
    let (_, value) = form_urlencoded::parse(form).find(|(field, _)| field == name)?;
    Some(value.into_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use http::Request;

    use super::*;

    fn key(target: &str, header: Option<(&str, &str)>) -> Option<String> {
        let mut request = Request::builder().uri(target);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        in_head(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn every_form_of_a_key_is_found() {
        assert_eq!(key("/x?key=abc", None).as_deref(), Some("abc"));
        assert_eq!(key("/x?&key=abc", None).as_deref(), Some("abc"));
        for (name, value) in [
            ("authorization", "Bearer abc"),
            ("authorization", "bearer  abc"),
            ("authorization", "Token abc"),
            ("authorization", "Token token=\"abc\""),
            ("authorization", "abc"),
            ("x-airbrake-token", "abc"),
        ] {
            assert_eq!(key("/x", Some((name, value))).as_deref(), Some("abc"), "{name}: {value}");
        }
        assert_eq!(key("/x", None), None);
    }
}
