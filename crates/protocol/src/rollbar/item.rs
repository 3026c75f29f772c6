//! `data`: all that an item says.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Notice, Notifier, Server, User};

use super::{body, request};
use crate::json::{part, set};
use crate::place::set_place;
use crate::unmapped::Unmapped;
use crate::{ParseError, frame_order, timestamp};

/// Reads the item into the notice.
pub(super) fn read<'a>(
    mut data: Tree<'a>,
    peer_ip: Option<&str>,
    notice: &mut Notice,
    unmapped: &mut Unmapped<'a>,
) -> Result<(), ParseError> {
    let Some(body) = data.take("body") else {
        return Err(ParseError::MissingKey("data.body".to_owned()));
    };
    let mut extra = match data.take("custom") {
        Some(Tree::Map(custom)) => custom,
        Some(other) if !other.is_empty() => vec![(Cow::Borrowed("custom"), other)],
        _ => Vec::new(),
    };
    extra.extend(body::read(body, notice, unmapped)?);
    notice.extra_json = part(Some(Tree::map(extra)));

    if let Some(value) = data.take("request") {
        request::read(value, peer_ip, notice, unmapped);
    }
    let (mut of_script, mut of_server) = (None, None);
    let Tree::Map(entries) = data else { return Ok(()) };
    for (key, value) in entries {
        let is_taken = match &*key {
            "environment" => set(&mut notice.environment, &value),
            "level" => set(&mut notice.severity, &value),
            "language" => set(&mut notice.language, &value),
            "platform" => set(&mut notice.platform, &value),
            "uuid" => set(&mut notice.client_id, &value),
            "code_version" => set(&mut notice.release, &value),
            "timestamp" => {
                notice.occurred_at_us = timestamp::micros_of(&value);
                notice.occurred_at_us.is_some()
            }
            "context" => match value.scalar() {
                Some(text) => set_place(text, notice.request.get_or_insert_default()),
                None => false,
            },
            "fingerprint" if value.scalar().is_some() => {
                notice.client_fingerprint.extend(value.scalar().filter(|text| !text.is_empty()).map(str::to_owned));
                true
            }
            "person" => {
                read_person(value, notice, unmapped);
                continue;
            }
            "server" => {
                of_server = version(&value);
                read_server(value, notice, unmapped);
                continue;
            }
            "client" => {
                of_script = entry(&value, "javascript").and_then(version);
                notice.contexts_json =
                    (!value.is_empty()).then(|| Tree::Map(vec![(Cow::Borrowed("client"), value)]).to_text());
                continue;
            }
            "notifier" => {
                read_notifier(value, notice, unmapped);
                continue;
            }
            // The name by which a page shows it.
            "framework" => {
                unmapped.add("framework", value);
                continue;
            }
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("data.{key}"), value);
        }
    }
    if begins_innermost(notice) {
        notice.errors.iter_mut().for_each(|error| error.frames.reverse());
    }
    if notice.language.as_deref().is_some_and(|language| language.eq_ignore_ascii_case("php")) {
        let of_no_function = |error: &&mut Error| error.frames.first().is_some_and(|top| top.function.is_none());
        let errors = notice.errors.iter_mut().filter(of_no_function);
        errors.for_each(|error| frame_order::move_functions_in(&mut error.frames));
    }
    notice.request = notice.request.take().filter(|request| *request != notice::Request::default());
    notice.release = notice.release.take().or(of_script).or(of_server);
    Ok(())
}

/// Clients that send the innermost call first, where Rollbar wants it last: for .NET, Elixir and Dart. The one for Rust has no name.
const INNERMOST_FIRST: [&str; 5] = ["Rollbar.NET", "RollbarSharp", "RollbarDotNet", "Rollbax", "rollbar-dart"];

/// Whether the client is one of [`INNERMOST_FIRST`], or for Go.
fn begins_innermost(notice: &Notice) -> bool {
    let is_in = |name: &str| notice.language.as_deref().is_some_and(|language| language.eq_ignore_ascii_case(name));
    match notice.notifier.as_ref().and_then(|notifier| notifier.name.as_deref()) {
        Some(name) => is_in("go") || INNERMOST_FIRST.iter().any(|first| name.starts_with(first)),
        None => is_in("go") || is_in("rust"),
    }
}

/// `code_version`, which browsers tell with their script, and some with their server, instead of with the item.
fn version(of: &Tree<'_>) -> Option<String> {
    entry(of, "code_version")?.scalar().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn entry<'t, 'a>(tree: &'t Tree<'a>, name: &str) -> Option<&'t Tree<'a>> {
    let Tree::Map(entries) = tree else { return None };
    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn read_person<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut user = notice.user.take().unwrap_or_default();
    for (key, value) in unmapped.entries("data.person", value) {
        let is_taken = match &*key {
            "id" => set(&mut user.id, &value),
            "username" => set(&mut user.username, &value),
            "email" => set(&mut user.email, &value),
            "name" => set(&mut user.name, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("data.person.{key}"), value);
        }
    }
    notice.user = (user != User::default()).then_some(user);
}

/// The machine. What it has no field for stays with it.
fn read_server<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut server = Server::default();
    let mut machine = Vec::new();
    for (key, value) in unmapped.entries("data.server", value) {
        let is_taken = match &*key {
            "host" => set(&mut server.hostname, &value),
            "root" => set(&mut server.root, &value),
            _ => false,
        };
        match &*key {
            _ if is_taken => {}
            // These are the names of fields of the notice's own.
            "hostname" | "root" => unmapped.add(format!("data.server.{key}"), value),
            _ => machine.push((key, value)),
        }
    }
    server.extra_json = part(Some(Tree::Map(machine)));
    notice.server = (server != Server::default()).then_some(server);
}

fn read_notifier<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) {
    let mut notifier = Notifier::default();
    for (key, value) in unmapped.entries("data.notifier", value) {
        let is_taken = match &*key {
            "name" => set(&mut notifier.name, &value),
            "version" => set(&mut notifier.version, &value),
            "url" => set(&mut notifier.url, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("data.notifier.{key}"), value);
        }
    }
    notice.notifier = (notifier != Notifier::default()).then_some(notifier);
}
