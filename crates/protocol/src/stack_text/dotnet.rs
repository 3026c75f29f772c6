//! .NET, with inner exceptions and aggregates, as its runtimes and Mono write them.
//!
//! ```text
//! Shop.CheckoutError: checkout failed
//!  ---> Shop.PaymentDeclined: card declined
//!    at Shop.Cart.Charge(Decimal amount) in /src/Shop.cs:line 39
//!    --- End of inner exception stack trace ---
//!    at Shop.Program.Main(String[] arguments) in /src/Shop.cs:line 167
//! ```

use notice::Frame;

use super::chain::{Chain, Found, Relation};
use super::line::{class_and_message, is_name, labelled, number};

/// Beginnings of what belongs to the runtime.
const RUNTIME: [&str; 2] = ["System.", "Microsoft."];

pub(super) fn read(text: &str, filled_max: usize) -> Found {
    let mut reader = Reader { chain: Chain::new(filled_max), open: Vec::new(), is_in_message: false };
    for line in text.lines() {
        reader.line(line);
    }
    let mut found = reader.chain.finish(Some(0));
    // Libraries come without what tells places, an application with it: where one is told, what has none is a library's.
    let frames = || found.errors.iter().flat_map(|error| &error.frames);
    if frames().any(|frame| frame.file.is_some()) {
        let frames = found.errors.iter_mut().flat_map(|error| &mut error.frames);
        frames.filter(|frame| frame.file.is_none()).for_each(|frame| frame.in_app = Some(false));
    }
    found
}

struct Reader {
    chain: Chain,
    /// Errors whose frames still come, the outermost first.
    open: Vec<usize>,
    is_in_message: bool,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let (content, ends_member) = match line.trim_end().strip_suffix("<---") {
            Some(content) => (content.trim(), true),
            None => (line.trim(), false),
        };
        if let Some(frame) = content.strip_prefix("at ").and_then(read_frame) {
            self.frame(frame);
        } else if is_end_of_inner(content) {
            self.is_in_message = false;
            if self.open.len() > 1 {
                self.open.pop();
            }
        } else if content.starts_with("--- End of stack trace from previous location") {
            self.is_in_message = false;
        } else if let Some(header) = content.strip_prefix("---> ") {
            self.inner(header);
        } else if self.is_in_message {
            self.message_line(line);
        } else if self.open.is_empty() && !content.is_empty() {
            let at = self.chain.add(None);
            self.open.push(at);
            self.header(at, content);
        } else {
            self.chain.keep(content);
        }
        if ends_member && self.open.len() > 1 {
            self.open.truncate(1);
            self.is_in_message = false;
        }
    }

    fn frame(&mut self, frame: Frame) {
        let at = match self.open.last() {
            Some(at) => *at,
            None => {
                let at = self.chain.add(None);
                self.open.push(at);
                at
            }
        };
        self.chain.push(at, frame);
        self.is_in_message = false;
    }

    fn inner(&mut self, header: &str) {
        if let Some((_, header)) = header.strip_prefix("(Inner Exception #").and_then(|rest| rest.split_once(") ")) {
            self.open.truncate(1);
            let parent = self.open.last().map(|at| (*at, Relation::Member));
            self.begin(parent, header);
        } else {
            let parent = self.open.last().map(|at| (*at, Relation::Cause));
            self.begin(parent, header);
        }
    }

    fn begin(&mut self, parent: Option<(usize, Relation)>, header: &str) {
        let at = self.chain.add(parent);
        self.open.push(at);
        self.header(at, header);
    }

    /// A class and its message; older runtimes put inner exceptions on the same line.
    fn header(&mut self, mut at: usize, header: &str) {
        let mut parts = header.split(" ---> ").peekable();
        let first = parts.next().unwrap_or_default();
        self.set_header(at, first);
        for part in parts {
            if class_of(part).0.is_some() {
                at = self.chain.add(Some((at, Relation::Cause)));
                self.open.push(at);
                self.set_header(at, part);
            } else {
                let node = self.chain.node(at);
                node.message.push_str(" ---> ");
                node.message.push_str(part);
            }
        }
        self.is_in_message = true;
    }

    fn message_line(&mut self, line: &str) {
        let Some(at) = self.open.last().copied() else { return };
        let mut parts = line.splitn(2, " ---> ");
        self.chain.node(at).add_line(parts.next().unwrap_or_default());
        match parts.next() {
            Some(rest) if class_of(rest.split(" ---> ").next().unwrap_or_default()).0.is_some() => {
                self.begin(Some((at, Relation::Cause)), rest);
            }
            Some(rest) => {
                let node = self.chain.node(at);
                node.message.push_str(" ---> ");
                node.message.push_str(rest);
            }
            None => {}
        }
    }

    fn set_header(&mut self, at: usize, header: &str) {
        let (class, message) = class_of(header);
        let node = self.chain.node(at);
        node.class = class.map(str::to_owned);
        message.clone_into(&mut node.message);
    }
}

/// Class and message. What is no name of a class, but also no sentence, is left to be a message.
fn class_of(header: &str) -> (Option<&str>, &str) {
    // `System.Net.Sockets.SocketException (111): Connection refused`
    if let Some((class, rest)) = header.split_once(" (")
        && let Some((code, _)) = rest.split_once("): ")
        && is_class(class)
        && code.trim_start_matches("0x").bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return (Some(class), &header[class.len() + 1..]);
    }
    class_and_message(header, is_class)
}

fn is_class(text: &str) -> bool {
    is_name(text, &['.', '+', '`', '[', ']', ',', '<', '>'])
}

fn is_end_of_inner(content: &str) -> bool {
    content.starts_with("--- End of inner ") && content.ends_with("stack trace ---")
}

/// `Shop.Cart.Charge(Decimal amount) in /src/Shop.cs:line 39`, `Shop.Cart.Charge (System.Decimal amount) [0x0001c] in /src/Shop.cs:39`
fn read_frame(content: &str) -> Option<Frame> {
    let (call, place) = match content.rsplit_once(" in ") {
        Some((call, place)) => (call, Some(read_place(place)?)),
        None => (content, None),
    };
    let (call, offset) = match call.strip_suffix(']').and_then(|call| call.rsplit_once(" [0x")) {
        Some((call, offset)) => (call, Some(offset)),
        None => (call, None),
    };
    let (name, parameters) = call.strip_suffix(')')?.split_once('(')?;
    let name = name.trim_end();
    // Each parameter has a type and a name; a place of Java or JavaScript has no space in it.
    let is_list = parameters.is_empty() || parameters.contains(' ') || parameters == "...";
    let is_wrapper = name.is_empty() && parameters.starts_with("wrapper ");
    if !is_wrapper && (!is_list || !name.contains('.') || (name.contains(' ') && !name.contains('['))) {
        return None;
    }
    if parameters.starts_with("Native Method") || parameters.starts_with("Unknown Source") {
        return None;
    }
    let function = match offset {
        Some(_) => format!("{name}({parameters})"),
        None => call.to_owned(),
    };
    let (file, line) = place.unzip();
    Some(Frame {
        file: file.flatten().map(str::to_owned),
        line: line.flatten().filter(|line| *line > 0),
        in_app: RUNTIME.iter().any(|start| name.starts_with(start)).then_some(false),
        function: Some(function),
        vars_json: offset.map(|offset| labelled("offset", &format!("0x{offset}"))),
        ..Frame::default()
    })
}

/// `/src/Shop.cs:line 39`, `/src/Shop.cs:39`, `<12b418a7818c4ca0893feeaaf67f1e7f>:0`
fn read_place(place: &str) -> Option<(Option<&str>, Option<u32>)> {
    let (file, line) = place.trim_end().trim_end_matches('.').rsplit_once(':')?;
    let line = number(line.strip_prefix("line ").unwrap_or(line))?;
    let is_file = !(file.starts_with('<') && file.ends_with('>'));
    Some((is_file.then_some(file), Some(line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(text: &str) -> Vec<Option<bool>> {
        read(text, 0).errors[0].frames.iter().map(|frame| frame.in_app).collect()
    }

    #[test]
    fn what_has_no_place_where_others_have_one_is_a_librarys() {
        let library = "   at Newtonsoft.Json.JsonTextReader.ParseValue()\n";
        let application = "   at Shop.Cart.Load(String text)";
        let told = format!("Shop.Unreadable: no\n{library}{application} in /src/Cart.cs:line 12\n");
        assert_eq!(own(&told), [Some(false), None]);
        assert_eq!(own(&format!("Shop.Unreadable: no\n{library}{application}\n")), [None, None]);
    }
}
