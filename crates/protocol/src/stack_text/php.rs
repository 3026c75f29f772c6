//! PHP: an exception as a string, its trace alone, and how frameworks log it.
//!
//! ```text
//! Shop\PaymentDeclined: card declined in /srv/shop/app/shop.php:17
//! Stack trace:
//! #0 /srv/shop/app/shop.php(22): Shop\Cart->charge(4000)
//! #1 {main}
//!
//! Next Shop\CheckoutError: checkout failed in /srv/shop/app/shop.php:66
//! ```
//!
//! Causes come first. A line says which function was called at a place; a frame says in which function the place is.

use notice::Frame;

use super::chain::{Chain, Found, Relation};
use super::line::{Place, arguments, class_and_message, is_name, number};

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut reader = Reader {
        chain: Chain::new(filled_max),
        header: Vec::new(),
        place: (None, None),
        is_raised_first: false,
        state: State::Header,
    };
    for line in text.lines() {
        reader.line(line);
    }
    reader.end_frames();
    reader.header.iter().for_each(|line| reader.chain.keep(line));
    let root = if reader.is_raised_first { Some(0) } else { reader.chain.last() };
    reader.chain.finish(root)
}

struct Reader<'a> {
    chain: Chain,
    /// Lines of a header that may not be whole.
    header: Vec<&'a str>,
    /// Where the function of the next line was called from.
    place: (Option<String>, Option<u32>),
    /// Whether the raised error comes first, as logs have it.
    is_raised_first: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    /// The next line is the first call.
    Begun,
    Frames,
}

impl<'a> Reader<'a> {
    fn line(&mut self, line: &'a str) {
        if let Some(call) = read_call(line) {
            self.call(&call);
        } else if line == "Stack trace:" || line == "[stacktrace]" {
            self.begin();
        } else if self.state == State::Frames && line.starts_with("  thrown in ") {
            // As the header said.
        } else if self.state != State::Frames {
            self.header.push(line);
        } else if line.starts_with("Next ") || line.starts_with("[previous exception] ") {
            self.end_frames();
            self.header.push(line);
        } else if let Some(line) = Some(line).filter(|line| !line.trim().is_empty() && *line != "\"}") {
            self.chain.keep(line);
        }
    }

    /// The header is whole, and frames follow.
    fn begin(&mut self) {
        self.end_frames();
        let lines = std::mem::take(&mut self.header);
        let start = lines.iter().position(|line| !line.trim().is_empty()).unwrap_or(lines.len());
        let whole = lines[start..].join("\n");
        let header = Header::read(whole.trim_end());
        let before = self.chain.last();
        self.is_raised_first |= header.is_logged;
        let relation = Relation::Cause;
        let at = self.chain.add(before.filter(|_| self.is_raised_first).map(|before| (before, relation)));
        if let Some(before) = before.filter(|_| !self.is_raised_first) {
            self.chain.hang(before, at, relation);
        }
        let node = self.chain.node(at);
        node.class = header.class.map(str::to_owned);
        header.message.clone_into(&mut node.message);
        self.place = (header.place.map(|place| place.file.to_owned()), header.place.map(|place| place.line));
        self.state = State::Begun;
    }

    fn call(&mut self, call: &Call<'_>) {
        if self.state == State::Header {
            self.header.iter().for_each(|line| self.chain.keep(line));
            self.header.clear();
            self.chain.add(None);
        }
        self.state = State::Frames;
        let at = self.chain.last_or_first();
        let (file, line) = std::mem::replace(&mut self.place, (call.file.map(str::to_owned), call.line));
        let in_app = file.is_none().then_some(false).filter(|_| call.function != "{main}");
        let function = Some(call.function.to_owned());
        self.chain
            .push(at, Frame { file, line, function, in_app, vars_json: arguments(call.arguments), ..Frame::default() });
    }

    /// A trace that does not end in `{main}` has one more place.
    fn end_frames(&mut self) {
        let (file, line) = std::mem::take(&mut self.place);
        if self.state != State::Header && file.is_some() {
            let at = self.chain.last_or_first();
            self.chain.push(at, Frame { file, line, ..Frame::default() });
        }
        self.state = State::Header;
    }
}

/// What stands before a trace.
struct Header<'a> {
    class: Option<&'a str>,
    message: &'a str,
    place: Option<Place<'a>>,
    is_logged: bool,
}

impl<'a> Header<'a> {
    /// `PHP Fatal error:  Uncaught Shop\Declined: message in /srv/shop.php:17`, `[object] (Shop\Declined(code: 0): message at /srv/shop.php:17)`
    fn read(text: &'a str) -> Header<'a> {
        let logged = text.split_once("[object] (").and_then(|(_, header)| header.strip_suffix(')'));
        if let Some((header, place)) = logged.and_then(|header| header.rsplit_once(" at ")) {
            let (class, rest) = header.split_once("(code: ").unwrap_or((header, ""));
            let message = rest.split_once("): ").map_or("", |(_, message)| message);
            return Header { class: Some(class), message, place: Place::read(place), is_logged: true };
        }
        let text = text.strip_prefix("Next ").unwrap_or(text);
        let text = ["PHP Fatal error:  Uncaught ", "Fatal error: Uncaught "]
            .iter()
            .find_map(|mark| text.strip_prefix(mark))
            .unwrap_or(text);
        let (text, place) = match text.rsplit_once(" in ").map(|(text, place)| (text, Place::read(place))) {
            Some((text, Some(place))) if !place.file.contains('\n') => (text, Some(place)),
            _ => (text, None),
        };
        // Of a call that is at fault the place of the function is told, too.
        let text = text.strip_suffix(" and defined").unwrap_or(text);
        // As PHP 5 wrote it.
        if let Some((class, message)) = text.strip_prefix("exception '").and_then(|text| text.split_once('\'')) {
            let message = message.strip_prefix(" with message '").and_then(|message| message.strip_suffix('\''));
            return Header { class: Some(class), message: message.unwrap_or_default(), place, is_logged: false };
        }
        // The name of an anonymous class ends in a NUL and where it stands.
        let (name, rest) = match text.split_once('\0') {
            Some((name, rest)) => (name, rest.split_once(": ").map_or("", |(_, message)| message)),
            None => ("", text),
        };
        if !name.is_empty() {
            return Header { class: Some(name), message: rest, place, is_logged: false };
        }
        let (class, message) = class_and_message(text, |class| is_name(class, &['\\', '@']));
        Header { class, message, place, is_logged: false }
    }
}

/// One line of a trace.
struct Call<'a> {
    file: Option<&'a str>,
    line: Option<u32>,
    function: &'a str,
    arguments: &'a str,
}

/// `#0 /srv/shop/app/shop.php(22): Shop\Cart->charge(4000)`, `#1 [internal function]: f()`, `#2 {main}`
fn read_call(line: &str) -> Option<Call<'_>> {
    let (count, rest) = line.strip_prefix('#')?.split_once(' ')?;
    number(count)?;
    let rest = rest.trim_end();
    if rest == "{main}" {
        return Some(Call { file: None, line: None, function: rest, arguments: "" });
    }
    if let Some(call) = rest.strip_prefix("[internal function]: ") {
        let (function, arguments) = read_function(call);
        return Some(Call { file: None, line: None, function, arguments });
    }
    let (place, call) = rest.split_once("): ")?;
    let (file, line) = place.rsplit_once('(')?;
    let (function, arguments) = read_function(call);
    Some(Call { file: Some(file), line: Some(number(line)?), function, arguments })
}

/// `Shop\Cart->charge(4000)` in function and arguments. The name of a closure can have brackets: `{closure:Shop\pay():12}(1)`.
fn read_function(call: &str) -> (&str, &str) {
    let name_end = call.find("{closure:").and_then(|start| call[start..].find('}').map(|end| start + end)).unwrap_or(0);
    let Some(bracket) = call[name_end..].find('(').map(|at| name_end + at) else { return (call, "") };
    let values = &call[bracket + 1..];
    (&call[..bracket], values.strip_suffix(')').unwrap_or(values))
}
