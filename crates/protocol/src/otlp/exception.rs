//! `exception.*`: the error, and its stack trace as text.

use std::borrow::Cow;

use notice::Error;
use notice::json_tree::Tree;

use super::record::{Entries, Event};
use crate::stack_text::{self, StackText};

/// What the event of an exception is called.
pub(super) const NAME: &str = "exception";

/// The attributes of an exception.
#[derive(Default)]
pub(super) struct Exception<'a> {
    pub(super) class: Option<Tree<'a>>,
    pub(super) message: Option<Tree<'a>>,
    pub(super) stack: Option<Tree<'a>>,
    pub(super) escaped: Option<Tree<'a>>,
}

/// Whether an event of a span tells of an exception. Rust's SDK gives it the text of the log for a name.
pub(super) fn is_told_by(event: &Event<'_>) -> bool {
    let tells = |key: &str| matches!(key, "exception.type" | "exception.message" | "exception.stacktrace");
    event.name == NAME || event.attributes.iter().any(|(key, _)| tells(key))
}

/// What an exception says.
#[derive(Default)]
pub(super) struct Told<'a> {
    /// The raised one first.
    pub(super) errors: Vec<Error>,
    /// What no error takes.
    pub(super) extra: Entries<'a>,
    pub(super) notes: Vec<String>,
    /// The language of its stack trace.
    pub(super) language: Option<&'static str>,
    /// How many frames were put in that the text only counts.
    pub(super) filled_count: usize,
}

impl<'a> Exception<'a> {
    /// Takes the attribute, unless it is none of an exception's; then it is given back.
    pub(super) fn take(&mut self, key: &str, value: Tree<'a>) -> Option<Tree<'a>> {
        let field = match key {
            "exception.type" => &mut self.class,
            "exception.message" => &mut self.message,
            "exception.stacktrace" => &mut self.stack,
            "exception.escaped" if escaped(&value).is_some() => &mut self.escaped,
            _ => return Some(value),
        };
        if field.is_some() {
            return Some(value);
        }
        *field = Some(value);
        None
    }

    /// The class, the message and the stack trace as they are on the wire.
    pub(super) fn identity(&self) -> [Cow<'_, str>; 3] {
        [&self.class, &self.message, &self.stack].map(|part| match part {
            Some(Tree::Text(text)) => Cow::Borrowed(&**text),
            Some(other) => Cow::Owned(other.to_text()),
            None => Cow::Borrowed(""),
        })
    }

    /// Reads the stack trace of a program in this language. What the attributes say counts before what the text says.
    pub(super) fn tell(self, language: Option<&str>, filled_max: usize) -> Told<'a> {
        let mut told = Told::default();
        let read =
            self.stack.as_ref().and_then(stack_of).and_then(|text| {
                stack_text::read_within(&text, language, filled_max.min(stack_text::FILLED_FRAMES_MAX))
            });
        match read {
            Some(StackText { language, errors, rest, notes, filled_count }) => {
                told = Told { errors, notes, language: Some(language), filled_count, ..told };
                if !rest.is_empty() {
                    told.extra.push((Cow::Borrowed("exception.stacktrace.rest"), Tree::Text(Cow::Owned(rest))));
                }
            }
            None => {
                told.errors.push(Error::default());
                let stack = self.stack.filter(|stack| !stack.is_empty());
                told.extra.extend(stack.map(|stack| (Cow::Borrowed("exception.stacktrace"), stack)));
            }
        }
        let is_python = [told.language, language].contains(&Some("python"));
        let is_javascript = told.language == Some("javascript");
        if let Some(error) = told.errors.first_mut() {
            let class = match self.class {
                Some(code) if is_javascript && is_same_message(error, self.message.as_ref()) && is_code(&code) => {
                    told.extra.push((Cow::Borrowed("exception.type"), code));
                    None
                }
                class => class,
            };
            set_class(error, class, is_python, &mut told.extra);
            set_message(error, self.message, is_python, &mut told.extra);
            error.handled = self.escaped.as_ref().and_then(escaped).map(|escaped| !escaped);
        }
        told
    }
}

/// Whether the exception left the span. Python says it in words.
fn escaped(value: &Tree<'_>) -> Option<bool> {
    match value.scalar()?.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// The text of a stack trace; of a list each is a line.
fn stack_of<'t>(stack: &'t Tree<'_>) -> Option<Cow<'t, str>> {
    match stack {
        Tree::Text(text) => Some(Cow::Borrowed(text)),
        Tree::List(lines) => {
            let lines: Option<Vec<&str>> = lines.iter().map(Tree::scalar).collect();
            Some(Cow::Owned(lines?.join("\n")))
        }
        _ => None,
    }
}

/// Python has the module before the class; its logs leave it out, and only the text has it.
fn set_class<'a>(error: &mut Error, told: Option<Tree<'a>>, is_python: bool, extra: &mut Entries<'a>) {
    let Some(told) = told.filter(|told| !told.is_empty()) else { return };
    let Some(whole) = told.scalar() else {
        extra.push((Cow::Borrowed("exception.type"), told));
        return;
    };
    if !is_python && error.class.as_deref().is_some_and(|in_text| says_more(in_text, whole)) {
        return;
    }
    let (module, class) = if is_python { stack_text::split_module(whole) } else { (None, whole) };
    if let Some(in_text) = error.class.take()
        && !is_same_class(&in_text, class)
    {
        // With a module of its own it is another class altogether.
        let in_text = error.module.take().map_or(in_text.clone(), |module| format!("{module}.{in_text}"));
        extra.push((Cow::Borrowed("exception.stacktrace.type"), Tree::Text(Cow::Owned(in_text))));
    }
    if let Some(module) = module {
        error.module = Some(module.to_owned());
    }
    error.class = Some(class.to_owned());
}

/// Whether it is the code of an error and no class: JavaScript's SDK sends `error.code` (`ENOENT`, `51`, `auth/user-not-found`) in place of
/// the name where there is one, and only the text still has the name. Names begin with a capital and go on with small letters.
fn is_code(told: &Tree<'_>) -> bool {
    let Tree::Text(text) = told else { return false };
    let is_capital = text.starts_with(|first: char| first.is_uppercase() || matches!(first, '_' | '$'));
    let is_name = is_capital && text.contains(char::is_lowercase);
    !text.is_empty() && !is_name
}

/// Whether the text names a class, and says of it what the attribute says.
fn is_same_message(in_text: &Error, told: Option<&Tree<'_>>) -> bool {
    let told = told.and_then(Tree::scalar).unwrap_or_default();
    in_text.class.is_some() && in_text.message.as_deref().unwrap_or_default().trim_end() == told.trim_end()
}

/// Whether both name the same class: libraries for PHP have dots in the text, and backslashes in the attribute.
fn is_same_class(one: &str, other: &str) -> bool {
    one == other || (one.contains('.') && one == other.replace('\\', "."))
}

/// Whether the text names the class with more of where it is. The logs of .NET leave out the namespace, and Java's spans write the
/// canonical name: `PaymentDeclined` and `shop.Cart.Declined`, where the text has `Shop.PaymentDeclined` and `shop.Cart$Declined`.
fn says_more(in_text: &str, told: &str) -> bool {
    let [plain, told] = [in_text, told].map(|class| class.replace(['$', '+'], "."));
    plain.strip_suffix(&told).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Python's logs have the first argument of the exception for a message: `2`, where the text has `[Errno 2] No such file or directory`.
fn set_message<'a>(error: &mut Error, told: Option<Tree<'a>>, is_python: bool, extra: &mut Entries<'a>) {
    let Some(told) = told.filter(|told| !told.is_empty()) else { return };
    let is_argument = |text: &str| {
        let in_text = error.message.as_deref().map(str::trim_end);
        in_text.is_some_and(|in_text| is_python && in_text != text.trim_end() && in_text.contains(text))
    };
    let Some(message) = told.scalar().filter(|text| !is_argument(text)) else {
        extra.push((Cow::Borrowed("exception.message"), told));
        return;
    };
    if let Some(in_text) = error.message.replace(message.to_owned())
        && in_text.trim_end() != message.trim_end()
    {
        extra.push((Cow::Borrowed("exception.stacktrace.message"), Tree::Text(Cow::Owned(in_text))));
    }
}
