//! What makes two notices one group.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::class_name::class_name;
use crate::stack::places;
use crate::template::template;
use crate::{Error, Notice, place};

/// Which rules made a fingerprint; stored beside it, because fingerprints of two versions do not compare.
pub const FINGERPRINT_VERSION: u8 = 3;

/// Classes that a client writes when there is none: the message is all that tells such errors apart.
const PLACEHOLDER_CLASSES: [&str; 1] = ["PHP::Error"];

/// What in a client's own fingerprint stands for the one that we would make, in any spacing.
const DEFAULT_MARK: &str = "{{default}}";

/// By which rules a project wants its notices grouped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Class and frames, else class and message without variables.
    #[default]
    Default,
    /// As Hoptoad did it: class, component, action, environment, and the line it happened in.
    Hoptoad,
}

/// The identity of a group, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// A hash over the parts.
    pub hash: [u8; 16],
    /// The rules that it was made by: [`FINGERPRINT_VERSION`].
    pub version: u8,
    /// What went into the hash, in words for the page of the group.
    pub parts: Vec<Part>,
}

/// One thing that notices must share to be one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What kind of thing it is: `class`, `frame`, `message`, …
    pub name: String,
    /// The thing.
    pub value: String,
}

/// The fingerprint of a normalised and scrubbed notice.
pub fn fingerprint(notice: &Notice, grouping: Grouping) -> Fingerprint {
    let mut parts = Vec::new();
    if notice.client_fingerprint.is_empty() {
        parts = parts_by(notice, grouping);
    }
    for part in &notice.client_fingerprint {
        if part.split_whitespace().collect::<String>() == DEFAULT_MARK {
            parts.extend(parts_by(notice, grouping));
        } else {
            parts.push(Part::new("client", part.as_str()));
        }
    }
    Fingerprint { hash: hash(&parts), version: FINGERPRINT_VERSION, parts }
}

fn parts_by(notice: &Notice, grouping: Grouping) -> Vec<Part> {
    match grouping {
        Grouping::Default => default_parts(notice),
        Grouping::Hoptoad => hoptoad_parts(notice),
    }
}

/// Class and places, told so that every client of a language comes to the same. The message takes part, without its variables, only where these tell too little: it changes most.
fn default_parts(notice: &Notice) -> Vec<Part> {
    let Some(error) = notice.errors.first() else { return Vec::new() };
    let class = class_name(error);
    let places = places(error, root_of(notice));
    let is_named = !class.is_empty() && !PLACEHOLDER_CLASSES.contains(&&*class);
    let mut parts = vec![Part::new("class", class)];
    let is_placed = places.iter().any(|place| place.has_function);
    if !is_named || !is_placed {
        parts.push(Part::new("message", message_of(error)));
    }
    parts.extend(places.into_iter().map(|place| Part::new("frame", place.text)));
    parts
}

fn hoptoad_parts(notice: &Notice) -> Vec<Part> {
    let error = notice.errors.first();
    let request = notice.request.as_ref();
    let mut parts = vec![Part::new("class", error.and_then(|error| error.class.as_deref()).unwrap_or_default())];
    for (name, value) in [
        ("component", request.and_then(|request| request.component.as_deref())),
        ("action", request.and_then(|request| request.action.as_deref())),
        ("environment", notice.environment.as_deref()),
    ] {
        parts.push(Part::new(name, value.unwrap_or_default()));
    }
    let frames = error.map(|error| error.frames.as_slice()).unwrap_or_default();
    match frames.iter().find(|frame| frame.in_app == Some(true)).or_else(|| frames.first()) {
        Some(top) => {
            let line = top.line.map(|line| line.to_string()).unwrap_or_default();
            parts.push(Part::new("line", format!("{}:{line}", place::file(top, root_of(notice)))));
        }
        // Hoptoad had nothing more to go by and put every message of a class into one group.
        None => {
            parts.push(Part::new("message", error.map(message_of).unwrap_or_default()));
        }
    }
    parts
}

/// The message without its variables.
fn message_of(error: &Error) -> Cow<'_, str> {
    template(error.message.as_deref().unwrap_or_default())
}

fn root_of(notice: &Notice) -> Option<&str> {
    notice.server.as_ref().and_then(|server| server.root.as_deref())
}

fn hash(parts: &[Part]) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update([FINGERPRINT_VERSION]);
    for part in parts {
        for text in [&part.name, &part.value] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
    }
    let mut short = [0; 16];
    short.copy_from_slice(&hash.finalize()[..16]);
    short
}

impl Part {
    fn new<'a>(name: &str, value: impl Into<Cow<'a, str>>) -> Part {
        Part { name: name.to_owned(), value: value.into().into_owned() }
    }
}
