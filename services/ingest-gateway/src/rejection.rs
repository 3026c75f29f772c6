//! Every refusal: status, body, headers, log line and metric label, side by side for each kind of client.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use journal::AppendError;
use protocol::ParseError;
use protocol::otlp::{self, Encoding};
use service::http::BodyError;
use tonic::Status;
use tonic::metadata::{MetadataMap, MetadataValue};

use crate::attachments::NotKept;

/// Seconds after which a client may try again what we cannot take now; spread, so that they do not all come at once.
const RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 10..=60;
/// The same for OpenTelemetry's exporters. They keep what they have for a few seconds, ten for most, and drop at once what would have to wait longer.
const EXPORTER_RETRY_AFTER_S: std::ops::RangeInclusive<u64> = 1..=5;
/// What pauses Airbrake's clients; all of them ignore Retry-After.
pub(crate) const RATE_LIMIT_DELAY: HeaderName = HeaderName::from_static("x-ratelimit-delay");

/// What Sentry's clients read a pause from, and log as the reason of a refusal.
pub(crate) const SENTRY_RATE_LIMITS: HeaderName = HeaderName::from_static("x-sentry-rate-limits");
pub(crate) const SENTRY_ERROR: HeaderName = HeaderName::from_static("x-sentry-error");
/// What pauses Rollbar's clients, both together.
const ROLLBAR_REMAINING: HeaderName = HeaderName::from_static("x-rate-limit-remaining");
const ROLLBAR_REMAINING_S: HeaderName = HeaderName::from_static("x-rate-limit-remaining-seconds");
/// What Python's exporter by gRPC reads a pause from; the others read the details of the status.
const RETRY_INFO: &str = "google.rpc.retryinfo-bin";
/// The categories that an operator's limit of notices is about.
const SENTRY_LIMITED: &str = "default;error;security";

/// Who is refused: decides what a refusal looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// XML notifiers of the Hoptoad kind. They log the status and drop the notice.
    Hoptoad,
    /// Airbrake's JSON clients: they read `message`, and send again after 502 but not after 503.
    Airbrake,
    /// Sentry's clients: they send nothing again, and a 429 without categories or a Retry-After silences them for a minute. Its build tools
    /// do send again.
    Sentry,
    /// Honeybadger's clients. They log `error`.
    Honeybadger,
    /// Rollbar's clients: they want `err`, and pause for what one of their own headers says.
    Rollbar,
    /// Bugsnag's clients. They look at the status alone.
    Bugsnag,
    /// OpenTelemetry's exporters, and how they write. They send again after 429, 502, 503 and 504 alone.
    Otlp(Encoding),
    /// Scripts and people, who read plain text.
    Plain,
}

impl Client {
    /// Who asks for an address that is none, as far as it tells: a client that cannot read a refusal logs that instead.
    pub(crate) fn by_address(path: &str) -> Client {
        let mut segments = path.trim_start_matches('/').split('/');
        match (segments.next(), segments.next()) {
            (Some("api"), Some("v3" | "v4" | "v5")) => Client::Airbrake,
            (Some("api"), Some(_)) => Client::Sentry,
            (Some("v1"), Some(_)) => Client::Honeybadger,
            _ => Client::Plain,
        }
    }
}

/// Why a request was refused.
#[derive(Debug)]
pub(crate) enum Rejection {
    NoSuchPath,
    WrongMethod {
        allow: &'static str,
    },
    MissingKey,
    /// Several places of the request have different keys.
    SeveralKeys,
    /// There is something in the place of a key, and it is none.
    UnreadableKey,
    UnknownKey,
    /// The key is good, but for another project than the address says.
    OtherProject,
    Disabled,
    Unparsable(ParseError),
    /// A version of the protocol that there was not when this was written.
    UnsupportedProtocol,
    UnknownType,
    UnknownEncoding,
    Unpackable,
    TooLarge {
        bytes_max: usize,
    },
    /// None of the files that were all of the request is kept.
    NoFile(NotKept),
    TooSlow,
    BrokenOff,
    /// Over the rate that the operator set.
    RateLimited {
        delay_s: u64,
    },
    /// The journal is filling up and this project has more than its share of it.
    ProjectShare,
    JournalFull,
    Overloaded,
    NoSnapshot,
    /// A build tool shows no token.
    MissingToken,
    /// No worker of role command is there, or the one that was asked is gone.
    NoWorker,
    /// So much is being passed on to workers that no more can be.
    Busy,
    /// Our mistake: a parser panicked.
    Broken,
}

/// A refusal, and whose it is, if that was known: then it is told in the project's ledger.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) rejection: Rejection,
    pub(crate) project_id: Option<u64>,
}

impl Rejection {
    pub(crate) fn of_project(self, project_id: u64) -> Refusal {
        Refusal { rejection: self, project_id: Some(project_id) }
    }

    /// The status that this client can bear.
    pub(crate) fn status(&self, client: Client) -> StatusCode {
        let is_airbrake = client == Client::Airbrake;
        let is_of_today = !matches!(client, Client::Airbrake | Client::Hoptoad | Client::Plain);
        match self {
            Rejection::MissingToken => StatusCode::UNAUTHORIZED,
            Rejection::NoWorker | Rejection::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::MissingKey | Rejection::SeveralKeys | Rejection::UnreadableKey if is_airbrake || is_of_today => {
                StatusCode::UNAUTHORIZED
            }
            Rejection::MissingKey | Rejection::SeveralKeys | Rejection::UnreadableKey => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Rejection::UnknownKey | Rejection::OtherProject if is_of_today => StatusCode::FORBIDDEN,
            Rejection::Unparsable(_) if is_of_today => StatusCode::BAD_REQUEST,
            // Only a limit that the operator set may silence them.
            Rejection::ProjectShare if client == Client::Sentry => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::UnsupportedProtocol => StatusCode::BAD_REQUEST,
            Rejection::NoSuchPath => StatusCode::NOT_FOUND,
            Rejection::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Rejection::UnknownKey | Rejection::OtherProject if is_airbrake => StatusCode::UNAUTHORIZED,
            Rejection::Unparsable(_) if is_airbrake => StatusCode::BAD_REQUEST,
            Rejection::UnknownKey | Rejection::OtherProject | Rejection::Unparsable(_) => {
                StatusCode::UNPROCESSABLE_ENTITY
            }
            Rejection::Disabled => StatusCode::FORBIDDEN,
            Rejection::UnknownEncoding | Rejection::UnknownType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Rejection::Unpackable | Rejection::BrokenOff => StatusCode::BAD_REQUEST,
            Rejection::TooLarge { .. } | Rejection::NoFile(_) => StatusCode::PAYLOAD_TOO_LARGE,
            // Exporters send again what is not for ever, and to them a 408 is.
            Rejection::TooSlow if matches!(client, Client::Otlp(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Rejection::RateLimited { .. } | Rejection::ProjectShare => StatusCode::TOO_MANY_REQUESTS,
            // In the lists of what Airbrake's clients send again; 503 is in none.
            Rejection::JournalFull | Rejection::Overloaded | Rejection::NoSnapshot if is_airbrake => {
                StatusCode::BAD_GATEWAY
            }
            Rejection::JournalFull | Rejection::Overloaded | Rejection::NoSnapshot => StatusCode::SERVICE_UNAVAILABLE,
            Rejection::Broken => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The label in metrics and in the project's ledger.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Rejection::NoSuchPath => "no_such_path",
            Rejection::WrongMethod { .. } => "wrong_method",
            Rejection::MissingKey => "missing_key",
            Rejection::SeveralKeys => "several_keys",
            Rejection::UnreadableKey => "unreadable_key",
            Rejection::UnknownKey => "unknown_key",
            Rejection::OtherProject => "other_project",
            Rejection::Disabled => "disabled",
            Rejection::Unparsable(ParseError::Empty) => "empty",
            Rejection::Unparsable(ParseError::UnsupportedVersion(_)) => "unsupported_version",
            Rejection::Unparsable(_) => "malformed",
            Rejection::UnsupportedProtocol => "unsupported_protocol",
            Rejection::UnknownType => "unknown_type",
            Rejection::UnknownEncoding => "unknown_encoding",
            Rejection::Unpackable => "unpackable",
            Rejection::TooLarge { .. } => "too_large",
            Rejection::NoFile(why) => why.reason(),
            Rejection::TooSlow => "too_slow",
            Rejection::BrokenOff => "broken_off",
            Rejection::RateLimited { .. } => "rate_limited",
            Rejection::ProjectShare => "project_share",
            Rejection::JournalFull => "journal_full",
            Rejection::Overloaded => "overloaded",
            Rejection::NoSnapshot => "no_snapshot",
            Rejection::MissingToken => "missing_token",
            Rejection::NoWorker => "no_worker",
            Rejection::Busy => "busy",
            Rejection::Broken => "broken",
        }
    }

    /// For the client. Our troubles stay in our logs.
    pub(crate) fn told(&self) -> String {
        match self {
            Rejection::NoSuchPath => "there is nothing at this address".into(),
            Rejection::WrongMethod { allow } => format!("this address takes {allow}"),
            Rejection::MissingKey => "the project's API key is missing".into(),
            Rejection::SeveralKeys => "the request names several keys".into(),
            Rejection::UnreadableKey => "the project's API key cannot be read".into(),
            Rejection::UnknownKey => "the project's API key is unknown".into(),
            Rejection::OtherProject => "the API key belongs to another project than the address".into(),
            Rejection::Disabled => "this project takes no notices: it is disabled".into(),
            Rejection::Unparsable(error) => error.to_string(),
            Rejection::UnsupportedProtocol => "this version of the protocol is not understood: 7 is the newest".into(),
            Rejection::UnknownType => "this Content-Type is not taken here".into(),
            Rejection::UnknownEncoding => {
                "this Content-Encoding is not understood: gzip, deflate, br and zstd are, one at a time".into()
            }
            Rejection::Unpackable => "the body is not what its Content-Encoding says".into(),
            Rejection::TooLarge { bytes_max } => format!("the body is too large: at most {bytes_max} bytes are taken"),
            Rejection::NoFile(_) => "the files are more than is taken of one event, or of the project today".into(),
            Rejection::TooSlow => "the body did not arrive in time".into(),
            Rejection::BrokenOff => "the body broke off".into(),
            Rejection::RateLimited { .. } => "the project has reached its limit of notices a minute".into(),
            Rejection::ProjectShare => "too many notices of this project are waiting".into(),
            Rejection::JournalFull | Rejection::Overloaded | Rejection::NoSnapshot => {
                "notices cannot be taken now, please try again later".into()
            }
            Rejection::MissingToken => "a token is missing: `croak token create` makes one".into(),
            Rejection::NoWorker | Rejection::Busy => {
                "releases and uploads cannot be taken now, please try again later".into()
            }
            Rejection::Broken => "this notice cannot be read, which is our mistake".into(),
        }
    }

    /// The whole answer in this client's form.
    pub(crate) fn answer(&self, client: Client) -> Response<Full<Bytes>> {
        let told = self.told();
        let (content_type, body) = match client {
            Client::Hoptoad => ("text/xml; charset=utf-8", protocol::hoptoad::refused(&[told.as_str()])),
            Client::Airbrake => ("application/json", protocol::airbrake::refused(&told)),
            Client::Sentry => ("application/json", protocol::sentry::refused(&told)),
            Client::Honeybadger => ("application/json", protocol::honeybadger::refused(&told)),
            Client::Rollbar => ("application/json", protocol::rollbar::refused(&told)),
            Client::Bugsnag => ("application/json", protocol::bugsnag::refused(&told)),
            Client::Otlp(encoding) => return self.answer_exporter(encoding),
            Client::Plain => ("text/plain; charset=utf-8", told + "\n"),
        };
        let mut response = Response::new(Full::from(body));
        self.set_headers(client, content_type, &mut response);
        response
    }

    /// A `google.rpc.Status`, in the encoding of the request.
    fn answer_exporter(&self, encoding: Encoding) -> Response<Full<Bytes>> {
        let client = Client::Otlp(encoding);
        let status = otlp::refused(encoding, self.grpc_code(), &self.told(), None);
        let mut response = Response::new(Full::from(status));
        self.set_headers(client, encoding.content_type(), &mut response);
        response
    }

    /// The whole answer to a call of gRPC, which is all in its head.
    pub(crate) fn answer_call(&self) -> Response<tonic::body::Body> {
        let (code, told) = (self.grpc_code(), self.told());
        let wait_s = self.retry_after_s(Client::Otlp(Encoding::Protobuf)).map(|s| u32::try_from(s).unwrap_or(u32::MAX));
        let details = otlp::refused(Encoding::Protobuf, code, &told, wait_s);
        let mut metadata = MetadataMap::new();
        if let Some(wait_s) = wait_s {
            metadata.insert_bin(RETRY_INFO, MetadataValue::from_bytes(&otlp::retry_info(wait_s)));
        }
        let code = tonic::Code::from_i32(code as i32);
        let mut answer = Status::with_details_and_metadata(code, told, details.into(), metadata).into_http();
        // Whoever does not speak gRPC looks at this status.
        if matches!(self, Rejection::UnknownType) {
            *answer.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        }
        answer
    }

    /// Seconds after which the client may send it again; `None` if it would be refused again, or is not sent again.
    fn retry_after_s(&self, client: Client) -> Option<u64> {
        match self {
            Rejection::RateLimited { delay_s } => Some(*delay_s),
            // Whatever the status, half of them take it for a limit, and drop everything until then.
            Rejection::JournalFull | Rejection::Overloaded | Rejection::NoSnapshot | Rejection::ProjectShare
                if client == Client::Sentry =>
            {
                None
            }
            Rejection::JournalFull
            | Rejection::Overloaded
            | Rejection::NoSnapshot
            | Rejection::ProjectShare
            | Rejection::NoWorker
            | Rejection::Busy => {
                let seconds = if matches!(client, Client::Otlp(_)) { EXPORTER_RETRY_AFTER_S } else { RETRY_AFTER_S };
                Some(rand::random_range(seconds))
            }
            _ => None,
        }
    }

    /// The status as gRPC counts them.
    fn grpc_code(&self) -> otlp::StatusCode {
        match self {
            Rejection::NoSuchPath | Rejection::WrongMethod { .. } | Rejection::UnknownEncoding => {
                otlp::StatusCode::Unimplemented
            }
            Rejection::MissingKey
            | Rejection::SeveralKeys
            | Rejection::UnreadableKey
            | Rejection::UnknownKey
            | Rejection::MissingToken => otlp::StatusCode::Unauthenticated,
            Rejection::OtherProject | Rejection::Disabled => otlp::StatusCode::PermissionDenied,
            Rejection::TooLarge { .. } | Rejection::NoFile(_) | Rejection::RateLimited { .. } => {
                otlp::StatusCode::ResourceExhausted
            }
            Rejection::ProjectShare
            | Rejection::JournalFull
            | Rejection::Overloaded
            | Rejection::NoSnapshot
            | Rejection::NoWorker
            | Rejection::Busy
            | Rejection::TooSlow => otlp::StatusCode::Unavailable,
            Rejection::Broken => otlp::StatusCode::Internal,
            Rejection::Unparsable(_)
            | Rejection::UnsupportedProtocol
            | Rejection::UnknownType
            | Rejection::Unpackable
            | Rejection::BrokenOff => otlp::StatusCode::InvalidArgument,
        }
    }

    fn set_headers(&self, client: Client, content_type: &'static str, response: &mut Response<Full<Bytes>>) {
        *response.status_mut() = self.status(client);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if client == Client::Sentry
            && let Ok(told) = HeaderValue::from_str(&self.told())
        {
            headers.insert(SENTRY_ERROR, told);
        }
        headers.extend(self.retry_after_s(client).map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
        match self {
            Rejection::WrongMethod { allow } => {
                headers.insert(ALLOW, HeaderValue::from_static(allow));
            }
            // Without a delay Ruby's client keeps the notice and goes on with the next ones.
            Rejection::RateLimited { delay_s } => {
                if client == Client::Rollbar {
                    headers.insert(ROLLBAR_REMAINING, HeaderValue::from(0));
                    headers.insert(ROLLBAR_REMAINING_S, HeaderValue::from(*delay_s));
                }
                if client == Client::Sentry {
                    // Named, because some clients forget a pause without names once they have known one with.
                    let limits = format!("{delay_s}:{SENTRY_LIMITED}:project:notices_per_minute");
                    headers.extend(HeaderValue::from_str(&limits).map(|limits| (SENTRY_RATE_LIMITS, limits)));
                } else {
                    headers.insert(RATE_LIMIT_DELAY, HeaderValue::from(*delay_s));
                }
            }
            // What is left of the body must not be taken for the next request.
            Rejection::TooLarge { .. } | Rejection::TooSlow | Rejection::BrokenOff => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
    }

    /// What the log says. Refusals come in bulk, so they are counted, and logged one by one only for whoever looks closely.
    pub(crate) fn log(&self, client: Client, project_id: Option<u64>) {
        let (reason, status) = (self.reason(), self.status(client).as_u16());
        match self {
            Rejection::Broken => tracing::error!(reason, status, project_id, "a parser panicked"),
            _ => tracing::debug!(reason, status, project_id, "refused"),
        }
    }
}

impl Refusal {
    /// The same, told to this project unless it was known whose it is.
    pub(crate) fn or_of(mut self, project_id: Option<u64>) -> Refusal {
        self.project_id = self.project_id.or(project_id);
        self
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        Refusal { rejection, project_id: None }
    }
}

impl From<ParseError> for Rejection {
    fn from(error: ParseError) -> Rejection {
        Rejection::Unparsable(error)
    }
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Rejection {
        match error {
            BodyError::TooLarge { bytes_max } => Rejection::TooLarge { bytes_max },
            BodyError::TimedOut => Rejection::TooSlow,
            BodyError::BrokenOff(_) => Rejection::BrokenOff,
        }
    }
}

impl From<AppendError> for Rejection {
    fn from(error: AppendError) -> Rejection {
        match error {
            AppendError::Full => Rejection::JournalFull,
            AppendError::ProjectShare => Rejection::ProjectShare,
            AppendError::TooLarge => Rejection::TooLarge { bytes_max: journal::BODY_BYTES_MAX },
            AppendError::Overloaded | AppendError::Closed => Rejection::Overloaded,
            AppendError::NoSuchLane(_) => Rejection::Broken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_taken_now_is_told_so_that_the_client_does_its_best() {
        for rejection in [Rejection::JournalFull, Rejection::Overloaded, Rejection::NoSnapshot] {
            for (client, status) in [(Client::Airbrake, 502), (Client::Hoptoad, 503), (Client::Plain, 503)] {
                let answer = rejection.answer(client);
                assert_eq!(answer.status(), status, "{rejection:?} {client:?}");
                let retry_after_s = answer.headers()[RETRY_AFTER].to_str().ok().and_then(|text| text.parse().ok());
                assert!(retry_after_s.is_some_and(|seconds| RETRY_AFTER_S.contains(&seconds)));
            }
        }
    }

    #[test]
    fn a_call_is_refused_by_who_may_not_and_by_what_is_wrong() {
        for (rejection, code) in [
            (Rejection::MissingKey, tonic::Code::Unauthenticated),
            (Rejection::UnknownKey, tonic::Code::Unauthenticated),
            (Rejection::Disabled, tonic::Code::PermissionDenied),
            (Rejection::Unparsable(ParseError::Empty), tonic::Code::InvalidArgument),
            (Rejection::UnknownEncoding, tonic::Code::Unimplemented),
            (Rejection::RateLimited { delay_s: 7 }, tonic::Code::ResourceExhausted),
        ] {
            let status = Status::from_header_map(rejection.answer_call().headers()).expect("the status is in the head");
            assert_eq!((status.code(), status.message()), (code, rejection.told().as_str()));
            assert_eq!(status.metadata().get_bin(RETRY_INFO).is_some(), code == tonic::Code::ResourceExhausted);
        }
    }

    #[test]
    fn exporters_are_told_to_come_again_while_they_have_it_still() {
        let otlp = Client::Otlp(Encoding::Json);
        for rejection in [Rejection::JournalFull, Rejection::Overloaded, Rejection::NoSnapshot, Rejection::ProjectShare]
        {
            let wait_s = rejection.retry_after_s(otlp);
            assert!(wait_s.is_some_and(|seconds| EXPORTER_RETRY_AFTER_S.contains(&seconds)), "{rejection:?}");
            let status = Status::from_header_map(rejection.answer_call().headers());
            let status = status.expect("the status is in the head");
            assert_eq!(status.code(), tonic::Code::Unavailable);
            assert!(status.metadata().get_bin(RETRY_INFO).is_some() && !status.details().is_empty());
        }
        let too_large = Status::from_header_map(Rejection::TooLarge { bytes_max: 1 }.answer_call().headers());
        let too_large = too_large.expect("the status is in the head");
        assert_eq!(too_large.code(), tonic::Code::ResourceExhausted);
        assert!(too_large.metadata().get_bin(RETRY_INFO).is_none(), "it would be too large again");
    }

    #[test]
    fn only_the_operators_limit_pauses_sentrys_clients() {
        for rejection in [Rejection::JournalFull, Rejection::Overloaded, Rejection::NoSnapshot, Rejection::ProjectShare]
        {
            let answer = rejection.answer(Client::Sentry);
            assert_eq!(answer.status(), 503, "{rejection:?}");
            assert!(!answer.headers().contains_key(RETRY_AFTER), "{rejection:?}");
        }
        let limited = Rejection::RateLimited { delay_s: 7 }.answer(Client::Sentry);
        assert_eq!(limited.headers()[RETRY_AFTER], HeaderValue::from(7));
        for of_build_tools in [Rejection::NoWorker, Rejection::Busy] {
            assert!(of_build_tools.answer(Client::Sentry).headers().contains_key(RETRY_AFTER), "{of_build_tools:?}");
        }
    }

    #[test]
    fn an_exporter_that_was_too_slow_may_send_it_again() {
        let answer = Rejection::TooSlow.answer(Client::Otlp(Encoding::Json));
        assert_eq!(
            (answer.status().as_u16(), answer.headers().get(CONNECTION)),
            (503, Some(&HeaderValue::from_static("close")))
        );
        assert_eq!(Rejection::TooSlow.grpc_code(), otlp::StatusCode::Unavailable);
        assert_eq!(Rejection::TooSlow.answer(Client::Sentry).status(), 408);
    }

    #[test]
    fn only_the_operators_limit_pauses_airbrakes_clients() {
        let limited = Rejection::RateLimited { delay_s: 7 }.answer(Client::Airbrake);
        assert_eq!((limited.status().as_u16(), &limited.headers()[RATE_LIMIT_DELAY]), (429, &HeaderValue::from(7)));
        let crowded = Rejection::ProjectShare.answer(Client::Airbrake);
        assert_eq!(crowded.status(), 429);
        assert!(!crowded.headers().contains_key(RATE_LIMIT_DELAY));
    }
}
