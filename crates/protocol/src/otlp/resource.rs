//! Where records come from: the resource that sent them, and the scope that made them.

use std::borrow::Cow;
use std::rc::Rc;

use notice::json_tree::Tree;
use notice::{Notice, Notifier, Server};

use super::identity;
use super::record::{Entries, Resource, Scope};
use crate::json::part;

/// Longest text of a resource that becomes a field of each of its notices, in bytes. Longer ones stay in the context.
const FIELD_BYTES_MAX: usize = 1_024;

/// What of a resource is a tag.
const TAGS: [&str; 2] = ["service.name", "service.namespace"];

/// Beginnings of what is said of the machine.
const MACHINE: [&str; 2] = ["host.", "os."];

/// A resource, as its notices show it.
#[derive(Default)]
pub(super) struct Sender {
    environment: Option<String>,
    release: Option<String>,
    language: Option<String>,
    hostname: Option<String>,
    notifier: Notifier,
    tags: Vec<(&'static str, String)>,
    machine: Option<String>,
    context: Option<String>,
    hash: u128,
    notes: Vec<String>,
}

impl Sender {
    pub(super) fn new(resource: Resource<'_>, hash: u128, notes: Vec<String>) -> Sender {
        let mut sender = Sender { hash, notes, ..Sender::default() };
        let mut machine = Vec::new();
        let mut rest = Vec::new();
        for (key, value) in resource.attributes {
            let field = match &*key {
                "deployment.environment.name" | "deployment.environment" => Some(&mut sender.environment),
                "service.version" => Some(&mut sender.release),
                "telemetry.sdk.language" => Some(&mut sender.language),
                "telemetry.sdk.name" => Some(&mut sender.notifier.name),
                "telemetry.sdk.version" => Some(&mut sender.notifier.version),
                "host.name" => Some(&mut sender.hostname),
                _ => None,
            };
            let text = value.scalar().filter(|text| text.len() <= FIELD_BYTES_MAX && !text.is_empty());
            match (field, text, TAGS.iter().find(|tag| **tag == key)) {
                (Some(field @ None), Some(text), _) => *field = Some(text.to_owned()),
                (None, Some(text), Some(tag)) if sender.tags.iter().all(|(there, _)| there != tag) => {
                    sender.tags.push((tag, text.to_owned()));
                }
                _ if MACHINE.iter().any(|start| key.starts_with(start)) => machine.push((key, value)),
                _ => rest.push((key, value)),
            }
        }
        rest.extend(resource.facts);
        sender.machine = part(Some(Tree::map(machine)));
        sender.context = part(Some(Tree::map(rest)));
        sender
    }

    /// How many bytes its fields take in each notice.
    fn fields_bytes(&self) -> usize {
        let texts = [&self.environment, &self.release, &self.language, &self.hostname];
        let texts = texts.into_iter().chain([&self.notifier.name, &self.notifier.version]);
        let tags = self.tags.iter().map(|(_, text)| text.len());
        texts.flatten().map(String::len).chain(tags).sum()
    }
}

/// A resource and a scope.
pub(super) struct Origin {
    sender: Rc<Sender>,
    scope_name: Option<String>,
    scope_facts: Option<String>,
    scope_hash: u128,
    notes: Vec<String>,
}

impl Origin {
    pub(super) fn new(sender: Rc<Sender>, scope: Scope<'_>, scope_hash: u128) -> Origin {
        Origin {
            sender,
            scope_name: scope.name.map(Cow::into_owned).filter(|name| !name.is_empty()),
            scope_facts: part(Some(Tree::map(scope.facts))),
            scope_hash,
            notes: scope.notes,
        }
    }

    /// How many bytes the fields of each notice take.
    pub(super) fn fields_bytes(&self) -> usize {
        self.sender.fields_bytes()
    }

    /// How many bytes the contexts of each notice take.
    pub(super) fn details_bytes(&self) -> usize {
        let texts = [&self.sender.machine, &self.sender.context, &self.scope_name, &self.scope_facts];
        texts.into_iter().flatten().map(String::len).sum()
    }

    pub(super) fn language(&self) -> Option<&str> {
        self.sender.language.as_deref()
    }

    /// Sets the fields that every notice from here has.
    pub(super) fn set_fields(&self, notice: &mut Notice, tags: &mut Entries<'_>) {
        let sender = &self.sender;
        notice.environment.clone_from(&sender.environment);
        notice.release.clone_from(&sender.release);
        notice.language.clone_from(&sender.language);
        notice.notifier = Some(sender.notifier.clone()).filter(|notifier| *notifier != Notifier::default());
        notice.server = sender.hostname.clone().map(|name| Server { hostname: Some(name), ..Server::default() });
        let text = |text: &String| Tree::Text(Cow::Owned(text.clone()));
        tags.extend(sender.tags.iter().map(|(tag, value)| (Cow::Borrowed(*tag), text(value))));
        notice.notes.extend(sender.notes.iter().chain(&self.notes).cloned());
    }

    /// Sets what else is known of the sender, and gives the contexts. The name of a logger is a field of its own.
    pub(super) fn set_details(&self, notice: &mut Notice, is_log: bool) -> Vec<(&'static str, String)> {
        if let Some(machine) = &self.sender.machine {
            notice.server.get_or_insert_with(Server::default).extra_json = Some(machine.clone());
        }
        let mut contexts = Vec::new();
        if let Some(context) = &self.sender.context {
            contexts.push(("resource", context.clone()));
        }
        let mut facts = self.scope_facts.clone().unwrap_or_else(|| "{}".to_owned());
        match &self.scope_name {
            Some(name) if is_log => notice.logger = Some(name.clone()),
            Some(name) => {
                let mut named = "{\"name\":".to_owned();
                notice::json_tree::write_text(name, &mut named);
                named.push_str(if facts == "{}" { "" } else { "," });
                named.push_str(&facts[1..]);
                facts = named;
            }
            None => {}
        }
        if facts != "{}" {
            contexts.push(("scope", facts));
        }
        contexts
    }

    /// The scope, by a hash: which logger it is.
    pub(super) fn scope_hash(&self) -> u128 {
        self.scope_hash
    }

    /// The id of an exception that is in no trace.
    pub(super) fn identity(&self, record: &[u8], at: usize) -> String {
        identity::alone(self.sender.hash, self.scope_hash, record, at)
    }
}
