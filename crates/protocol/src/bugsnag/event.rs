//! One event: an error, and all that is known around it.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Notice, Request, Server, Trace, User};

use super::{exceptions, meta_data, request};
use crate::breadcrumbs::{self, Names};
use crate::json::{part, set};
use crate::place::set_place;
use crate::stack_text::split_module;
use crate::timestamp;
use crate::unmapped::Unmapped;

/// What its breadcrumbs call their parts.
const BREADCRUMB: Names =
    Names { at: "timestamp", category: "type", level: "severity", message: "name", data: "metaData" };

/// The parts of an event that are contexts by themselves.
const CONTEXTS: [&str; 4] = ["session", "featureFlags", "usage", "performance"];

/// Languages by what `runtimeVersions` calls them.
const LANGUAGES: [(&str, &str); 6] = [
    ("python", "python"),
    ("ruby", "ruby"),
    ("php", "php"),
    ("node", "javascript"),
    ("go", "go"),
    ("javaVersion", "java"),
];

/// Reads the event into the notice.
pub(super) fn read<'a>(mut event: Tree<'a>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    read_exceptions(&mut event, path, notice, unmapped);
    let mut contexts = Vec::new();
    for (key, value) in [("app", event.take("app")), ("device", event.take("device"))] {
        let Some(value) = value else { continue };
        let rest = match key {
            "app" => read_app(value, path, notice, unmapped),
            _ => read_device(value, path, notice, unmapped),
        };
        if !rest.is_empty() {
            contexts.push((Cow::Borrowed(key), Tree::Map(rest)));
        }
    }
    if notice.language.as_deref() == Some("python") {
        notice.errors.iter_mut().for_each(split_class);
    }
    if let Some(value) = event.take("request") {
        request::read(value, &format!("{path}.request"), notice, unmapped);
    }
    if let Some(value) = event.take("metaData").or_else(|| event.take("metadata")) {
        meta_data::read(value, &format!("{path}.metaData"), notice, unmapped);
    }
    let mut discriminator = None;
    let Tree::Map(entries) = event else { return };
    for (key, value) in entries {
        let is_taken = match (&*key, &value) {
            ("severity", value) => set(&mut notice.severity, value),
            // Python says these beside `app` and `device`, clients of version 1 said all of them so.
            ("releaseStage", value) => set(&mut notice.environment, value),
            ("appVersion", value) => set(&mut notice.release, value),
            ("projectRoot", value) => set(&mut notice.server.get_or_insert_default().root, value),
            ("userId", value) => set(&mut notice.user.get_or_insert_default().id, value),
            ("context", value) => match value.scalar() {
                Some(text) => set_place(text, notice.request.get_or_insert_default()),
                None => false,
            },
            ("groupingHash", value) if value.scalar().is_some() => {
                notice.client_fingerprint.extend(value.scalar().filter(|text| !text.is_empty()).map(str::to_owned));
                true
            }
            ("groupingDiscriminator", value) if value.scalar().is_some() => set(&mut discriminator, value),
            ("threads", Tree::List(_)) => {
                notice.threads_json = part(Some(value));
                continue;
            }
            ("breadcrumbs", Tree::List(_)) => {
                notice.breadcrumbs_json = breadcrumbs::read_as(value, &BREADCRUMB);
                continue;
            }
            ("user", Tree::Map(_)) => {
                read_user(value, path, notice, unmapped);
                continue;
            }
            ("correlation", Tree::Map(_)) => {
                read_correlation(value, path, notice, unmapped);
                continue;
            }
            (context, _) if CONTEXTS.contains(&context) => {
                if !value.is_empty() {
                    contexts.push((key, value));
                }
                continue;
            }
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("{path}.{key}"), value);
        }
    }
    notice.contexts_json = part(Some(Tree::Map(contexts)));
    discriminate(discriminator, path, notice, unmapped);
    notice.request = notice.request.take().filter(|request| *request != Request::default());
    notice.server = notice.server.take().filter(|server| *server != Server::default());
    notice.user = notice.user.take().filter(|user| *user != User::default());
}

/// The errors, and how the client came by them.
fn read_exceptions<'a>(event: &mut Tree<'a>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    match event.take("exceptions") {
        Some(Tree::List(list)) if !list.is_empty() => notice.errors = exceptions::read(list, path, unmapped),
        other => {
            notice.notes.push(format!("{path} has no exceptions"));
            notice.errors.push(Error::default());
            unmapped.add(format!("{path}.exceptions"), other.unwrap_or(Tree::Null));
        }
    }
    let Some(raised) = notice.errors.first_mut() else { return };
    let mut mechanism = Vec::new();
    for key in ["unhandled", "severityReason"] {
        if let Some(value) = event.take(key) {
            if key == "unhandled"
                && let Tree::Bool(is_unhandled) = value
            {
                raised.handled = Some(!is_unhandled);
            }
            mechanism.push((Cow::Borrowed(key), value));
        }
    }
    mechanism.retain(|(_, value)| !value.is_empty());
    if !mechanism.is_empty() {
        let there = raised.mechanism_json.take();
        let there = there.as_deref().and_then(|there| notice::json_tree::read(there).ok());
        if let Some(Tree::Map(of_exception)) = there.map(|read| read.tree) {
            mechanism.splice(0..0, of_exception);
        }
        raised.mechanism_json = part(Some(Tree::Map(mechanism)));
    }
}

/// Version and stage; answers with the rest.
fn read_app<'a>(
    value: Tree<'a>,
    path: &str,
    notice: &mut Notice,
    unmapped: &mut Unmapped<'a>,
) -> Vec<(Cow<'a, str>, Tree<'a>)> {
    let mut rest = unmapped.entries(&format!("{path}.app"), value);
    rest.retain(|(key, value)| {
        let is_taken = match &**key {
            "version" => set(&mut notice.release, value),
            "releaseStage" => set(&mut notice.environment, value),
            "bundleVersion" | "versionCode" => set(&mut notice.dist, value),
            _ => value.is_empty(),
        };
        !is_taken
    });
    rest
}

/// Name and time of the machine; answers with the rest.
fn read_device<'a>(
    value: Tree<'a>,
    path: &str,
    notice: &mut Notice,
    unmapped: &mut Unmapped<'a>,
) -> Vec<(Cow<'a, str>, Tree<'a>)> {
    let server = notice.server.get_or_insert_default();
    let mut rest = unmapped.entries(&format!("{path}.device"), value);
    rest.retain(|(key, value)| {
        let is_taken = match &**key {
            "hostname" => set(&mut server.hostname, value),
            "time" => {
                notice.occurred_at_us = timestamp::micros_of(value);
                notice.occurred_at_us.is_some()
            }
            "runtimeVersions" => {
                notice.language = language(value).map(str::to_owned);
                value.is_empty()
            }
            _ => value.is_empty(),
        };
        !is_taken
    });
    rest
}

/// The language of the runtime whose version is told.
fn language(versions: &Tree<'_>) -> Option<&'static str> {
    let Tree::Map(versions) = versions else { return None };
    let known = |(runtime, _): &(Cow<'_, str>, Tree<'_>)| LANGUAGES.iter().find(|(name, _)| runtime == name);
    versions.iter().find_map(known).map(|(_, language)| *language)
}

/// Python's client writes the module before the class, where others have it beside, or not at all.
fn split_class(error: &mut Error) {
    if let Some((Some(module), class)) = error.class.as_deref().map(split_module) {
        (error.module, error.class) = (Some(module.to_owned()), Some(class.to_owned()));
    }
}

fn read_user<'a>(value: Tree<'a>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let user = notice.user.get_or_insert_default();
    for (key, value) in unmapped.entries(path, value) {
        let is_taken = match &*key {
            "id" => set(&mut user.id, &value),
            "name" => set(&mut user.name, &value),
            "username" => set(&mut user.username, &value),
            "email" => set(&mut user.email, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("{path}.user.{key}"), value);
        }
    }
}

fn read_correlation<'a>(value: Tree<'a>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut trace = Trace::default();
    for (key, value) in unmapped.entries(path, value) {
        let is_taken = match &*key {
            "traceId" => set(&mut trace.trace_id, &value),
            "spanId" => set(&mut trace.span_id, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("{path}.correlation.{key}"), value);
        }
    }
    notice.trace = (trace != Trace::default()).then_some(trace);
}

/// A hash of the client is the whole fingerprint. A discriminator tells errors apart that would be one otherwise.
fn discriminate(discriminator: Option<String>, path: &str, notice: &mut Notice, unmapped: &mut Unmapped<'_>) {
    let Some(discriminator) = discriminator else { return };
    if notice.client_fingerprint.is_empty() {
        notice.client_fingerprint = vec!["{{ default }}".to_owned(), discriminator];
    } else {
        unmapped.add(format!("{path}.groupingDiscriminator"), Tree::Text(Cow::Owned(discriminator)));
    }
}
