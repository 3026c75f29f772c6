//! Role command: what build tools ask of Sentry's web API, `/api/0/…`, as far as sentry-cli and the plug-ins of bundlers need it: releases,
//! their commits and deploys, and uploads of source maps.

mod answer;
mod assemble;
mod body;
mod bundle;
mod caller;
mod releases;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use service::proto::sentry_api::call_part::Part;
use service::proto::sentry_api::{CallAnswer, CallHead, CallPart};
use store::Writer;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use answer::{Answered, Refusal};
use assemble::Assembling;
use body::CallBody;
use caller::{Caller, Need};
use uploads::Uploading;

/// Longest time for one call, its body included.
const CALL_MAX: Duration = Duration::from_secs(80);

/// Answers the gRPC service `SentryApi`. Cheap to clone.
#[derive(Clone)]
pub(crate) struct SentryApi {
    writer: Writer,
    uploading: Arc<Uploading>,
    assembling: Arc<Assembling>,
}

impl SentryApi {
    /// `stop` ends an assembly that is under way.
    pub(crate) fn new(writer: Writer, stop: CancellationToken) -> Self {
        Self { writer: writer.clone(), uploading: Arc::default(), assembling: Arc::new(Assembling::new(writer, stop)) }
    }

    async fn answer(&self, head: &CallHead, body: CallBody) -> Answered {
        let caller = Caller::of_token(&self.writer, &head.token).await?;
        let segments = head.path.split('/').filter(|segment| !segment.is_empty());
        let segments: Vec<String> = segments
            .map(|segment| percent_decode_str(segment).decode_utf8().map(String::from))
            .collect::<Result<_, _>>()
            .map_err(|_| Refusal::no_such_path())?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match (head.method.as_str(), segments.as_slice()) {
            ("GET", []) => Ok(caller.describe()),
            ("GET", ["organizations"]) => caller.organizations(),
            ("GET", ["organizations", organization, rest @ ..]) => self.look(&caller, organization, rest).await,
            ("GET", ["projects", organization, project, "releases", rest @ ..]) => {
                let scope = caller.project(Need::Read, organization, project)?;
                self.releases_of(&scope).look(rest).await
            }
            ("POST", ["organizations", organization, "chunk-upload"]) => {
                let scope = caller.organization(Need::Release, organization)?;
                scope.may_upload()?;
                self.uploading.take(&self.writer, scope.organization_id, head, body).await
            }
            ("POST", ["organizations", organization, "artifactbundle", "assemble"]) => {
                let scope = caller.organization(Need::Release, organization)?;
                self.assembling.bundle(&scope, &body.whole().await?).await
            }
            ("POST", ["organizations", organization, "releases", version, "assemble"]) => {
                let scope = caller.organization(Need::Release, organization)?;
                let project_ids = self.releases_of(&scope).project_ids(version).await?;
                self.assembling.release_files(&scope, version, project_ids, &body.whole().await?).await
            }
            ("POST", ["projects", organization, project, "files", "difs", "assemble"]) => {
                caller.project(Need::Release, organization, project)?;
                assemble::no_debug_files(&body.whole().await?)
            }
            (method, ["organizations", organization, "releases", rest @ ..]) => {
                let scope = caller.organization(Need::Release, organization)?;
                self.releases_of(&scope).change(method, rest, body).await
            }
            (method, ["projects", organization, project, "releases", rest @ ..]) => {
                let scope = caller.project(Need::Release, organization, project)?;
                self.releases_of(&scope).change(method, rest, body).await
            }
            _ => Err(Refusal::no_such_path()),
        }
    }

    async fn look(&self, caller: &Caller, organization: &str, rest: &[&str]) -> Answered {
        let scope = caller.organization(Need::Read, organization)?;
        match rest {
            ["projects"] => Ok((200, scope.describe_projects())),
            // Croak knows no repositories: commits come from the build tool's own.
            ["repos"] => Ok((200, json!([]))),
            ["chunk-upload"] => Ok((200, uploads::options(organization))),
            ["releases", rest @ ..] => self.releases_of(&scope).look(rest).await,
            _ => Err(Refusal::no_such_path()),
        }
    }

    fn releases_of<'a>(&'a self, scope: &'a caller::Scope<'a>) -> releases::Releases<'a> {
        releases::Releases { writer: &self.writer, scope }
    }
}

#[tonic::async_trait]
impl service::proto::sentry_api::sentry_api_server::SentryApi for SentryApi {
    async fn call(&self, request: Request<Streaming<CallPart>>) -> Result<Response<CallAnswer>, Status> {
        let mut parts = request.into_inner();
        let Some(CallPart { part: Some(Part::Head(head)) }) = parts.message().await? else {
            return Err(Status::invalid_argument("a call begins with its head"));
        };
        let answered = tokio::time::timeout(CALL_MAX, self.answer(&head, CallBody::new(parts))).await;
        let answered = answered.unwrap_or_else(|_| Err(Refusal::Unavailable("it took too long".to_owned())));
        let (status, json) = match answered {
            Ok((status, Value::Null)) => (status, String::new()),
            Ok((status, json)) => (status, json.to_string()),
            Err(Refusal::Told(status, detail)) => (status, json!({ "detail": detail }).to_string()),
            Err(Refusal::Unavailable(causes)) => {
                tracing::warn!(method = head.method, causes, "a build tool is told to come again");
                return Err(Status::unavailable("it could not be done now"));
            }
        };
        metrics::counter!("worker_sentry_api_calls_total", "status" => status.to_string()).increment(1);
        Ok(Response::new(CallAnswer { status: status.into(), json }))
    }
}
