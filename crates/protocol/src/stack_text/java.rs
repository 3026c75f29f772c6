//! Java, Kotlin, Scala and whatever else runs on its machine.
//!
//! ```text
//! shop.CheckoutError: checkout of cart 4711 failed
//!     at shop.Shop.checkout(Shop.java:59)
//!     at java.base/java.lang.reflect.Method.invoke(Method.java:569)
//! Caused by: shop.PaymentDeclined: card declined
//!     at shop.Shop.charge(Shop.java:67)
//!     ... 2 more
//! ```

use notice::Frame;

use super::chain::{Chain, Found, Relation};
use super::line::{class_and_message, indent, is_name, labelled, number};

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut chain = Chain::new(filled_max);
    // Errors that later ones can hang on, each with how far it is indented.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut is_in_message = false;
    for line in text.lines() {
        let depth = indent(line);
        let content = line[depth..].trim_end();
        if let Some(frame) = content.strip_prefix("at ").and_then(read_frame) {
            let at = chain.last_or_first();
            if open.is_empty() {
                open.push((0, at));
            }
            chain.push(at, frame);
            is_in_message = false;
        } else if let Some(count) = read_omitted(content) {
            match chain.last() {
                Some(at) => chain.fill_from_parent(at, count),
                None => chain.keep(line),
            }
            is_in_message = false;
        } else if let Some((relation, header)) = read_caption(content) {
            if header.starts_with("[CIRCULAR REFERENCE:") {
                chain.keep(line);
                continue;
            }
            let is_inside = |there: usize| there < depth || (relation == Relation::Cause && there == depth);
            while open.len() > 1 && open.last().is_some_and(|(there, _)| !is_inside(*there)) {
                open.pop();
            }
            let at = chain.add(open.last().map(|(_, parent)| (*parent, relation)));
            if relation == Relation::Cause {
                open.pop_if(|(there, _)| *there == depth);
            }
            open.push((depth, at));
            set_header(&mut chain, at, header);
            is_in_message = true;
        } else if is_in_message {
            if let Some(at) = chain.last() {
                chain.node(at).add_line(line);
            }
        } else if chain.last().is_none() && !content.is_empty() {
            let at = chain.add(None);
            open.push((depth, at));
            set_header(&mut chain, at, without_thread(content));
            is_in_message = true;
        } else {
            chain.keep(line);
        }
    }
    chain.finish(Some(0))
}

fn set_header(chain: &mut Chain, at: usize, header: &str) {
    let (class, message) = class_and_message(header, |class| is_name(class, &['.', '$', '/', '-']));
    let node = chain.node(at);
    node.class = class.map(str::to_owned);
    message.clone_into(&mut node.message);
}

/// `Exception in thread "main" shop.CheckoutError: …` without what the virtual machine says before it.
fn without_thread(line: &str) -> &str {
    let header = line.strip_prefix("Exception in thread \"").and_then(|rest| rest.split_once("\" "));
    header.map_or(line, |(_, header)| header)
}

fn read_caption(content: &str) -> Option<(Relation, &str)> {
    let cause = content.strip_prefix("Caused by: ").map(|header| (Relation::Cause, header));
    cause.or_else(|| content.strip_prefix("Suppressed: ").map(|header| (Relation::Suppressed, header)))
}

/// `... 12 more`, `... 12 common frames omitted`
fn read_omitted(content: &str) -> Option<usize> {
    let (count, what) = content.strip_prefix("... ")?.split_once(' ')?;
    if !matches!(what, "more" | "common frames omitted") {
        return None;
    }
    Some(number(count)? as usize)
}

/// `loader//module@1/shop.Cart.charge(Cart.java:12) ~[shop.jar:1.4]`
fn read_frame(content: &str) -> Option<Frame> {
    let (call, archive) = match content.split_once(')') {
        Some((call, "")) => (call, None),
        Some((call, rest)) if rest.starts_with(" [") || rest.starts_with(" ~[") => (call, Some(rest.trim())),
        _ => return None,
    };
    let (path, place) = call.split_once('(')?;
    // A space before the bracket: JavaScript.
    if path.is_empty() || path.ends_with(' ') || place.is_empty() {
        return None;
    }
    let (file, line) = read_place(place)?;
    let (module, function) = match module_end(path) {
        Some(end) => (Some(path[..end].trim_end_matches('/')), &path[end + 1..]),
        None => (None, path),
    };
    if !function.contains('.') && file.is_none_or(|file| !file.contains('.')) && place != "Unknown Source" {
        return None;
    }
    Some(Frame {
        file: file.map(str::to_owned),
        line,
        function: Some(function.to_owned()),
        module: module.filter(|module| !module.is_empty()).map(str::to_owned),
        vars_json: archive.map(|archive| labelled("archive", archive)),
        ..Frame::default()
    })
}

/// Where the loader and the module end. The slash in the name of a hidden class (`Shop$$Lambda$14/0x0008c030.run`) is not that.
fn module_end(path: &str) -> Option<usize> {
    let last = path.rfind('/')?;
    if path[last + 1..].starts_with(|first: char| first.is_ascii_digit()) {
        path[..last].rfind('/')
    } else {
        Some(last)
    }
}

/// File and line, as far as they are known.
fn read_place(place: &str) -> Option<(Option<&str>, Option<u32>)> {
    if place == "Native Method" || place == "Unknown Source" {
        return Some((None, None));
    }
    let (file, line) = match place.rsplit_once(':') {
        Some((file, line)) => (file, Some(number(line)?)),
        None => (place, None),
    };
    if file == "Unknown Source" {
        return Some((None, line));
    }
    (!file.is_empty() && !file.contains([' ', ','])).then_some((Some(file), line))
}
