//! The doors: which address takes what, and what every answer has in common.

mod airbrake;
pub(crate) mod grpc;
mod hoptoad;
mod keyed;
mod otlp;
mod scripts;
mod sentry;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    CONTENT_TYPE, HeaderValue, ORIGIN, VARY,
};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use protocol::otlp::{Encoding, Signal};
use service::http::Body;

use crate::body::discard;
use crate::gateway::Gateway;
use crate::measures;
use crate::rejection::{Client, Refusal, Rejection};

/// What goes back.
pub(crate) type Answer = Response<Full<Bytes>>;
type Answered = Result<Answer, Refusal>;

/// What an address is for. The text in a door is what the address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door<'a> {
    /// An XML notice.
    HoptoadNotice,
    /// A deploy as a form.
    HoptoadDeploy,
    /// A JSON notice for this project.
    AirbrakeNotice(&'a str),
    /// The same as the first clients for browsers sent it.
    AirbrakeCreateNotice(&'a str),
    /// A deploy as JSON for this project.
    AirbrakeDeploy(&'a str),
    /// Statistics of this kind for this project.
    AirbrakeStats(&'a str, &'a str),
    /// What clients ask for at their start.
    RemoteConfig(&'a str),
    /// An envelope for this project.
    SentryEnvelope(&'a str),
    /// An event for this project.
    SentryStore(&'a str),
    /// An event for the project of the key.
    SentryStoreOfKey,
    /// A browser's report of a policy, for this project.
    SentrySecurity(&'a str),
    /// A browser's report of its network, for this project.
    SentryNel(&'a str),
    /// A check-in for this project, with the key if the address has it.
    SentryCheckIn(&'a str, Option<&'a str>),
    /// Files of an event of this project.
    SentryAttachments(&'a str, &'a str),
    /// What a crashed process left, for this project.
    SentryMinidump(&'a str),
    /// What a crashed process of the Unreal engine left, for this project, with the key.
    SentryUnreal(&'a str, &'a str),
    /// The dialog that asks what somebody did, and what was written.
    SentryFeedback,
    /// What somebody wrote, as old clients of telephones send it.
    SentryUserFeedback,
    /// What build tools ask for: releases, deploys, uploads.
    SentryApi,
    /// A notice of Honeybadger's clients.
    HoneybadgerNotice,
    /// Events of Honeybadger's clients.
    HoneybadgerEvents,
    /// A deploy of Honeybadger's clients.
    HoneybadgerDeploy,
    /// A check-in, with the key if the address has it.
    HoneybadgerCheckIn(Option<&'a str>),
    /// An item of Rollbar's clients.
    RollbarItem,
    /// A deploy of Rollbar's clients.
    RollbarDeploy,
    /// What became of this deploy.
    RollbarDeployUpdate(&'a str),
    /// Events of Bugsnag's clients.
    BugsnagEvents,
    /// A report of a build.
    BugsnagBuild,
    /// Sessions of Bugsnag's clients.
    BugsnagSessions,
    /// Traces, logs or metrics of OpenTelemetry's exporters, with the project if the address names it.
    Otlp(Signal, Option<&'a str>),
    /// The way to the page of this notice.
    Locate(&'a str),
    /// Errbit's check of a key.
    KeyTester,
    /// Errbit's check of the server.
    Up,
    /// Nothing is there.
    Nowhere,
}

impl Door<'_> {
    fn at(path: &str) -> Door<'_> {
        /// One more than any address has.
        const SEGMENTS_MAX: usize = 7;
        let mut segments = [""; SEGMENTS_MAX];
        let mut count = 0;
        for segment in path.trim_matches('/').splitn(SEGMENTS_MAX, '/') {
            segments[count] = segment;
            count += 1;
        }
        match &segments[..count] {
            ["notifier_api", "v2", "notices" | "notices.xml"] => Door::HoptoadNotice,
            ["deploys" | "deploys.txt"] => Door::HoptoadDeploy,
            ["api", "v3", "projects", project, "notices" | "ios-reports"] => Door::AirbrakeNotice(project),
            ["api", "v3", "projects", project, "create-notice"] => Door::AirbrakeCreateNotice(project),
            ["api", "v4", "projects", project, "deploys"] => Door::AirbrakeDeploy(project),
            [
                "api",
                "v5",
                "projects",
                project,
                kind @ ("routes-stats" | "routes-breakdowns" | "queries-stats" | "queues-stats"),
            ] => Door::AirbrakeStats(project, kind),
            ["2020-06-18", "config", project, "config.json"] => Door::RemoteConfig(project),
            ["api", "0", "projects", _, _, "user-feedback"] => Door::SentryUserFeedback,
            ["api", "0", ..] => Door::SentryApi,
            ["api", project, "envelope"] => Door::SentryEnvelope(project),
            ["api", "store"] => Door::SentryStoreOfKey,
            ["api", project, "store"] => Door::SentryStore(project),
            ["api", project, "security" | "csp-report"] => Door::SentrySecurity(project),
            ["api", project, "nel"] => Door::SentryNel(project),
            ["api", project, "cron", _] => Door::SentryCheckIn(project, None),
            ["api", project, "cron", _, key] => Door::SentryCheckIn(project, Some(key)),
            ["api", project, "events", event, "attachments"] => Door::SentryAttachments(project, event),
            ["api", project, "minidump"] => Door::SentryMinidump(project),
            ["api", project, "unreal", key] => Door::SentryUnreal(project, key),
            ["api", "embed", "error-page"] => Door::SentryFeedback,
            ["v1", "notices"] | ["v1", "notices", _] => Door::HoneybadgerNotice,
            ["v1", "events"] => Door::HoneybadgerEvents,
            ["v1", "deploys"] | ["v1", "deploys", "heroku"] => Door::HoneybadgerDeploy,
            ["v1", "check_in", _] => Door::HoneybadgerCheckIn(None),
            ["v1", "check_in", key, _] => Door::HoneybadgerCheckIn(Some(key)),
            ["api", "1", "item" | "items"] => Door::RollbarItem,
            ["api", "1", "deploy"] => Door::RollbarDeploy,
            ["api", "1", "deploy", deploy] => Door::RollbarDeployUpdate(deploy),
            ["" | "notify" | "js"] => Door::BugsnagEvents,
            ["sessions"] => Door::BugsnagSessions,
            // Older clients put it behind the address of their notices.
            ["builds" | "deploy"] | ["notify", "deploy"] => Door::BugsnagBuild,
            ["v1", name] => signal(name).map_or(Door::Nowhere, |signal| Door::Otlp(signal, None)),
            ["api", project, "integration", "otlp", "v1", name] => {
                signal(name).map_or(Door::Nowhere, |signal| Door::Otlp(signal, Some(project)))
            }
            ["locate", id] => Door::Locate(id),
            ["health", "api-key-tester"] => Door::KeyTester,
            ["up" | "health" | "healthz"] => Door::Up,
            _ => Door::Nowhere,
        }
    }

    /// The methods that it takes, as in an Allow header.
    fn methods(self) -> &'static str {
        match self {
            Door::HoptoadNotice => "GET, POST, OPTIONS",
            Door::HoptoadDeploy | Door::AirbrakeNotice(_) | Door::AirbrakeDeploy(_) => "POST, OPTIONS",
            Door::AirbrakeCreateNotice(_) | Door::SentryFeedback => "GET, POST, OPTIONS",
            Door::HoneybadgerNotice => "GET, POST, OPTIONS",
            Door::HoneybadgerEvents | Door::RollbarItem => "POST, OPTIONS",
            // Whoever balances load asks for the root of an address, to see whether somebody is there.
            Door::BugsnagEvents => "GET, HEAD, POST, OPTIONS",
            Door::BugsnagSessions | Door::Otlp(..) => "POST, OPTIONS",
            Door::HoneybadgerDeploy | Door::RollbarDeploy | Door::BugsnagBuild => "POST, OPTIONS",
            Door::HoneybadgerCheckIn(_) => "GET, HEAD, POST, OPTIONS",
            Door::RollbarDeployUpdate(_) => "PATCH, OPTIONS",
            Door::SentryEnvelope(_) | Door::SentrySecurity(_) | Door::SentryNel(_) => "POST, OPTIONS",
            Door::SentryAttachments(..) | Door::SentryMinidump(_) | Door::SentryUnreal(..) => "POST, OPTIONS",
            Door::SentryUserFeedback => "POST, OPTIONS",
            Door::SentryStore(_) | Door::SentryStoreOfKey | Door::SentryCheckIn(..) => "GET, POST, OPTIONS",
            Door::SentryApi => "GET, POST, PUT, DELETE, OPTIONS",
            Door::AirbrakeStats(..) => "POST, PUT, OPTIONS",
            Door::RemoteConfig(_) | Door::Locate(_) | Door::KeyTester | Door::Up | Door::Nowhere => {
                "GET, HEAD, OPTIONS"
            }
        }
    }

    fn takes(self, method: &Method) -> bool {
        self.methods().split(", ").any(|taken| taken == method.as_str())
    }

    /// Who is behind it, and reads a refusal.
    fn client(self, parts: &Parts) -> Client {
        match self {
            Door::Otlp(..) => Client::Otlp(otlp::encoding_of(&parts.headers).unwrap_or(Encoding::Protobuf)),
            Door::HoptoadNotice => Client::Hoptoad,
            Door::AirbrakeNotice(_)
            | Door::AirbrakeCreateNotice(_)
            | Door::AirbrakeDeploy(_)
            | Door::AirbrakeStats(..) => Client::Airbrake,
            Door::SentryEnvelope(_)
            | Door::SentryStore(_)
            | Door::SentryStoreOfKey
            | Door::SentrySecurity(_)
            | Door::SentryNel(_)
            | Door::SentryCheckIn(..)
            | Door::SentryAttachments(..)
            | Door::SentryMinidump(_)
            | Door::SentryUnreal(..)
            | Door::SentryFeedback
            | Door::SentryUserFeedback
            | Door::SentryApi => Client::Sentry,
            Door::HoneybadgerNotice
            | Door::HoneybadgerEvents
            | Door::HoneybadgerDeploy
            | Door::HoneybadgerCheckIn(_) => Client::Honeybadger,
            Door::RollbarItem | Door::RollbarDeploy | Door::RollbarDeployUpdate(_) => Client::Rollbar,
            Door::BugsnagEvents | Door::BugsnagSessions | Door::BugsnagBuild => Client::Bugsnag,
            Door::Nowhere => Client::by_address(parts.uri.path()),
            _ => Client::Plain,
        }
    }

    /// The label in metrics.
    fn name(self) -> &'static str {
        match self {
            Door::HoptoadNotice => "hoptoad_notice",
            Door::HoptoadDeploy => "hoptoad_deploy",
            Door::AirbrakeNotice(_) | Door::AirbrakeCreateNotice(_) => "airbrake_notice",
            Door::AirbrakeDeploy(_) => "airbrake_deploy",
            Door::AirbrakeStats(..) => "airbrake_stats",
            Door::RemoteConfig(_) => "remote_config",
            Door::SentryEnvelope(_) => "sentry_envelope",
            Door::SentryStore(_) | Door::SentryStoreOfKey => "sentry_store",
            Door::SentrySecurity(_) => "sentry_security",
            Door::SentryNel(_) => "sentry_nel",
            Door::SentryCheckIn(..) => "sentry_check_in",
            Door::SentryAttachments(..) => "sentry_attachments",
            Door::SentryMinidump(_) => "sentry_minidump",
            Door::SentryUnreal(..) => "sentry_unreal",
            Door::SentryFeedback | Door::SentryUserFeedback => "sentry_feedback",
            Door::SentryApi => "sentry_api",
            Door::HoneybadgerNotice => "honeybadger_notice",
            Door::HoneybadgerEvents => "honeybadger_events",
            Door::HoneybadgerDeploy => "honeybadger_deploy",
            Door::HoneybadgerCheckIn(_) => "honeybadger_check_in",
            Door::RollbarItem => "rollbar_item",
            Door::RollbarDeploy | Door::RollbarDeployUpdate(_) => "rollbar_deploy",
            Door::BugsnagEvents => "bugsnag_events",
            Door::BugsnagSessions => "bugsnag_sessions",
            Door::BugsnagBuild => "bugsnag_build",
            Door::Otlp(..) => "otlp",
            Door::Locate(_) => "locate",
            Door::KeyTester => "key_tester",
            Door::Up => "up",
            Door::Nowhere => "nowhere",
        }
    }
}

/// Answers one request.
pub(crate) async fn answer(gateway: &Arc<Gateway>, request: Request<Body>) -> Answer {
    let began = Instant::now();
    let (parts, mut body) = request.into_parts();
    let door = Door::at(parts.uri.path());
    let mut answer = match enter(gateway, door, &parts, &mut body).await {
        Ok(answer) => {
            // A worker refuses without reading to the end.
            if answer.status().is_client_error() {
                discard(body, &parts).await;
            }
            answer
        }
        Err(refusal) => {
            let client = door.client(&parts);
            gateway.account(&refusal, client);
            // Who was too slow for us already is not waited for again.
            if !matches!(refusal.rejection, Rejection::TooSlow | Rejection::BrokenOff) {
                discard(body, &parts).await;
            }
            refusal.rejection.answer(client)
        }
    };
    share_with_browsers(door, &parts, &mut answer);
    measures::answered(door.name(), began.elapsed());
    answer
}

async fn enter(gateway: &Arc<Gateway>, door: Door<'_>, parts: &Parts, body: &mut Body) -> Answered {
    if door == Door::Nowhere {
        return Err(Rejection::NoSuchPath.into());
    }
    if !door.takes(&parts.method) {
        return Err(Rejection::WrongMethod { allow: door.methods() }.into());
    }
    if parts.method == Method::OPTIONS {
        return Ok(Answer::default());
    }
    match door {
        Door::HoptoadNotice => hoptoad::notice(gateway, parts, body).await,
        Door::HoptoadDeploy => hoptoad::deploy(gateway, parts, body).await,
        Door::AirbrakeNotice(project) => airbrake::notice(gateway, parts, body, project).await,
        Door::AirbrakeCreateNotice(project) => airbrake::create_notice(gateway, parts, body, project).await,
        Door::AirbrakeDeploy(project) => airbrake::deploy(gateway, parts, body, project).await,
        Door::AirbrakeStats(project, kind) => airbrake::stats(gateway, parts, body, project, kind).await,
        Door::RemoteConfig(project) => airbrake::remote_config(gateway, project),
        Door::SentryEnvelope(project) => sentry::envelope(gateway, parts, body, project).await,
        Door::SentryStore(project) => sentry::store(gateway, parts, body, project).await,
        Door::SentryStoreOfKey => sentry::store_of_key(gateway, parts, body).await,
        Door::SentrySecurity(project) => sentry::security(gateway, parts, body, project).await,
        Door::SentryNel(project) => sentry::nel(gateway, parts, body, project).await,
        Door::SentryCheckIn(project, key) => sentry::check_in(gateway, parts, body, project, key).await,
        Door::SentryAttachments(project, event) => sentry::attachments(gateway, parts, body, project, event).await,
        Door::SentryMinidump(project) => sentry::minidump(gateway, parts, body, project).await,
        Door::SentryUnreal(project, key) => sentry::unreal(gateway, parts, body, project, key).await,
        Door::SentryFeedback if parts.method == Method::GET => Ok(sentry::feedback_dialog()),
        Door::SentryFeedback => sentry::feedback_form(gateway, parts, body).await,
        Door::SentryUserFeedback => sentry::user_feedback(gateway, parts, body).await,
        Door::SentryApi => sentry::api(gateway, parts, body).await,
        Door::HoneybadgerNotice => keyed::honeybadger_notice(gateway, parts, body).await,
        Door::HoneybadgerEvents => keyed::honeybadger_events(gateway, parts, body).await,
        Door::HoneybadgerDeploy => keyed::honeybadger_deploy(gateway, parts, body).await,
        Door::HoneybadgerCheckIn(key) => keyed::honeybadger_check_in(gateway, parts, key),
        Door::RollbarItem => keyed::rollbar_item(gateway, parts, body).await,
        Door::RollbarDeploy => keyed::rollbar_deploy(gateway, parts, body).await,
        Door::RollbarDeployUpdate(deploy) => keyed::rollbar_deploy_update(gateway, parts, body, deploy).await,
        Door::BugsnagEvents if parts.method != Method::POST && !keyed::is_bugsnag_event(parts) => {
            Ok(scripts::up(gateway))
        }
        Door::BugsnagEvents => keyed::bugsnag_events(gateway, parts, body).await,
        Door::BugsnagSessions => keyed::bugsnag_sessions(gateway, parts, body).await,
        Door::BugsnagBuild => keyed::bugsnag_build(gateway, parts, body).await,
        Door::Otlp(signal, project) => otlp::export(gateway, parts, body, signal, project).await,
        Door::Locate(id) => scripts::locate(gateway, id),
        Door::KeyTester => scripts::key_tester(gateway, parts),
        Door::Up => Ok(scripts::up(gateway)),
        Door::Nowhere => Err(Rejection::NoSuchPath.into()),
    }
}

/// The last part of an address to which exporters send.
fn signal(name: &str) -> Option<Signal> {
    match name {
        // Until 2021 JavaScript's exporter sent there.
        "traces" | "trace" => Some(Signal::Traces),
        "logs" => Some(Signal::Logs),
        "metrics" => Some(Signal::Metrics),
        _ => None,
    }
}

/// Lets scripts of any web page read the answer, refusals too: a 429 that a browser hides from its notifier does not
/// slow it down. Nothing here rests on cookies, so there is nothing that a foreign page could misuse.
fn share_with_browsers(door: Door<'_>, parts: &Parts, answer: &mut Answer) {
    const REQUEST_HEADERS: &str = "origin, referer, content-type, content-encoding, transfer-encoding, accept, cache-control, \
         authorization, authentication, x-requested-with, x-forwarded-for, x-airbrake-token, x-sentry-auth, \
         x-croak-key, x-airbrake-key, x-api-key, x-rollbar-access-token, bugsnag-api-key, bugsnag-payload-version, bugsnag-sent-at, bugsnag-integrity";
    /// Longest list of headers that a browser may ask for.
    const REQUEST_HEADERS_BYTES_MAX: usize = 2_048;
    // Rollbar's client asks every answer for those of its replays: browsers write an error to the console for what they may not show.
    const RESPONSE_HEADERS: &str = "X-RateLimit-Delay, Retry-After, X-Sentry-Error, X-Sentry-Rate-Limits, \
        Rollbar-Replay-Enabled, Rollbar-Replay-RateLimit-Remaining, Rollbar-Replay-RateLimit-Reset";
    const MAX_AGE_S: &str = "3600";
    // Whatever else measures a page adds headers of its own to our clients' requests: a list could never have all of them.
    let asked = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
    let asked = asked.filter(|asked| asked.len() <= REQUEST_HEADERS_BYTES_MAX);
    let request_headers = asked.cloned().unwrap_or_else(|| HeaderValue::from_static(REQUEST_HEADERS));
    let headers = answer.headers_mut();
    match parts.headers.get(ORIGIN) {
        // OpenTelemetry's exporters for browsers send by `sendBeacon`, which asks as if there were cookies.
        Some(origin) if matches!(door, Door::Otlp(..)) => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        _ => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
    }
    headers.insert(VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(door.methods()));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, request_headers);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
}

/// An answer with a body of this type.
fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_their_doors() {
        for (path, door) in [
            ("/notifier_api/v2/notices", Door::HoptoadNotice),
            ("/notifier_api/v2/notices/", Door::HoptoadNotice),
            ("/notifier_api/v2/notices.xml", Door::HoptoadNotice),
            ("/deploys.txt", Door::HoptoadDeploy),
            ("/deploys", Door::HoptoadDeploy),
            ("/api/v3/projects/1/notices", Door::AirbrakeNotice("1")),
            ("/api/v3/projects/1/notices/", Door::AirbrakeNotice("1")),
            ("/api/v3/projects/abc/create-notice", Door::AirbrakeCreateNotice("abc")),
            ("/api/v4/projects/1/deploys", Door::AirbrakeDeploy("1")),
            ("/api/v5/projects/1/queues-stats", Door::AirbrakeStats("1", "queues-stats")),
            ("/api/v5/projects/1/other-stats", Door::Nowhere),
            ("/2020-06-18/config/1/config.json", Door::RemoteConfig("1")),
            ("/locate/x", Door::Locate("x")),
            ("/up", Door::Up),
            ("/api/1/envelope/", Door::SentryEnvelope("1")),
            ("/api/1/envelope", Door::SentryEnvelope("1")),
            ("/api/1/store/", Door::SentryStore("1")),
            ("/api/store/", Door::SentryStoreOfKey),
            ("/api/1/csp-report/", Door::SentrySecurity("1")),
            ("/api/1/cron/nightly/abc/", Door::SentryCheckIn("1", Some("abc"))),
            ("/api/1/events/abc/attachments/", Door::SentryAttachments("1", "abc")),
            ("/api/1/minidump", Door::SentryMinidump("1")),
            ("/api/1/unreal/abc/", Door::SentryUnreal("1", "abc")),
            ("/api/embed/error-page/", Door::SentryFeedback),
            ("/api/0/projects/acme/shop/user-feedback/", Door::SentryUserFeedback),
            ("/api/0/", Door::SentryApi),
            ("/api/0/organizations/acme/releases/1.0/deploys/", Door::SentryApi),
            ("/api/0/organizations/acme/releases/a/b/c/d/", Door::SentryApi),
            ("/", Door::BugsnagEvents),
            ("/sessions", Door::BugsnagSessions),
            ("/v1/notices/js", Door::HoneybadgerNotice),
            ("/v1/events", Door::HoneybadgerEvents),
            ("/v1/traces", Door::Otlp(Signal::Traces, None)),
            ("/v1/profiles", Door::Nowhere),
            ("/api/1/integration/otlp/v1/logs/", Door::Otlp(Signal::Logs, Some("1"))),
            ("/v1/trace", Door::Otlp(Signal::Traces, None)),
            ("/api/1/item/", Door::RollbarItem),
            ("/api/1/deploy/", Door::RollbarDeploy),
            ("/api/1/deploy/17", Door::RollbarDeployUpdate("17")),
            ("/v1/deploys", Door::HoneybadgerDeploy),
            ("/v1/check_in/1MqIo1", Door::HoneybadgerCheckIn(None)),
            ("/v1/check_in/abc/nightly", Door::HoneybadgerCheckIn(Some("abc"))),
            ("/builds", Door::BugsnagBuild),
            ("/api/v3/projects/1/notices/2/3/4/5", Door::Nowhere),
        ] {
            assert_eq!(Door::at(path), door, "{path}");
        }
    }
}
