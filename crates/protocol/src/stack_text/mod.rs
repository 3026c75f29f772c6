//! Stack traces as text, in the form of each language, to errors with frames.
//!
//! What is promised: no text makes it panic or recurse, its time is linear in the text, what comes out is bounded, and every
//! line of the text is in an error, in [`StackText::rest`], or only says again what is there already.

mod chain;
mod dotnet;
mod frames;
mod go;
mod java;
mod javascript;
mod line;
mod php;
mod python;
mod ruby;
mod rust;

use std::borrow::Cow;
use std::cmp::Reverse;

use notice::Error;

use chain::Found;
pub(crate) use python::split_module;

/// Most frames that are put in where a text only counts them (`... 12 more`, `[Previous line repeated 197 more times]`).
pub const FILLED_FRAMES_MAX: usize = 2_000;

/// Errors that a text told of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StackText {
    /// The form that it had: `python`, `java`, …
    pub language: &'static str,
    /// The raised one first, then its causes and whatever else hangs on it. Frames are innermost first.
    pub errors: Vec<Error>,
    /// Lines that say something that no error takes.
    pub rest: String,
    /// What was dropped, in words for the notes of a notice.
    pub notes: Vec<String>,
    /// How many of the frames are repeats that the text only counts.
    pub filled_count: usize,
}

/// Reads the stack trace of a program in this language; of any, when it is unknown or the text is not of its form.
///
/// `None` when there is no frame in it: then the text is the best that there is.
pub fn read(text: &str, language: Option<&str>) -> Option<StackText> {
    read_within(text, language, FILLED_FRAMES_MAX)
}

/// Like [`read`], with at most so many frames put in where the text only counts them.
pub(crate) fn read_within(text: &str, language: Option<&str>, filled_max: usize) -> Option<StackText> {
    let plain = without_colours(text);
    let named = language.and_then(form_of);
    let mut best: Option<(&Form, Found)> = None;
    for form in named.into_iter().chain(FORMS.iter().filter(|form| named.is_none_or(|named| named.name != form.name))) {
        let found = (form.read)(&plain, filled_max);
        if found.frame_count > 0 && best.as_ref().is_none_or(|(_, best)| is_better(&found, best)) {
            let is_sure = found.rest.is_empty() && named.is_some_and(|named| named.name == form.name);
            best = Some((form, found));
            if is_sure {
                break;
            }
        }
    }
    let (form, found) = best?;
    let mut notes = found.notes;
    if plain.len() < text.len() {
        notes.push("stack trace: codes of colours were taken out".to_owned());
    }
    Some(StackText {
        language: form.name,
        errors: found.errors,
        rest: found.rest,
        notes,
        filled_count: found.filled_count,
    })
}

/// How one language writes stack traces.
struct Form {
    name: &'static str,
    read: fn(&str, usize) -> Found,
}

/// All forms. Of two that understand a text equally well the first one counts.
const FORMS: [Form; 8] = [
    Form { name: "python", read: python::read },
    Form { name: "rust", read: rust::read },
    Form { name: "ruby", read: ruby::read },
    Form { name: "go", read: go::read },
    Form { name: "php", read: php::read },
    Form { name: "dotnet", read: dotnet::read },
    Form { name: "java", read: java::read },
    Form { name: "javascript", read: javascript::read },
];

/// The form of a language, by the names that clients have for it.
fn form_of(language: &str) -> Option<&'static Form> {
    let name = match language.trim().to_ascii_lowercase().as_str() {
        "python" => "python",
        "rust" => "rust",
        "ruby" | "jruby" => "ruby",
        "go" | "golang" => "go",
        "php" => "php",
        "dotnet" | ".net" | "csharp" | "c#" | "fsharp" | "f#" | "vb" => "dotnet",
        "java" | "kotlin" | "scala" | "groovy" | "clojure" | "android" | "jvm" => "java",
        "javascript" | "typescript" | "js" | "node" | "nodejs" | "node.js" | "webjs" | "deno" | "bun" => "javascript",
        _ => return None,
    };
    FORMS.iter().find(|form| form.name == name)
}

/// Whether it understood more: more frames, and with as many of them fewer lines that it could not place.
fn is_better(found: &Found, best: &Found) -> bool {
    let understood = |found: &Found| (found.frame_count, Reverse(found.rest.len()));
    understood(found) > understood(best)
}

/// The text without the codes by which terminals colour it.
fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains("\u{1b}[") {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split("\u{1b}[");
    let mut plain = String::with_capacity(text.len());
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|end: char| !matches!(end, '0'..='9' | ';' | ':' | '?'));
        plain.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or_default());
    }
    Cow::Owned(plain)
}
