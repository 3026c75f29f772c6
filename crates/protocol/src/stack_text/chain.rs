//! Errors that hang on each other, while a text is read.

use notice::json_tree::write_text;
use notice::normalise::ERRORS_MAX;
use notice::{Error, Frame};

use super::frames::Frames;

/// Most errors that one text is read for. Of more the last one takes the place of the one before it: where causes come first it is the one that was raised.
const NODES_MAX: usize = 10 * ERRORS_MAX;

/// What one form made of a text.
#[derive(Default)]
pub(super) struct Found {
    pub(super) errors: Vec<Error>,
    pub(super) rest: String,
    pub(super) notes: Vec<String>,
    /// Frames that stand in the text.
    pub(super) frame_count: usize,
    /// Frames that the text only counts.
    pub(super) filled_count: usize,
}

/// How an error hangs on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    /// The other was raised because of it.
    Cause,
    /// The other was raised while it was handled.
    Context,
    /// It was raised while the other was on its way.
    Suppressed,
    /// The other is a group, and it is in there.
    Member,
}

/// One error.
#[derive(Default)]
pub(super) struct Node {
    pub(super) class: Option<String>,
    pub(super) module: Option<String>,
    pub(super) message: String,
    /// A code that stands beside the class.
    pub(super) code: Option<String>,
    pub(super) frames: Frames,
    /// Whether the frames came outermost first.
    pub(super) is_outermost_first: bool,
    parent: Option<(usize, Relation)>,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.class.is_none() && self.message.is_empty() && self.frames.len() == 0
    }

    /// Another line of the message.
    pub(super) fn add_line(&mut self, line: &str) {
        self.message.push('\n');
        self.message.push_str(line);
    }
}

/// All errors of a text, and what did not belong to any.
pub(super) struct Chain {
    nodes: Vec<Node>,
    dropped_count: usize,
    rest: String,
    notes: Vec<String>,
    frame_count: usize,
    filled_count: usize,
    filled_max: usize,
}

impl Chain {
    pub(super) fn new(filled_max: usize) -> Chain {
        Chain {
            nodes: Vec::new(),
            dropped_count: 0,
            rest: String::new(),
            notes: Vec::new(),
            frame_count: 0,
            filled_count: 0,
            filled_max,
        }
    }

    /// Begins another error and gives its number.
    pub(super) fn add(&mut self, parent: Option<(usize, Relation)>) -> usize {
        if self.nodes.len() == NODES_MAX {
            self.nodes.pop();
            self.dropped_count += 1;
        }
        let parent = parent.filter(|(parent, _)| *parent < self.nodes.len());
        self.nodes.push(Node { parent, ..Node::default() });
        self.nodes.len() - 1
    }

    /// Says on which error one hangs that was read before it.
    pub(super) fn hang(&mut self, child: usize, parent: usize, relation: Relation) {
        if child != parent {
            self.nodes[child].parent = Some((parent, relation));
        }
    }

    /// The error of this number, which [`Chain::add`] gave.
    pub(super) fn node(&mut self, at: usize) -> &mut Node {
        &mut self.nodes[at]
    }

    /// The error that was begun last.
    pub(super) fn last(&self) -> Option<usize> {
        self.nodes.len().checked_sub(1)
    }

    /// The error that was begun last, or else a first one.
    pub(super) fn last_or_first(&mut self) -> usize {
        match self.last() {
            Some(last) => last,
            None => self.add(None),
        }
    }

    /// The error that was begun first, whether it was there already or not.
    pub(super) fn first(&mut self) -> usize {
        if self.nodes.is_empty() {
            self.add(None);
        }
        0
    }

    pub(super) fn push(&mut self, at: usize, frame: Frame) {
        self.frame_count += 1;
        self.nodes[at].frames.push(frame);
    }

    /// Puts in the frames that an error has in common with the one that it hangs on.
    pub(super) fn fill_from_parent(&mut self, at: usize, count: usize) {
        let Some((parent, _)) = self.nodes[at].parent else { return };
        let frames = self.nodes[parent].frames.tail(count.min(self.room()));
        self.count_filled(frames.len(), count);
        frames.into_iter().for_each(|frame| self.nodes[at].frames.push(frame));
    }

    /// Puts in, behind the first so many frames of an error, those that its cause has behind the same one. Says how many.
    pub(super) fn fill_from_cause(&mut self, at: usize, before: usize, count: usize) -> usize {
        let hangs_on = |node: &Node| node.parent == Some((at, Relation::Cause));
        // What is the cause of an error comes right behind it.
        let Some(cause) = self.nodes.get(at + 1).filter(|node| hangs_on(node)) else { return 0 };
        let frames = self.nodes[at].frames.missing(before, &cause.frames, count.min(self.room()));
        let filled = frames.len();
        self.nodes[at].frames.insert(before, frames);
        filled
    }

    /// Repeats the last frame of an error.
    pub(super) fn repeat_last(&mut self, at: usize, count: usize) {
        let times = count.min(self.room());
        self.count_filled(times, count);
        self.nodes[at].frames.repeat_last(times);
    }

    /// How many frames may still be put in.
    pub(super) fn room(&self) -> usize {
        self.filled_max - self.filled_count
    }

    /// Remembers that so many frames were put in where the text counts so many.
    pub(super) fn count_filled(&mut self, filled: usize, told: usize) {
        self.filled_count += filled;
        if filled < told {
            self.note(format!("frames: {} that the stack trace only counts were not filled in", told - filled));
        }
    }

    /// Keeps a line that says something that no error takes.
    pub(super) fn keep(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if !self.rest.is_empty() {
            self.rest.push('\n');
        }
        self.rest.push_str(line);
    }

    fn note(&mut self, note: String) {
        const NOTES_MAX: usize = 10;
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// All errors in a row: this one first, then what hangs on it, causes before the rest.
    pub(super) fn finish(mut self, root: Option<usize>) -> Found {
        let Some(root) = root.filter(|_| self.frame_count > 0) else { return Found::default() };
        let order = self.order(root);
        let dropped_count = self.dropped_count + order.len().saturating_sub(ERRORS_MAX);
        if dropped_count > 0 {
            self.note(format!("errors: {dropped_count} of {} were dropped", order.len() + self.dropped_count));
        }
        let mut place = vec![None; self.nodes.len()];
        for (at, node) in order.iter().enumerate() {
            place[*node] = Some(at);
        }
        let mut errors = Vec::with_capacity(order.len().min(ERRORS_MAX));
        for (at, node) in order.into_iter().take(ERRORS_MAX).enumerate() {
            let node = std::mem::take(&mut self.nodes[node]);
            let parent = node.parent.and_then(|(parent, relation)| Some((place[parent]?, relation)));
            let (error, note) = finish(node, at, parent.filter(|_| at > 0));
            note.into_iter().for_each(|note| self.note(note));
            errors.push(error);
        }
        if errors.iter().all(|error| error.frames.is_empty()) {
            return Found::default();
        }
        Found {
            errors,
            rest: self.rest,
            notes: self.notes,
            frame_count: self.frame_count,
            filled_count: self.filled_count,
        }
    }

    fn order(&self, root: usize) -> Vec<usize> {
        let mut causes = vec![Vec::new(); self.nodes.len()];
        let mut others = vec![Vec::new(); self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate() {
            match node.parent {
                Some((parent, Relation::Cause | Relation::Context)) => causes[parent].push(at),
                Some((parent, _)) => others[parent].push(at),
                None => {}
            }
        }
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut is_placed = vec![false; self.nodes.len()];
        let mut open = vec![root];
        // What hangs on nothing is kept behind the rest.
        let is_alone = |at: &usize| *at != root && self.nodes[*at].parent.is_none() && !self.nodes[*at].is_empty();
        open.splice(0..0, (0..self.nodes.len()).rev().filter(is_alone));
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut is_placed[at], true) {
                continue;
            }
            order.push(at);
            open.extend(others[at].drain(..).rev());
            open.extend(causes[at].drain(..).rev());
        }
        order
    }
}

/// The error, which is number `at` of its row, and what must be said of it.
fn finish(node: Node, at: usize, parent: Option<(usize, Relation)>) -> (Error, Option<String>) {
    let (mut frames, note) = node.frames.finish();
    if node.is_outermost_first {
        frames.reverse();
    }
    let message = node.message.trim_end_matches(['\n', '\r']);
    let error = Error {
        class: node.class.filter(|class| !class.is_empty()),
        module: node.module.filter(|module| !module.is_empty()),
        message: (!message.is_empty()).then(|| message.to_owned()),
        frames,
        mechanism_json: mechanism(node.code.as_deref(), at, parent),
        ..Error::default()
    };
    (error, note)
}

/// How the error hangs on another, unless it is simply the cause of the one before it.
fn mechanism(code: Option<&str>, at: usize, parent: Option<(usize, Relation)>) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(code) = code {
        let mut text = String::new();
        write_text(code, &mut text);
        parts.push(format!("\"code\":{text}"));
    }
    if let Some((parent, relation)) = parent
        && (relation != Relation::Cause || parent + 1 != at)
    {
        let source = match relation {
            Relation::Cause => "cause",
            Relation::Context => "context",
            Relation::Suppressed => "suppressed",
            Relation::Member => "member",
        };
        parts
            .push(format!("\"type\":\"chained\",\"source\":\"{source}\",\"exception_id\":{at},\"parent_id\":{parent}"));
    }
    (!parts.is_empty()).then(|| format!("{{{}}}", parts.join(",")))
}
