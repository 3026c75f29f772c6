//! The XML document, element by element.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Error, Frame, Notice, Notifier, Request, Server, User};
use quick_xml::Reader;
use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::Event;

use super::element::Element;
use super::malformed;
use super::tag::Tag;
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// Deepest nesting that is kept; what lies deeper is dropped with a note.
const DEPTH_MAX: usize = 64;

/// Nesting that no client has by accident.
const DEPTH_REFUSED: usize = 1_000;

/// Most errors that are read: what further ones say is kept beside them.
const ERRORS_MAX: usize = 100;

/// Most lines of all backtraces that are read.
const LINES_MAX: usize = 10_000;

/// Most `var`s that are read.
const VARS_MAX: usize = 20_000;

/// Reads the document as far as it goes.
pub(super) fn read(text: &str, notes: Vec<String>) -> Result<Parsed, ParseError> {
    let mut document = Document { notes, ..Document::default() };
    let mut reader = Reader::from_str(text);
    reader.config_mut().allow_dangling_amp = true;
    let end = loop {
        let at = position(reader.buffer_position());
        match reader.read_event() {
            Ok(Event::Start(tag)) => document.open(&Tag::at(text, at, tag.len()), false)?,
            Ok(Event::Empty(tag)) => {
                document.open(&Tag::at(text, at, tag.len()), true)?;
                document.close();
            }
            Ok(Event::End(_)) => document.close(),
            Ok(Event::Text(part)) => document.text(part.xml10_content()),
            Ok(Event::CData(part)) => document.text(part.xml10_content()),
            Ok(Event::GeneralRef(name)) => document.reference(&name.into_inner()),
            Ok(Event::DocType(_)) => return Err(ParseError::Doctype),
            Ok(Event::Eof) if document.is_complete => break End::Whole,
            Ok(Event::Eof) => break End::Cut,
            Ok(Event::Decl(_) | Event::PI(_) | Event::Comment(_)) => {}
            Err(quick_xml::Error::Syntax(SyntaxError::UnclosedDoctype)) => return Err(ParseError::Doctype),
            Err(quick_xml::Error::Syntax(SyntaxError::UnclosedCData)) => {
                let rest = text.get(position(reader.error_position())..).unwrap_or_default();
                document.text(Cow::Borrowed(rest.strip_prefix("<![CDATA[").unwrap_or_default()));
                break End::Cut;
            }
            Err(quick_xml::Error::Syntax(_)) => break End::Cut,
            Err(quick_xml::Error::IllFormed(IllFormedError::MissingEndTag(_))) => break End::Cut,
            Err(error) => break End::Broken(format!("{error} at byte {}", reader.error_position())),
        }
        if document.is_complete {
            break End::Whole;
        }
    };
    document.finish(end)
}

fn position(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

enum End {
    Whole,
    Cut,
    Broken(String),
}

#[derive(Default)]
struct Document<'a> {
    /// The names of the open elements, outermost first.
    path: Vec<&'a str>,
    open: Vec<Element<'a>>,
    /// How many elements are open below the deepest that is kept.
    too_deep: usize,
    is_complete: bool,
    has_root: bool,
    line_count: usize,
    var_count: usize,
    dropped_deep: usize,
    dropped_lines: usize,
    api_key: Option<String>,
    notifier: Notifier,
    /// The raised error, and causes of clients that write an element for each.
    errors: Vec<Error>,
    request: Request,
    has_request: bool,
    user: User,
    server: Server,
    environment: Option<String>,
    release: Option<String>,
    unmapped: Unmapped<'a>,
    notes: Vec<String>,
}

type Vars<'a> = Vec<(Cow<'a, str>, Tree<'a>)>;

impl<'a> Document<'a> {
    fn open(&mut self, tag: &Tag<'a>, is_bare: bool) -> Result<(), ParseError> {
        if self.path.len() + self.too_deep >= DEPTH_REFUSED {
            return Err(ParseError::TooDeep);
        }
        if self.path.len() >= DEPTH_MAX {
            self.too_deep += 1;
            self.dropped_deep += 1;
            return Ok(());
        }
        let name = tag.name;
        if self.path.is_empty() {
            self.root(name, tag)?;
        }
        self.path.push(name);
        let mut element = Element::new(is_bare);
        match self.path.as_slice() {
            ["notice"] => {}
            ["notice", "error"] if self.errors.len() < ERRORS_MAX => self.errors.push(Error::default()),
            ["notice", "error"] => {}
            ["notice", "error", "backtrace", "line"] => self.line(tag),
            [.., "var"] => {
                for (attribute, value) in tag.attributes() {
                    match attribute {
                        "key" => element.key = value,
                        other => self.unmapped.add(format!("{}@{other}", below_root(&self.path)), Tree::Text(value)),
                    }
                }
            }
            path => {
                for (attribute, value) in tag.attributes() {
                    self.unmapped.add(format!("{}@{attribute}", below_root(path)), Tree::Text(value));
                }
            }
        }
        self.open.push(element);
        Ok(())
    }

    fn root(&mut self, name: &str, tag: &Tag<'a>) -> Result<(), ParseError> {
        if name != "notice" {
            let name: String = name.chars().take(40).collect();
            return Err(malformed(format!("the root element is `{name}`, not `notice`")));
        }
        self.has_root = true;
        for (attribute, value) in tag.attributes() {
            if attribute == "version" && !(value == "2" || value.starts_with("2.")) {
                return Err(ParseError::UnsupportedVersion(value.chars().take(40).collect()));
            }
            self.unmapped.add(attribute.to_owned(), Tree::Text(value));
        }
        Ok(())
    }

    fn text(&mut self, text: Cow<'a, str>) {
        if self.too_deep == 0
            && let Some(element) = self.open.last_mut()
        {
            element.push(text);
        }
    }

    fn reference(&mut self, name: &str) {
        if self.too_deep == 0
            && let Some(element) = self.open.last_mut()
        {
            element.push_reference(name);
        }
    }

    fn close(&mut self) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        self.take(true);
    }

    /// Ends the innermost element and puts what it says where it belongs. The key of a project that was cut is no key.
    fn take(&mut self, is_whole: bool) {
        let Some(mut element) = self.open.pop() else { return };
        match self.path.as_slice() {
            ["notice"] => {
                self.is_complete = is_whole;
                self.leaf(&mut element);
            }
            ["notice", "api-key"] => {
                if is_whole && self.api_key.is_none() {
                    self.api_key = Some(element.take_text().trim().to_owned());
                }
            }
            ["notice", "request", section @ ("params" | "session" | "cgi-data")] => {
                let value = element.take_value();
                self.section(section, value);
            }
            [.., "var"] => self.var(&mut element),
            _ => self.leaf(&mut element),
        }
        self.path.pop();
    }

    fn section(&mut self, section: &str, value: Tree<'a>) {
        if value.is_empty() {
            return;
        }
        self.has_request = true;
        if section == "cgi-data" {
            self.request.method = method_of(&value);
        }
        let field = match section {
            "params" => &mut self.request.params_json,
            "session" => &mut self.request.session_json,
            _ => &mut self.request.cgi_json,
        };
        match field {
            None => *field = Some(value.to_text()),
            Some(_) => self.unmapped.add(format!("request/{section}"), value),
        }
    }

    fn var(&mut self, element: &mut Element<'a>) {
        self.var_count += 1;
        if self.var_count > VARS_MAX {
            return;
        }
        let key = std::mem::take(&mut element.key);
        let value = element.take_value();
        if let Some(parent) = self.open.last_mut() {
            parent.vars.push((key, value));
        }
    }

    fn line(&mut self, tag: &Tag<'a>) {
        let Some(error) = self.errors.last().filter(|_| self.line_count < LINES_MAX) else {
            self.dropped_lines += 1;
            return;
        };
        self.line_count += 1;
        let at = error.frames.len();
        let mut frame = Frame::default();
        for (attribute, value) in tag.attributes() {
            let taken = match attribute {
                "file" => set(&mut frame.file, &value),
                "method" | "method_name" => set(&mut frame.function, &value),
                "number" => {
                    frame.line = value.trim().parse().ok();
                    frame.line.is_some()
                }
                "column" => {
                    frame.column = value.trim().parse().ok();
                    frame.column.is_some()
                }
                _ => false,
            };
            if !taken {
                self.unmapped.add(format!("error/backtrace/line[{at}]@{attribute}"), Tree::Text(value));
            }
        }
        if let Some(error) = self.errors.last_mut() {
            error.frames.push(frame);
        }
    }

    /// A text at the end of a path: a field, or kept under its path.
    fn leaf(&mut self, element: &mut Element<'a>) {
        let vars = std::mem::take(&mut element.vars);
        let text = element.take_text();
        let path = self.path.get(1..).unwrap_or_default();
        let vars = match path {
            // PHP's client for Errbit has them as `var`s.
            ["current-user" | "user-attributes"] => read_user(&mut self.user, vars),
            _ => vars,
        };
        if !vars.is_empty() {
            self.unmapped.add(below_root(&self.path), Tree::map(vars));
        }
        if text.trim().is_empty() {
            return;
        }
        let is_taken = match path {
            ["notifier", "name"] => set(&mut self.notifier.name, text.trim()),
            ["notifier", "version"] => set(&mut self.notifier.version, text.trim()),
            ["notifier", "url"] => set(&mut self.notifier.url, text.trim()),
            ["error", "class"] => self.errors.last_mut().is_some_and(|error| set(&mut error.class, text.trim())),
            ["error", "message"] => self.errors.last_mut().is_some_and(|error| set(&mut error.message, &text)),
            ["request", "url"] => set(&mut self.request.url, text.trim()),
            ["request", "component" | "controller"] => set(&mut self.request.component, text.trim()),
            ["request", "action"] => set(&mut self.request.action, text.trim()),
            ["server-environment", "project-root"] => set(&mut self.server.root, text.trim()),
            ["server-environment", "environment-name" | "environment"] => set(&mut self.environment, text.trim()),
            ["server-environment", "app-version" | "app_version"] => set(&mut self.release, text.trim()),
            ["server-environment", "hostname" | "host-name"] => set(&mut self.server.hostname, text.trim()),
            ["current-user" | "user-attributes", "id"] => set(&mut self.user.id, text.trim()),
            ["current-user" | "user-attributes", "name"] => set(&mut self.user.name, text.trim()),
            ["current-user" | "user-attributes", "username"] => set(&mut self.user.username, text.trim()),
            ["current-user" | "user-attributes", "email"] => set(&mut self.user.email, text.trim()),
            _ => false,
        };
        if !is_taken {
            self.unmapped.add(below_root(&self.path), Tree::Text(text));
        }
    }

    fn finish(mut self, end: End) -> Result<Parsed, ParseError> {
        if !self.has_root {
            return Err(malformed("the body is not XML: it has no `notice` element"));
        }
        let has_content = self.errors.iter().any(|error| *error != Error::default());
        let salvaged = match end {
            End::Whole if !self.errors.is_empty() => false,
            End::Whole => return Err(ParseError::MissingErrors("the notice has no `error` element")),
            End::Cut if self.api_key.is_some() => {
                self.notes.push("the document was cut: what came before the cut was kept".to_owned());
                true
            }
            End::Broken(what) if self.api_key.is_some() && has_content => {
                self.notes.push(format!("the XML is broken ({what}): what came before was kept"));
                true
            }
            End::Cut => return Err(malformed("the XML ends before the `api-key` does")),
            End::Broken(what) => return Err(malformed(format!("the XML is not well-formed: {what}"))),
        };
        self.too_deep = 0;
        while !self.open.is_empty() {
            self.take(false);
        }
        self.note_dropped();
        Ok(self.into_parsed(salvaged))
    }

    fn note_dropped(&mut self) {
        if self.dropped_deep > 0 {
            self.notes.push(format!("{} elements nested deeper than {DEPTH_MAX} were dropped", self.dropped_deep));
        }
        if self.dropped_lines > 0 {
            self.notes.push(format!("{} lines of the backtrace beyond {LINES_MAX} were dropped", self.dropped_lines));
        }
        if self.var_count > VARS_MAX {
            self.notes.push(format!("{} `var`s beyond {VARS_MAX} were dropped", self.var_count - VARS_MAX));
        }
    }

    fn into_parsed(mut self, salvaged: bool) -> Parsed {
        let unmapped_json = self.unmapped.finish(&mut self.notes);
        let request = &self.request;
        let has_request =
            self.has_request || request.url.is_some() || request.component.is_some() || request.action.is_some();
        let notice = Notice {
            protocol: "hoptoad-xml".to_owned(),
            notifier: filled(self.notifier),
            environment: self.environment,
            release: self.release,
            errors: if self.errors.is_empty() { vec![Error::default()] } else { self.errors },
            request: has_request.then_some(self.request),
            user: filled(self.user),
            server: filled(self.server),
            unmapped_json,
            notes: self.notes,
            ..Notice::default()
        };
        Parsed { notice, api_key: self.api_key.filter(|key| !key.is_empty()), project_id: None, salvaged }
    }
}

/// Takes what is known of a user out of the `var`s.
fn read_user<'a>(user: &mut User, mut vars: Vars<'a>) -> Vars<'a> {
    vars.retain(|(key, value)| {
        let field = match &**key {
            "id" => &mut user.id,
            "name" => &mut user.name,
            "username" => &mut user.username,
            "email" => &mut user.email,
            _ => return true,
        };
        !value.scalar().is_some_and(|text| set(field, text.trim()))
    });
    vars
}

/// The path as a key for what has no field: without the root, which is the same for all; `#text` for the root itself.
fn below_root(path: &[&str]) -> String {
    match path {
        [_] => "#text".to_owned(),
        path => path.get(1..).unwrap_or_default().join("/"),
    }
}

/// The part, unless nothing is in it.
fn filled<T: Default + PartialEq>(part: T) -> Option<T> {
    (part != T::default()).then_some(part)
}

/// Sets a field that is not set; an empty text leaves it unset. Says whether the text needs no other place.
fn set(field: &mut Option<String>, text: &str) -> bool {
    if field.is_none() && !text.is_empty() {
        *field = Some(text.to_owned());
        return true;
    }
    text.is_empty()
}

fn method_of(cgi: &Tree<'_>) -> Option<String> {
    let Tree::Map(entries) = cgi else { return None };
    let (_, method) = entries.iter().find(|(key, _)| key == "REQUEST_METHOD")?;
    method.scalar().filter(|method| !method.is_empty() && method.len() <= 20).map(str::to_owned)
}
