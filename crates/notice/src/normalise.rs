//! The limits of a notice.
//!
//! Whatever a client sends, what is kept afterwards is bounded, has no NUL in it (PostgreSQL
//! takes none) and says in its notes what was cut.

use std::borrow::Cow;

use prost::Message;

use crate::json_tree::{self, Tree};
use crate::{Error, Frame, Notice, in_app};

/// Longest message of an error, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// Longest text of any other field, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Longest string inside of parameters, session, variables and the like, in bytes.
pub const JSON_STRING_BYTES_MAX: usize = 64 * 1024;

/// Longest JSON of one part (parameters, session, …), in bytes.
pub const JSON_BYTES_MAX: usize = 512 * 1024;

/// Most errors of a chain.
pub const ERRORS_MAX: usize = 100;

/// Most frames of one error; of a longer stack the middle goes.
pub const FRAMES_MAX: usize = 1_000;

/// Most lines of code around one frame.
pub const CODE_LINES_MAX: usize = 100;

/// Most parts of a client's own fingerprint.
pub const CLIENT_FINGERPRINT_MAX: usize = 32;

/// Most notes.
pub const NOTES_MAX: usize = 50;

/// Largest encoded notice: 4 MiB less room for what wraps it.
pub const NOTICE_BYTES_MAX: usize = 4 * 1024 * 1024 - 64 * 1024;

/// Brings a parsed notice within its limits, says in its notes what was cut, and decides which frames are the application's own.
pub fn normalise(notice: &mut Notice) {
    let mut limits = Limits { notes: std::mem::take(&mut notice.notes) };
    limits.notice(notice);
    limits.total(notice);
    limits.notes.truncate(NOTES_MAX);
    for note in &mut limits.notes {
        cut(note, TEXT_BYTES_MAX);
    }
    notice.notes = limits.notes;
    let root = notice.server.as_ref().and_then(|server| server.root.clone());
    for frame in notice.errors.iter_mut().flat_map(|error| &mut error.frames) {
        // What V8 writes before the place of a function without a name that waits: `at async https://shop.example/app.js:9:1`
        if let Some(file) = frame.file.as_deref().and_then(|file| file.strip_prefix("async ")) {
            frame.file = Some(file.to_owned());
        }
        frame.in_app = match frame.in_app {
            Some(true) => Some(!in_app::is_nobodys(frame)),
            said => said.or_else(|| Some(in_app::is_in_app(frame, root.as_deref()))),
        };
    }
}

struct Limits {
    notes: Vec<String>,
}

impl Limits {
    fn note(&mut self, note: Cow<'_, str>) {
        if self.notes.len() < NOTES_MAX && !self.notes.iter().any(|there| *there == note) {
            self.notes.push(note.into_owned());
        }
    }

    fn notice(&mut self, notice: &mut Notice) {
        self.text(Some(&mut notice.protocol), "protocol");
        if let Some(notifier) = &mut notice.notifier {
            self.text(notifier.name.as_mut(), "notifier.name");
            self.text(notifier.version.as_mut(), "notifier.version");
            self.text(notifier.url.as_mut(), "notifier.url");
        }
        self.text(notice.client_id.as_mut(), "client_id");
        self.text(notice.severity.as_mut(), "severity");
        self.text(notice.environment.as_mut(), "environment");
        self.text(notice.release.as_mut(), "release");
        self.text(notice.language.as_mut(), "language");
        self.text(notice.platform.as_mut(), "platform");
        self.text(notice.logger.as_mut(), "logger");
        self.text(notice.dist.as_mut(), "dist");
        self.count(&mut notice.errors, ERRORS_MAX, "errors");
        for error in &mut notice.errors {
            self.error(error);
        }
        if let Some(request) = &mut notice.request {
            self.text(request.url.as_mut(), "request.url");
            self.text(request.method.as_mut(), "request.method");
            self.text(request.component.as_mut(), "request.component");
            self.text(request.action.as_mut(), "request.action");
            self.text(request.route.as_mut(), "request.route");
            self.json(&mut request.params_json, "request.params");
            self.json(&mut request.session_json, "request.session");
            self.json(&mut request.headers_json, "request.headers");
            self.json(&mut request.cgi_json, "request.cgi");
            self.json(&mut request.body_json, "request.body");
            self.json(&mut request.cookies_json, "request.cookies");
        }
        if let Some(user) = &mut notice.user {
            self.text(user.id.as_mut(), "user.id");
            self.text(user.name.as_mut(), "user.name");
            self.text(user.username.as_mut(), "user.username");
            self.text(user.email.as_mut(), "user.email");
            self.text(user.ip.as_mut(), "user.ip");
        }
        if let Some(server) = &mut notice.server {
            self.text(server.hostname.as_mut(), "server.hostname");
            self.text(server.root.as_mut(), "server.root");
            self.json(&mut server.extra_json, "server");
        }
        self.json(&mut notice.tags_json, "tags");
        self.json(&mut notice.breadcrumbs_json, "breadcrumbs");
        self.json(&mut notice.contexts_json, "contexts");
        self.json(&mut notice.extra_json, "extra");
        self.json(&mut notice.threads_json, "threads");
        self.json(&mut notice.modules_json, "modules");
        self.json(&mut notice.debug_images_json, "debug_images");
        self.json(&mut notice.unmapped_json, "unmapped");
        if let Some(trace) = &mut notice.trace {
            self.text(trace.trace_id.as_mut(), "trace.trace_id");
            self.text(trace.span_id.as_mut(), "trace.span_id");
        }
        self.count(&mut notice.client_fingerprint, CLIENT_FINGERPRINT_MAX, "client_fingerprint");
        for part in &mut notice.client_fingerprint {
            self.text(Some(part), "client_fingerprint");
        }
    }

    fn error(&mut self, error: &mut Error) {
        self.text(error.class.as_mut(), "class");
        self.text_up_to(error.message.as_mut(), "message", MESSAGE_BYTES_MAX);
        self.text_up_to(error.formatted.as_mut(), "formatted", MESSAGE_BYTES_MAX);
        self.text(error.module.as_mut(), "module");
        self.json(&mut error.mechanism_json, "mechanism");
        let frame_count = error.frames.len();
        if frame_count > FRAMES_MAX {
            let dropped = frame_count - FRAMES_MAX;
            error.frames.drain(FRAMES_MAX / 2..FRAMES_MAX / 2 + dropped);
            self.note(format!("frames: {dropped} of {frame_count} were dropped from the middle").into());
        }
        for frame in &mut error.frames {
            self.frame(frame);
        }
    }

    fn frame(&mut self, frame: &mut Frame) {
        self.text(frame.file.as_mut(), "frame.file");
        self.text(frame.function.as_mut(), "frame.function");
        self.text(frame.module.as_mut(), "frame.module");
        self.count(&mut frame.code, CODE_LINES_MAX, "frame.code");
        for code in &mut frame.code {
            self.text(Some(&mut code.text), "frame.code");
        }
        self.json(&mut frame.vars_json, "frame.vars");
    }

    fn text(&mut self, text: Option<&mut String>, name: &str) {
        self.text_up_to(text, name, TEXT_BYTES_MAX);
    }

    fn text_up_to(&mut self, text: Option<&mut String>, name: &str, bytes_max: usize) {
        let Some(text) = text else { return };
        if text.as_bytes().contains(&0) {
            text.retain(|character| character != '\0');
            self.note(format!("{name}: NUL characters were dropped").into());
        }
        let bytes = text.len();
        if cut(text, bytes_max) {
            self.note(format!("{name}: cut from {bytes} to {} bytes", text.len()).into());
        }
    }

    fn count<T>(&mut self, items: &mut Vec<T>, count_max: usize, name: &str) {
        let count = items.len();
        if count > count_max {
            items.truncate(count_max);
            self.note(format!("{name}: {} of {count} were dropped", count - count_max).into());
        }
    }

    /// Looks through JSON only when its length, its depth or a NUL in it can be too much: most is left as it is.
    fn json(&mut self, json: &mut Option<String>, name: &str) {
        let Some(text) = json else { return };
        if text.len() <= JSON_STRING_BYTES_MAX && is_shallow(text) && !text.contains("\\u0000") && !text.contains('\0')
        {
            return;
        }
        let (mut tree, notes) = match json_tree::read(text) {
            Ok(read) => (read.tree, read.notes),
            Err(_) => (Tree::Text(Cow::Borrowed(text.as_str())), Vec::new()),
        };
        for note in notes {
            self.note(format!("{name}: {note}").into());
        }
        self.strings(&mut tree, name);
        let mut room = JSON_BYTES_MAX;
        if keep_within(&mut tree, &mut room) {
            self.note(format!("{name}: cut to {} KiB", JSON_BYTES_MAX / 1024).into());
        }
        let new = tree.to_text();
        *json = Some(new);
    }

    fn strings(&mut self, tree: &mut Tree<'_>, name: &str) {
        match tree {
            Tree::Text(text) => self.string(text, name),
            Tree::List(items) => items.iter_mut().for_each(|item| self.strings(item, name)),
            Tree::Map(entries) => {
                for (key, value) in entries {
                    self.string(key, name);
                    self.strings(value, name);
                }
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => {}
        }
    }

    fn string(&mut self, text: &mut Cow<'_, str>, name: &str) {
        if text.len() > JSON_STRING_BYTES_MAX || text.as_bytes().contains(&0) {
            self.text_up_to(Some(text.to_mut()), name, JSON_STRING_BYTES_MAX);
        }
    }

    /// A notice of many parts at their limits is still too large: what helps least to find an error goes first.
    fn total(&mut self, notice: &mut Notice) {
        for step in 0..7 {
            if notice.encoded_len() <= NOTICE_BYTES_MAX {
                return;
            }
            let dropped = drop_part(notice, step);
            self.note(format!("{dropped}: dropped, because the notice was too large").into());
        }
    }
}

fn drop_part(notice: &mut Notice, step: usize) -> &'static str {
    let frames = notice.errors.iter_mut().flat_map(|error| &mut error.frames);
    match step {
        0 => {
            frames.for_each(|frame| {
                frame.code.clear();
                frame.vars_json = None;
            });
            "code and variables of the frames"
        }
        1 => {
            notice.breadcrumbs_json = None;
            notice.extra_json = None;
            "breadcrumbs and extra"
        }
        2 => {
            notice.unmapped_json = None;
            notice.threads_json = None;
            notice.modules_json = None;
            "unmapped, threads and modules"
        }
        3 => {
            if let Some(request) = &mut notice.request {
                request.cgi_json = None;
                request.body_json = None;
            }
            notice.debug_images_json = None;
            "request.cgi, request.body and debug_images"
        }
        4 => {
            notice.errors.iter_mut().for_each(|error| error.frames.truncate(FRAMES_MAX / 10));
            "all but the first 100 frames"
        }
        5 => {
            notice.errors.truncate(ERRORS_MAX / 10);
            "all but the first 10 errors"
        }
        _ => {
            notice.request = None;
            notice.contexts_json = None;
            notice.tags_json = None;
            "request, contexts and tags"
        }
    }
}

/// Drops values from the end until the text of the tree has room; says whether any had to go.
fn keep_within(tree: &mut Tree<'_>, room: &mut usize) -> bool {
    let mut cut = false;
    let size = match tree {
        Tree::Null | Tree::Bool(_) => 5,
        Tree::Number(text) => text.len() + 2,
        // Control characters take six bytes as an escape, but only what is longest matters here.
        Tree::Text(text) => text.len() + text.len() / 8 + 2,
        Tree::List(items) => {
            items.retain_mut(|item| {
                let before = *room;
                let mut item_cut = keep_within(item, room);
                let keeps = *room > 0;
                if !keeps {
                    *room = before.min(*room);
                    item_cut = true;
                }
                cut |= item_cut;
                keeps
            });
            2
        }
        Tree::Map(entries) => {
            entries.retain_mut(|(key, value)| {
                *room = room.saturating_sub(key.len() + 4);
                let value_cut = keep_within(value, room);
                let keeps = *room > 0;
                cut |= value_cut || !keeps;
                keeps
            });
            2
        }
    };
    *room = room.saturating_sub(size + 1);
    cut
}

/// Whether the JSON text surely nests less deep than is allowed. Brackets inside of strings count too, which only costs a closer look.
fn is_shallow(text: &str) -> bool {
    let mut depth = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth > json_tree::DEPTH_MAX {
            return false;
        }
    }
    true
}

/// Cuts at a character's border; says whether there was anything to cut.
fn cut(text: &mut String, bytes_max: usize) -> bool {
    if text.len() <= bytes_max {
        return false;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    true
}
