//! The JSON API, `/api/v1`. Its shapes are promises: fields are added, never renamed.

mod acts;
mod caller;
mod deploys;
mod groups;
mod notices;
mod params;
mod projects;
pub(crate) mod shapes;
mod stats;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};

use crate::app::App;
use crate::rejection::Rejection;

pub(crate) use shapes::rfc_3339;

/// What the API says of itself.
const OPENAPI: &str = include_str!("../../assets/openapi.json");

/// Why a call is not answered as asked, as a problem document.
pub(crate) struct Problem(Rejection);

impl<E: Into<Rejection>> From<E> for Problem {
    fn from(error: E) -> Problem {
        Problem(error.into())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.0.problem()
    }
}

/// Every path and who answers there.
fn table() -> [(&'static str, MethodRouter<App>); 14] {
    [
        ("/openapi.json", get(async || json(Bytes::from_static(OPENAPI.as_bytes())))),
        ("/projects", get(projects::list)),
        ("/projects/{project_id}", get(projects::one)),
        ("/projects/{project_id}/groups", get(groups::list)),
        ("/projects/{project_id}/export", get(groups::export)),
        ("/projects/{project_id}/groups/{group_id}", get(groups::one)),
        ("/projects/{project_id}/groups/{group_id}/notices", get(notices::of_group)),
        ("/projects/{project_id}/groups/{group_id}/{action}", post(acts::act)),
        ("/projects/{project_id}/notices", get(notices::since)),
        ("/projects/{project_id}/notices/{id}", get(notices::one)),
        ("/projects/{project_id}/notices/{id}/status", get(notices::status)),
        ("/projects/{project_id}/notices/{id}/attachments/{attachment_id}", get(notices::attachment)),
        ("/projects/{project_id}/stats", get(stats::stats)),
        ("/projects/{project_id}/deploys", get(deploys::list)),
    ]
}

pub(crate) fn routes() -> Router<App> {
    table()
        .into_iter()
        .fold(Router::new(), |router, (path, handler)| router.route(path, handler))
        .fallback(async || Problem(Rejection::NotFound))
        .method_not_allowed_fallback(async || Problem(Rejection::WrongMethod))
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "private, no-store")], body).into_response()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_description_has_every_path_and_no_other() {
        let description: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        assert_eq!(description["openapi"], "3.1.0");
        let described: BTreeSet<&str> = description["paths"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(described, table().into_iter().map(|(path, _)| path).collect());
        for (path, item) in description["paths"].as_object().unwrap() {
            for name in path.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                let parameters = item["parameters"].as_array().unwrap();
                let reference = format!("#/components/parameters/{name}");
                assert!(parameters.iter().any(|parameter| parameter["$ref"] == reference.as_str()), "{path}: {name}");
            }
        }
    }

    #[test]
    fn every_reference_of_the_description_leads_somewhere() {
        let description: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let mut left = vec![&description];
        while let Some(value) = left.pop() {
            match value {
                serde_json::Value::Object(members) => {
                    if let Some(reference) = members.get("$ref").and_then(|value| value.as_str()) {
                        assert!(description.pointer(&reference[1..]).is_some(), "{reference}");
                    }
                    left.extend(members.values());
                }
                serde_json::Value::Array(items) => left.extend(items),
                _ => {}
            }
        }
    }
}
