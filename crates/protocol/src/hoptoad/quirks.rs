//! What single clients do that no schema says, put right.

use std::borrow::Cow;

use notice::json_tree::{self, Tree};
use notice::{CodeLine, Error, Frame, Notice};

use super::text::unescape;
use crate::message::without_class;
use crate::{frame_address, frame_order};

/// What airbrake-java writes before the message of a cause.
const CAUSED_BY: &str = "Caused by";

/// airbrake-java, and what it was called before.
const OF_JAVA: [&str; 2] = ["airbrake-java", "hoptoad"];

/// Clients for Python that write the line of code behind the function: `charge: raise Declined(card)`.
const CODE_BEHIND_FUNCTION: [&str; 2] = ["airbrakepy", "django-airbrake"];

/// The client for PHP that begins with the place of the error, in a function of no name.
const ERRBIT_PHP: &str = "errbit-php";
const NO_FUNCTION: &str = "<unknown>";

/// The older client for .NET, which writes the class without its namespace before the message.
const SHARPBRAKE: &str = "sharpbrake";

/// What other clients for Java write before a cause: the Android notifier for a file, errbit-java for a method that has no file.
const CAUSE_OF_FILE: &str = "### CAUSED BY ###: ";
const CAUSE_OF_METHOD: &str = "Caused by: ";

/// The document with its lines written as XML wants them.
///
/// airbrake-java puts the messages of causes into attributes as they are. With an odd number of quotes in one, as in
/// `Cannot invoke "Cart.items()" because …`, nothing behind it could be read.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    const LINE: &str = "<line method=\"";
    if !["airbrake-java", "<name>hoptoad<", "[hoptoad]"].iter().any(|name| text.contains(name)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut copied = 0;
    for (at, _) in text.match_indices(LINE) {
        let start = at + LINE.len();
        let line = &text[start..];
        if start < copied || !line.starts_with(CAUSED_BY) {
            continue;
        }
        let Some(end) = line.find("\"/>") else { break };
        let Some((method, rest)) = line[..end].split_once("\" file=\"") else { continue };
        let Some((file, number)) = rest.rsplit_once("\" number=\"") else { continue };
        if [method, file].iter().any(|value| value.contains(['"', '<'])) {
            let [method, file] = [method, file].map(|value| value.replace('"', "&quot;").replace('<', "&lt;"));
            out.push_str(&text[copied..start]);
            out.push_str(&format!("{method}\" file=\"{file}\" number=\"{number}"));
            copied = start + end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// Puts right what the notice's client is known to do.
pub(super) fn repair(notice: &mut Notice) {
    let notifier = notice.notifier.as_ref().and_then(|notifier| notifier.name.as_deref()).unwrap_or_default();
    let notifier = notifier.to_ascii_lowercase();
    let is_of_java = OF_JAVA.contains(&&*notifier);
    if is_of_java {
        decode_again(notice);
    }
    causes_from_lines(notice, is_of_java);
    if is_of_java {
        forget_no_files(notice);
    }
    if CODE_BEHIND_FUNCTION.contains(&&*notifier) {
        notice.errors.iter_mut().flat_map(|error| &mut error.frames).for_each(take_code);
    }
    if notifier == ERRBIT_PHP {
        notice.errors.iter_mut().for_each(place_of_throw);
    }
    frame_order::repair(notice);
    notice.errors.iter_mut().flat_map(|error| &mut error.frames).for_each(frame_address::take_out);
    notice.errors.iter_mut().for_each(without_class);
    if notifier == SHARPBRAKE {
        notice.errors.iter_mut().for_each(without_short_class);
    }
    let Some(error) = notice.errors.first_mut() else { return };
    thrown_at_from_message(error, notifier.contains("php"));
}

/// airbrake-java escapes text and puts it into CDATA, so that readers see `&#220;berlauf`.
fn decode_again(notice: &mut Notice) {
    let mut changed = false;
    {
        let mut decode = |text: Option<&mut String>| {
            if let Some(text) = text
                && let Cow::Owned(decoded) = unescape(text)
                && decoded != *text
            {
                *text = decoded;
                changed = true;
            }
        };
        for error in &mut notice.errors {
            decode(error.class.as_mut());
            decode(error.message.as_mut());
            for frame in &mut error.frames {
                decode(frame.file.as_mut());
                decode(frame.function.as_mut());
            }
        }
        decode(notice.environment.as_mut());
        decode(notice.release.as_mut());
        if let Some(user) = &mut notice.user {
            for text in [&mut user.id, &mut user.name, &mut user.username, &mut user.email] {
                decode(text.as_mut());
            }
        }
        if let Some(server) = &mut notice.server {
            decode(server.hostname.as_mut());
            decode(server.root.as_mut());
        }
        if let Some(request) = &mut notice.request {
            for text in [&mut request.url, &mut request.component, &mut request.action] {
                decode(text.as_mut());
            }
        }
    }
    if let Some(request) = &mut notice.request {
        for json in [&mut request.params_json, &mut request.session_json, &mut request.cgi_json] {
            changed |= decode_json(json);
        }
    }
    changed |= decode_json(&mut notice.unmapped_json);
    if changed {
        notice.notes.push("text that the client escaped twice was decoded".to_owned());
    }
}

fn decode_json(json: &mut Option<String>) -> bool {
    let Some(text) = json.as_deref().filter(|text| text.contains('&')) else { return false };
    let Ok(mut read) = json_tree::read(text) else { return false };
    decode_tree(&mut read.tree);
    let decoded = read.tree.to_text();
    let changed = decoded != text;
    *json = Some(decoded);
    changed
}

fn decode_tree(tree: &mut Tree<'_>) {
    match tree {
        Tree::Text(text) => *text = Cow::Owned(unescape(text).into_owned()),
        Tree::List(items) => items.iter_mut().for_each(decode_tree),
        Tree::Map(entries) => {
            for (key, value) in entries {
                *key = Cow::Owned(unescape(key).into_owned());
                decode_tree(value);
            }
        }
        Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
    }
}

/// Clients for Java write the message of a cause as a line of the backtrace; the lines that follow are the cause's.
fn causes_from_lines(notice: &mut Notice, is_of_java: bool) {
    let Some(outer) = notice.errors.first_mut() else { return };
    let mut causes: Vec<Error> = Vec::new();
    for frame in std::mem::take(&mut outer.frames) {
        match told_of(&frame).or_else(|| cause_of(&frame).filter(|_| is_of_java)) {
            // The client leaves out the line that tells of the outer error, but not always.
            Some(cause) if causes.is_empty() && outer.frames.is_empty() && is_the_same(&cause, outer) => {}
            None if causes.is_empty() && outer.frames.is_empty() && says_again(&frame, outer) => {}
            Some(cause) => {
                let words = [frame.function.as_deref(), frame.file.as_deref()].map(Option::unwrap_or_default);
                notice.notes.push(format!("a line of the backtrace was read as a cause: {} | {}", words[0], words[1]));
                causes.push(cause);
            }
            None => causes.last_mut().unwrap_or(outer).frames.push(frame),
        }
    }
    notice.errors.extend(causes);
}

/// Takes the line of code from behind the function's name. Where Python had none there is `None`.
fn take_code(frame: &mut Frame) {
    let Some((function, code)) = frame.function.as_deref().and_then(|text| text.split_once(": ")) else { return };
    let Some(line) = frame.line else { return };
    if code != "None" {
        frame.code.push(CodeLine { line, text: code.to_owned() });
    }
    frame.function = Some(function.to_owned());
}

/// Gives places their functions where the place of the error comes first, without one. A stack of nothing is written as an empty line.
fn place_of_throw(error: &mut Error) {
    error.frames.retain(|frame| *frame != Frame::default());
    if let Some(top) = error.frames.first_mut()
        && top.function.take_if(|function| function == NO_FUNCTION).is_some()
    {
        frame_order::move_functions_in(&mut error.frames);
    }
}

/// `Declined: no funds` of a `Shop.Declined` → `no funds`
fn without_short_class(error: &mut Error) {
    let (Some(class), Some(message)) = (error.class.as_deref(), &mut error.message) else { return };
    let name = class.rsplit('.').next().unwrap_or(class);
    if let Some(rest) = message.strip_prefix(name).and_then(|rest| rest.strip_prefix(": ")) {
        *message = rest.to_owned();
    }
}

/// airbrake-java writes `null-2)` for the file of a native method, and `null-1)` where it does not know one.
fn forget_no_files(notice: &mut Notice) {
    let frames = notice.errors.iter_mut().flat_map(|error| &mut error.frames);
    let mut names: Vec<String> = Vec::new();
    for frame in frames.filter(|frame| frame.line.is_none()) {
        if let Some(name) = frame.file.take_if(|file| matches!(&**file, "null-2)" | "null-1)" | "null"))
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    notice
        .notes
        .extend(names.into_iter().map(|name| format!("a file that the client did not know was left out: {name}")));
}

/// The error that a line of one of the other clients tells of: `java.io.IOException: no route`.
fn told_of(frame: &Frame) -> Option<Error> {
    let text = match (frame.file.as_deref(), frame.function.as_deref()) {
        _ if frame.line.is_some() => return None,
        (Some(file), _) => file.strip_prefix(CAUSE_OF_FILE),
        (None, method) => method?.strip_prefix(CAUSE_OF_METHOD),
    };
    let (class, message) = text?.split_once(": ").map_or((text?, None), |(class, message)| (class, Some(message)));
    Some(Error { class: Some(class.to_owned()), message: message.map(str::to_owned), ..Error::default() })
}

/// The error that the line tells of, if it is no line of code.
///
/// The client takes the text apart like a line of code: as method it writes what stands before
/// the first bracket, twice if there is no dot in it, as file what stands behind the last one.
fn cause_of(frame: &Frame) -> Option<Error> {
    let file = frame.file.as_deref().unwrap_or_default();
    let method = frame.function.as_deref().unwrap_or_default();
    if frame.line.is_some() {
        return None;
    }
    let text = if file.starts_with(CAUSED_BY) {
        file.to_owned()
    } else {
        let half = method.get(..method.len() / 2).unwrap_or_default();
        let method = if *method == format!("{half}.{half}") { half } else { method };
        if file.is_empty() { method.to_owned() } else { format!("{method}({file}") }
    };
    let text = text.strip_prefix(CAUSED_BY)?.trim_start_matches([':', ' ']);
    let is_class = |word: &str| word.contains('.') && !word.contains(' ') && !word.ends_with('.');
    let (class, message) = match text.split_once(' ') {
        Some((class, message)) if is_class(class.trim_end_matches(':')) => {
            (Some(class.trim_end_matches(':')), Some(message))
        }
        None if is_class(text) => (Some(text), None),
        _ => (None, Some(text)),
    };
    Some(Error { class: class.map(str::to_owned), message: message.map(str::to_owned), ..Error::default() })
}

/// Whether the line is the beginning of a trace that errbit-java sends with it: `Exception java.io.IOException: no route`.
fn says_again(frame: &Frame, outer: &Error) -> bool {
    let Some(text) = frame.function.as_deref().filter(|_| frame.file.is_none() && frame.line.is_none()) else {
        return false;
    };
    let [class, message] = [&outer.class, &outer.message].map(|part| part.as_deref().unwrap_or_default());
    text.strip_prefix("Exception ").and_then(|text| text.strip_prefix(class)?.strip_prefix(": ")) == Some(message)
}

/// Whether the line tells of the outer error itself. The client takes colons out of such lines.
fn is_the_same(cause: &Error, outer: &Error) -> bool {
    let plain = |text: Option<&String>| text.map(|text| text.replace(':', "")).unwrap_or_default();
    plain(cause.message.as_ref()) == plain(outer.message.as_ref())
}

/// PHP's notifier says in the message where the error was thrown, and its backtrace begins one call above.
fn thrown_at_from_message(error: &mut Error, is_php: bool) {
    let Some(message) = &mut error.message else { return };
    let Some((at, file, line)) = thrown_at(message) else { return };
    if !is_php && !file.ends_with(".php") {
        return;
    }
    let file = file.to_owned();
    message.truncate(at);
    let is_top = error.frames.first().is_some_and(|top| top.file.as_deref() == Some(&file) && top.line == Some(line));
    if is_top {
        return;
    }
    error.frames.insert(0, Frame { file: Some(file), line: Some(line), ..Frame::default() });
    frame_order::move_functions_in(&mut error.frames);
}

/// Where ` in FILE on line N` begins at the end of the message, the file and the line.
fn thrown_at(message: &str) -> Option<(usize, &str, u32)> {
    let (before, line) = message.rsplit_once(" on line ")?;
    let line = line.trim_end().parse().ok()?;
    let (_, file) = before.rsplit_once(" in ")?;
    let is_path = file.starts_with('/') || file.contains('\\') || file.contains(".php");
    (is_path && !file.contains('\n')).then_some((before.len() - file.len() - " in ".len(), file, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Error {
        Error { class: Some("Shop::Declined".into()), message: Some(text.into()), ..Error::default() }
    }

    #[test]
    fn the_place_in_a_php_message_becomes_the_top_frame() {
        let mut error = message("a in b in /srv/shop.php on line 8");
        error.frames.push(Frame {
            file: Some("/srv/drive.php".into()),
            line: Some(22),
            function: Some("Cart::charge".into()),
            ..Frame::default()
        });
        thrown_at_from_message(&mut error, true);
        assert_eq!(error.message.as_deref(), Some("a in b"));
        assert_eq!(error.frames.len(), 2);
        assert_eq!(error.frames[0].file.as_deref(), Some("/srv/shop.php"));
        assert_eq!(error.frames[0].function.as_deref(), Some("Cart::charge"));
        assert_eq!(error.frames[1].function, None);
    }

    #[test]
    fn other_messages_are_left_alone() {
        for text in ["syntax error in /srv/a.rb on line 3", "in the queue on line 4", "x in /srv/a.php on line many"] {
            let mut error = message(text);
            thrown_at_from_message(&mut error, false);
            assert_eq!(error.message.as_deref(), Some(text));
            assert!(error.frames.is_empty());
        }
    }

    #[test]
    fn lines_of_causes_are_escaped_and_no_others() {
        let document = |method: &str, file: &str| {
            format!(
                "<name><![CDATA[airbrake-java]]></name><line method=\"shop.Cart.<init>\" file=\"Cart.java\" number=\"9\"/>\
                 <line method=\"Caused by {method}\" file=\"{file}\" number=\"-1\"/><line method=\"b\" file=\"c\" number=\"1\"/>"
            )
        };
        let written = document("Cannot invoke \"Cart.items", ") because \"<local1>\" is null");
        let wanted = document("Cannot invoke &quot;Cart.items", ") because &quot;&lt;local1>&quot; is null");
        assert_eq!(escaped(&written), wanted);
        for text in [
            document("no answer", "Caused by no answer"),
            written.replace("airbrake-java", "x"),
            written[..150].to_owned(),
        ] {
            assert!(matches!(escaped(&text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn lines_that_tell_of_a_cause_become_causes() {
        let line = |method: &str, file: &str, number: Option<u32>| Frame {
            function: Some(method.into()),
            file: Some(file.into()),
            line: number,
            ..Frame::default()
        };
        let mut notice = Notice { errors: vec![message("checkout failed")], ..Notice::default() };
        notice.errors[0].frames = vec![
            line("shop.Cart.checkout", "Cart.java", Some(3)),
            line("Caused by no answer.Caused by no answer", "Caused by no answer", None),
            line("shop.Gateway.call", "Gateway.java", Some(9)),
            line("Caused by java.lang.IllegalState", "Caused by java.lang.IllegalState", None),
        ];
        causes_from_lines(&mut notice, true);
        let chain: Vec<_> = notice
            .errors
            .iter()
            .map(|error| (error.class.as_deref(), error.message.as_deref(), error.frames.len()))
            .collect();
        assert_eq!(
            chain,
            [
                (Some("Shop::Declined"), Some("checkout failed"), 1),
                (None, Some("no answer"), 1),
                (Some("java.lang.IllegalState"), None, 0),
            ]
        );
    }
}
