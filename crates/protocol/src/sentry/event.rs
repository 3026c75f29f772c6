//! The payload of an item of kind `event`, and of a request to the older store.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Notice, Server, Trace};

use super::images::Images;
use super::message::Message;
use super::user::Inference;
use super::{
    debug_meta, event_id, exception, fingerprint, level, minidump, pairs, request, sdk, stacktrace, threads, user,
};
use crate::json::{part, read, set, text_of};
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed, breadcrumbs, timestamp};

/// Where an event says none, Sentry's documentation has this one.
pub(super) const ENVIRONMENT: &str = "production";

/// What is known of an event besides its payload.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventContext<'a> {
    /// The id in the head of the envelope. It wins over the payload's.
    pub event_id: Option<&'a str>,
    /// The network address that it came from, for clients that ask to have it filled in.
    pub peer_ip: Option<&'a str>,
    /// The client as it calls itself beside its key, `raven-python/6.10.0`: those before `sdk` say it there alone.
    pub client: Option<&'a str>,
}

/// Reads an event. Only what is no JSON object is an error, an id of the envelope that is none, and a transaction.
pub fn parse_event(payload: &[u8], context: &EventContext<'_>) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(payload, &mut notes);
    let Tree::Map(entries) = read(&text, &mut notes)? else { return Err(ParseError::Empty) };
    let mut event = Event::default();
    event.notice.protocol = "sentry".to_owned();
    event.notice.client_id = context.event_id.map(event_id::required).transpose()?;
    for (key, value) in entries {
        event.entry(key, value);
    }
    if event.is_transaction() {
        return Err(ParseError::Transaction);
    }
    Ok(event.finish(context, notes))
}

/// A value and the key that it had on the wire.
pub(super) struct Named<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) value: Tree<'a>,
}

/// An event that is being read. What says something only beside other parts waits until all are there.
#[derive(Default)]
struct Event<'a> {
    notice: Notice,
    unmapped: Unmapped<'a>,
    project_id: Option<String>,
    transaction: Option<String>,
    /// What older clients had instead of a fingerprint; it is kept beside, too.
    checksum: Option<String>,
    /// What older clients had instead of a transaction.
    culprit: Option<Tree<'a>>,
    inference: Inference,
    exception: Option<Named<'a>>,
    log_entry: Option<Named<'a>>,
    message: Option<Named<'a>>,
    threads: Option<Named<'a>>,
    stacktrace: Option<Named<'a>>,
    request: Option<Named<'a>>,
    user: Option<Named<'a>>,
    kind: Option<Tree<'a>>,
}

impl<'a> Event<'a> {
    /// Whether it is what has an item of its own today. One that tells of an error all the same is one.
    fn is_transaction(&self) -> bool {
        let is_told = self.exception.is_some() || self.log_entry.is_some() || self.message.is_some();
        self.kind.as_ref().and_then(Tree::scalar) == Some("transaction") && !is_told
    }

    fn entry(&mut self, key: Cow<'a, str>, value: Tree<'a>) {
        let name = plain_name(&key);
        let later = match name {
            "exception" => &mut self.exception,
            "logentry" => &mut self.log_entry,
            "message" => &mut self.message,
            "threads" => &mut self.threads,
            "stacktrace" => &mut self.stacktrace,
            "request" => &mut self.request,
            "user" => &mut self.user,
            _ => return self.entry_now(key, value),
        };
        if later.is_none() && !value.is_empty() {
            *later = Some(Named { key, value });
        } else {
            self.unmapped.add(key, value);
        }
    }

    fn entry_now(&mut self, key: Cow<'a, str>, value: Tree<'a>) {
        let notice = &mut self.notice;
        let unmapped = &mut self.unmapped;
        let rest = match plain_name(&key) {
            "event_id" => event_id::read(value, notice),
            "timestamp" => match timestamp::micros_of(&value) {
                Some(at_us) if notice.occurred_at_us.is_none() => {
                    notice.occurred_at_us = Some(at_us);
                    None
                }
                _ => Some(value),
            },
            "level" => level::read(value, notice),
            "platform" => unless(set(&mut notice.platform, &value), value),
            "environment" => unless(set(&mut notice.environment, &value), value),
            "release" => unless(set(&mut notice.release, &value), value),
            "dist" => unless(set(&mut notice.dist, &value), value),
            "logger" => unless(set(&mut notice.logger, &value), value),
            "server_name" => {
                let server = notice.server.get_or_insert_with(Server::default);
                unless(set(&mut server.hostname, &value), value)
            }
            "transaction" => unless(set(&mut self.transaction, &value), value),
            "type" if self.kind.is_none() => {
                self.kind = Some(value);
                None
            }
            "culprit" if self.culprit.is_none() => {
                self.culprit = Some(value);
                None
            }
            // It says where to, but not for sure: what it says stays, for whoever checks that.
            "project" => {
                set(&mut self.project_id, &value);
                Some(value)
            }
            "sdk" => {
                self.inference = Inference::of(&value);
                sdk::read(value, notice, unmapped)
            }
            "tags" => pairs::tags(value, notice, unmapped),
            "fingerprint" => fingerprint::read(value, notice, unmapped),
            "checksum" => {
                self.checksum = value.scalar().filter(|checksum| !checksum.is_empty()).map(str::to_owned);
                Some(value)
            }
            "debug_meta" => debug_meta::read(value, notice, unmapped),
            "breadcrumbs" => match values(&key, value, unmapped) {
                Ok((_, crumbs)) if notice.breadcrumbs_json.is_none() => {
                    notice.breadcrumbs_json = breadcrumbs::read(Tree::List(crumbs));
                    None
                }
                Ok((_, crumbs)) => Some(Tree::List(crumbs)),
                Err(value) => Some(value),
            },
            "contexts" if matches!(value, Tree::Map(_)) && notice.contexts_json.is_none() => {
                notice.trace = trace_of(&value);
                notice.contexts_json = part(Some(value));
                None
            }
            "extra" => object(&mut notice.extra_json, value),
            "modules" => object(&mut notice.modules_json, value),
            _ => Some(value),
        };
        if let Some(rest) = rest {
            unmapped.add(key, rest);
        }
    }

    fn finish(mut self, context: &EventContext<'_>, mut notes: Vec<String>) -> Parsed {
        self.notice.notifier = self.notice.notifier.take().or_else(|| sdk::of_client(context.client?));
        self.errors();
        if let Some(culprit) = self.culprit.take()
            && !set(&mut self.transaction, &culprit)
        {
            self.unmapped.add("culprit", culprit);
        }
        if let Some(kind) = self.kind.take() {
            self.unmapped.add("type", kind);
        }
        let notice = &mut self.notice;
        notice.server = notice.server.take().filter(|server| *server != Server::default());
        notice.language = notice.platform.as_deref().and_then(language).map(str::to_owned);
        notice.severity.get_or_insert_with(|| level::DEFAULT.to_owned());
        if notice.environment.is_none() {
            // Older clients have it for a tag.
            notice.environment = pairs::tag(notice, "environment").or_else(|| Some(ENVIRONMENT.to_owned()));
        }
        notice.request = request::read(self.request, self.transaction, &mut self.unmapped);
        notice.user = user::read(self.user, self.inference, context.peer_ip, &mut self.unmapped);
        if let Some(checksum) = self.checksum {
            notice.client_fingerprint = vec![checksum];
        }
        fingerprint::write_out(notice);
        notice.unmapped_json = self.unmapped.finish(&mut notes);
        self.notice.notes = notes;
        Parsed { notice: self.notice, api_key: None, project_id: self.project_id, salvaged: false }
    }

    /// The errors: of the exceptions, else one of the message; with the stack of a thread where they have none of their own.
    fn errors(&mut self) {
        let unmapped = &mut self.unmapped;
        let images = Images::new(self.notice.debug_images_json.take());
        let mut errors = match self.exception.take() {
            Some(exception) => exception::read(exception, self.notice.notifier.as_ref(), &images, unmapped),
            None => Vec::new(),
        };
        if errors.is_empty() {
            errors.push(Error::default());
        }
        let has_frames = errors.iter().any(|error| !error.frames.is_empty());
        if let Some(raised) = errors.first_mut() {
            let is_told = raised.class.is_some();
            for said in [self.log_entry.take(), self.message.take()].into_iter().flatten() {
                if is_told || raised.message.is_some() {
                    unmapped.add(said.key, said.value);
                } else if let Some(message) = Message::read(said, unmapped) {
                    (raised.message, raised.formatted) = (Some(message.message), message.formatted);
                }
            }
            let mut wants_stack = !has_frames;
            if let Some(Named { key, value }) = self.stacktrace.take() {
                match wants_stack {
                    true => raised.frames = stacktrace::read(value, &key, &images, unmapped),
                    false => unmapped.add(key, value),
                }
                wants_stack &= raised.frames.is_empty();
            }
            if let Some(threads) = self.threads.take() {
                let stack = threads::read(threads, wants_stack, &images, &mut self.notice, unmapped);
                if wants_stack {
                    raised.frames = stack;
                }
            }
            let said = [&self.notice.platform, &self.notice.severity].map(|field| field.as_deref().unwrap_or_default());
            if *raised == Error::default() && said == [minidump::PLATFORM, "fatal"] {
                *raised = minidump::error();
            }
        }
        self.notice.debug_images_json = images.into_json();
        self.notice.errors = errors;
    }
}

/// The value, unless it was taken.
fn unless(is_taken: bool, value: Tree<'_>) -> Option<Tree<'_>> {
    (!is_taken).then_some(value)
}

/// Sets a field that is an object; gives back what is none.
fn object<'a>(field: &mut Option<String>, value: Tree<'a>) -> Option<Tree<'a>> {
    match value {
        Tree::Map(_) if field.is_none() => {
            *field = part(Some(value));
            None
        }
        other => Some(other),
    }
}

/// A list, or an object that has it as `values`, and the path of its entries. What is neither comes back.
pub(super) fn values<'a>(
    path: &str,
    value: Tree<'a>,
    unmapped: &mut Unmapped<'a>,
) -> Result<(String, Vec<Tree<'a>>), Tree<'a>> {
    let mut entries = match value {
        Tree::List(items) => return Ok((path.to_owned(), items)),
        Tree::Map(entries) => entries,
        other => return Err(other),
    };
    let Some(at) =
        entries.iter().position(|(key, value)| key == "values" && matches!(value, Tree::List(_) | Tree::Null))
    else {
        return Err(Tree::Map(entries));
    };
    let (_, list) = entries.swap_remove(at);
    for (key, value) in entries {
        unmapped.add(format!("{path}.{key}"), value);
    }
    let items = if let Tree::List(items) = list { items } else { Vec::new() };
    Ok((format!("{path}.values"), items))
}

/// What older clients called after classes of Sentry has a plain name today.
fn plain_name(key: &str) -> &str {
    match key.strip_prefix("sentry.interfaces.") {
        None => key,
        Some("Exception") => "exception",
        Some("Stacktrace") => "stacktrace",
        Some("Message") => "logentry",
        Some("Http") => "request",
        Some("User") => "user",
        Some("Breadcrumbs") => "breadcrumbs",
        Some("Threads") => "threads",
        Some("Contexts") => "contexts",
        Some("DebugMeta") => "debug_meta",
        Some(_) => key,
    }
}

/// The language that the platform is; some are none.
fn language(platform: &str) -> Option<&str> {
    match platform {
        "node" => Some("javascript"),
        "objc" => Some("objective-c"),
        "native" | "cocoa" | "other" => None,
        language => Some(language),
    }
}

/// The trace that it happened in, which stays in the contexts too.
fn trace_of(contexts: &Tree<'_>) -> Option<Trace> {
    let Tree::Map(contexts) = contexts else { return None };
    let Tree::Map(entries) = &contexts.iter().find(|(key, _)| key == "trace")?.1 else { return None };
    let text = |name: &str| {
        let value = &entries.iter().find(|(key, _)| key == name)?.1;
        value.scalar().filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let trace = Trace { trace_id: text("trace_id"), span_id: text("span_id") };
    (trace != Trace::default()).then_some(trace)
}
