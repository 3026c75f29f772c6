//! Requests in protobuf.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use notice::json_tree::Tree;

use super::attributes::Values;
use super::identity::hash;
use super::record::{Entries, Event, LogRecord, Resource, Scope, Span, identity, micros, number, told};
use super::resource::{Origin, Sender};
use super::taken::{Taken, Taking};
use super::wire::{Broken, Field, Fields};
use crate::ParseError;

/// What an event is called that is an exception.
const EXCEPTION: &[u8] = b"exception";

/// What attributes of a record begin with that is an exception.
const EXCEPTION_ATTRIBUTE: &[u8] = b"exception.";

/// Reads an `ExportTraceServiceRequest`.
pub(super) fn traces(body: &[u8]) -> Result<Taken, ParseError> {
    let mut taking = Taking::new(body.len());
    each_record(body, &mut |group, span| {
        taking.taken.span_count += 1;
        match has_exception(span) {
            Ok(false) => {}
            Ok(true) => take_span(span, group, &mut taking).unwrap_or_else(|Broken| taking.refuse(UNREADABLE)),
            Err(Broken) => taking.refuse(UNREADABLE),
        }
    })
    .map_err(|Broken| malformed("ExportTraceServiceRequest"))?;
    taking.finish()
}

/// Reads an `ExportLogsServiceRequest`.
pub(super) fn logs(body: &[u8]) -> Result<Taken, ParseError> {
    let mut taking = Taking::new(body.len());
    each_record(body, &mut |group, record| {
        taking.taken.log_count += 1;
        match has_attribute_of_exception(record, 6) {
            Ok(false) => {}
            Ok(true) => take_log(record, group, &mut taking).unwrap_or_else(|Broken| taking.refuse(UNREADABLE)),
            Err(Broken) => taking.refuse(UNREADABLE),
        }
    })
    .map_err(|Broken| malformed("ExportLogsServiceRequest"))?;
    taking.finish()
}

/// Why a record was not taken.
pub(super) const UNREADABLE: &str = "a record could not be read";

pub(super) fn malformed(name: &str) -> ParseError {
    ParseError::Malformed(format!("the body is not a whole `{name}` in protobuf"))
}

/// The resource and the scope that records share. They are read when one of the records needs them.
pub(super) struct Group<'a> {
    resource: Shared<'a>,
    sender: &'a OnceCell<Rc<Sender>>,
    scope: Shared<'a>,
    origin: Option<Origin>,
}

/// A resource or a scope, with the address of the names in it.
#[derive(Clone, Copy, Default)]
struct Shared<'a> {
    message: &'a [u8],
    schema: &'a [u8],
}

impl Group<'_> {
    fn origin(&mut self) -> Result<&Origin, Broken> {
        let origin = match self.origin.take() {
            Some(origin) => origin,
            None => {
                let sender = match self.sender.get() {
                    Some(sender) => sender,
                    None => {
                        let sender = Rc::new(read_resource(self.resource)?);
                        self.sender.get_or_init(|| sender)
                    }
                };
                Origin::new(sender.clone(), read_scope(self.scope)?, hash(&[self.scope.message]))
            }
        };
        Ok(self.origin.insert(origin))
    }
}

/// Calls for each record of each scope of each resource: traces, logs and metrics have the same outline.
pub(super) fn each_record(body: &[u8], take: &mut dyn FnMut(&mut Group<'_>, &[u8])) -> Result<(), Broken> {
    for resource_group in messages(body, 1) {
        let resource_group = resource_group?;
        let resource = shared(resource_group)?;
        let sender = OnceCell::new();
        for scope_group in messages(resource_group, 2) {
            let scope_group = scope_group?;
            let mut group = Group { resource, sender: &sender, scope: shared(scope_group)?, origin: None };
            for record in messages(scope_group, 2) {
                take(&mut group, record?);
            }
        }
    }
    Ok(())
}

/// What all in a group share.
fn shared(group: &[u8]) -> Result<Shared<'_>, Broken> {
    let mut shared = Shared::default();
    for field in Fields::of(group) {
        match bytes(field?) {
            (1, Some(bytes)) => shared.message = bytes,
            (3, Some(bytes)) => shared.schema = bytes,
            _ => {}
        }
    }
    Ok(shared)
}

/// All messages that are in this field.
pub(super) fn messages(message: &[u8], number: u32) -> impl Iterator<Item = Result<&[u8], Broken>> {
    Fields::of(message).filter_map(move |field| match field {
        Ok(field) if field.number == number => field.value.bytes().map(Ok),
        Ok(_) => None,
        Err(broken) => Some(Err(broken)),
    })
}

fn bytes(field: Field<'_>) -> (u32, Option<&[u8]>) {
    (field.number, field.value.bytes())
}

fn has_exception(span: &[u8]) -> Result<bool, Broken> {
    for event in messages(span, 11) {
        let event = event?;
        if messages(event, 2).any(|name| name == Ok(EXCEPTION)) || has_attribute_of_exception(event, 3) == Ok(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether one of the attributes, which are in this field, is of an exception.
fn has_attribute_of_exception(message: &[u8], field: u32) -> Result<bool, Broken> {
    let mut found = false;
    for attribute in messages(message, field) {
        found |= messages(attribute?, 1).any(|key| key.is_ok_and(|key| key.starts_with(EXCEPTION_ATTRIBUTE)));
    }
    Ok(found)
}

fn read_resource(shared: Shared<'_>) -> Result<Sender, Broken> {
    let mut values = Values::default();
    let mut resource = Resource::default();
    for field in Fields::of(shared.message) {
        let field = field?;
        match bytes(field) {
            (1, Some(attribute)) => values.push(attribute, &mut resource.attributes),
            (2, None) => count_dropped("dropped_attributes", field, &mut resource.facts),
            // References to entities: which of the attributes are an identity.
            (3, Some(bytes)) => resource.facts.push((Cow::Borrowed("entity_refs"), base64(bytes))),
            _ => {}
        }
    }
    text("schema_url", shared.schema, &mut values, &mut resource.facts);
    Ok(Sender::new(resource, hash(&[shared.message]), values.notes()))
}

fn read_scope(shared: Shared<'_>) -> Result<Scope<'_>, Broken> {
    let mut values = Values::default();
    let mut scope = Scope::default();
    let mut attributes = Vec::new();
    for field in Fields::of(shared.message) {
        let field = field?;
        match bytes(field) {
            (1, Some(name)) => scope.name = Some(values.text(name)),
            (2, Some(version)) => text("version", version, &mut values, &mut scope.facts),
            (3, Some(attribute)) => values.push(attribute, &mut attributes),
            (4, None) => count_dropped("dropped_attributes", field, &mut scope.facts),
            _ => {}
        }
    }
    text("schema_url", shared.schema, &mut values, &mut scope.facts);
    scope.facts.extend(attributes);
    scope.notes = values.notes();
    Ok(scope)
}

fn take_span(message: &[u8], group: &mut Group<'_>, taking: &mut Taking) -> Result<(), Broken> {
    let mut values = Values::default();
    let mut span = Span::default();
    for field in Fields::of(message) {
        let field = field?;
        match (field.number, field.value.bytes(), field.value.number()) {
            (1, Some(id), _) => span.trace_id = identity(&hex(id)),
            (2, Some(id), _) => span.span_id = identity(&hex(id)),
            (3, Some(state), _) => text("trace_state", state, &mut values, &mut span.facts),
            (4, Some(id), _) => {
                let parent = identity(&hex(id)).map(|id| (Cow::Borrowed("parent_span_id"), Tree::Text(Cow::Owned(id))));
                span.facts.extend(parent);
            }
            (5, Some(name), _) => text("name", name, &mut values, &mut span.facts),
            (6, _, Some(kind)) => span.set_kind(kind),
            (7, _, Some(nanos)) => span.facts.extend(told("started_at", nanos)),
            (8, _, Some(nanos)) => {
                span.ended_at_us = micros(nanos);
                span.facts.extend(told("ended_at", nanos));
            }
            (9, Some(attribute), _) => values.push(attribute, &mut span.attributes),
            (10, _, Some(_)) => count_dropped("dropped_attributes", field, &mut span.facts),
            (12, _, Some(_)) => count_dropped("dropped_events", field, &mut span.facts),
            (13, Some(link), _) => span.links.push(read_link(link, &mut values)?),
            (14, _, Some(_)) => count_dropped("dropped_links", field, &mut span.facts),
            (15, Some(status), _) => read_status(status, &mut values, &mut span)?,
            (16, _, Some(flags)) if flags > 0 => span.facts.push((Cow::Borrowed("flags"), number(flags))),
            _ => {}
        }
    }
    span.notes = values.notes();
    let events = messages(message, 11).map(|event| {
        let mut values = Values::default();
        let event = read_event(event.ok()?, &mut values).ok()?;
        Some((event, values.notes()))
    });
    taking.span(span, message, events, group.origin()?);
    Ok(())
}

fn read_event<'a>(message: &'a [u8], values: &mut Values) -> Result<Event<'a>, Broken> {
    let mut event = Event::default();
    for field in Fields::of(message) {
        let field = field?;
        match (field.number, field.value.bytes(), field.value.number()) {
            (1, _, Some(nanos)) => event.at_us = micros(nanos),
            (2, Some(name), _) => event.name = values.text(name),
            (3, Some(attribute), _) => values.push(attribute, &mut event.attributes),
            (4, _, Some(_)) => count_dropped("dropped_attributes", field, &mut event.facts),
            _ => {}
        }
    }
    Ok(event)
}

fn read_link<'a>(message: &'a [u8], values: &mut Values) -> Result<Tree<'a>, Broken> {
    let mut entries = Vec::new();
    let mut attributes = Vec::new();
    for field in Fields::of(message) {
        let field = field?;
        match (field.number, field.value.bytes(), field.value.number()) {
            (1, Some(id), _) => entries.push((Cow::Borrowed("trace_id"), Tree::Text(Cow::Owned(hex(id))))),
            (2, Some(id), _) => entries.push((Cow::Borrowed("span_id"), Tree::Text(Cow::Owned(hex(id))))),
            (3, Some(state), _) => text("trace_state", state, values, &mut entries),
            (4, Some(attribute), _) => values.push(attribute, &mut attributes),
            (5, _, Some(_)) => count_dropped("dropped_attributes", field, &mut entries),
            (6, _, Some(flags)) if flags > 0 => entries.push((Cow::Borrowed("flags"), number(flags))),
            _ => {}
        }
    }
    if !attributes.is_empty() {
        entries.push((Cow::Borrowed("attributes"), Tree::map(attributes)));
    }
    Ok(Tree::map(entries))
}

fn read_status<'a>(message: &'a [u8], values: &mut Values, span: &mut Span<'a>) -> Result<(), Broken> {
    let (mut code, mut told) = (0, None);
    for field in Fields::of(message) {
        let field = field?;
        match (field.number, field.value.bytes(), field.value.number()) {
            (2, Some(text), _) if !text.is_empty() => told = Some(Tree::Text(values.text(text))),
            (3, _, Some(number)) => code = number,
            _ => {}
        }
    }
    span.set_status(code, told);
    Ok(())
}

fn take_log(message: &[u8], group: &mut Group<'_>, taking: &mut Taking) -> Result<(), Broken> {
    let mut values = Values::default();
    let mut record = LogRecord::default();
    for field in Fields::of(message) {
        let field = field?;
        match (field.number, field.value.bytes(), field.value.number()) {
            (1, _, Some(nanos)) => record.at_us = micros(nanos),
            (2, _, Some(number)) => record.severity_number = number,
            (3, Some(text), _) => record.severity_text = Some(values.text(text)),
            (5, Some(body), _) => {
                let body = values.value(body);
                if body != Tree::Null {
                    record.facts.push((Cow::Borrowed("body"), body));
                }
            }
            (6, Some(attribute), _) => values.push(attribute, &mut record.attributes),
            (7, _, Some(_)) => count_dropped("dropped_attributes", field, &mut record.facts),
            (8, _, Some(flags)) if flags > 0 => record.facts.push((Cow::Borrowed("flags"), number(flags))),
            (9, Some(id), _) => record.trace_id = identity(&hex(id)),
            (10, Some(id), _) => record.span_id = identity(&hex(id)),
            (11, _, Some(nanos)) => {
                record.observed_at_us = micros(nanos);
                record.facts.extend(told("observed_at", nanos));
            }
            (12, Some(name), _) => text("event_name", name, &mut values, &mut record.facts),
            _ => {}
        }
    }
    record.notes = values.notes();
    taking.log(record, message, group.origin()?);
    Ok(())
}

fn text<'a>(name: &'static str, bytes: &'a [u8], values: &mut Values, facts: &mut Entries<'a>) {
    if !bytes.is_empty() {
        facts.push((Cow::Borrowed(name), Tree::Text(values.text(bytes))));
    }
}

fn count_dropped(name: &'static str, field: Field<'_>, facts: &mut Entries<'_>) {
    if let Some(count) = field.value.number().filter(|count| *count > 0) {
        facts.push((Cow::Borrowed(name), number(count)));
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

fn base64(bytes: &[u8]) -> Tree<'static> {
    Tree::Text(Cow::Owned(STANDARD.encode(bytes)))
}
