//! `threads`: what all threads did when it happened.

use notice::json_tree::Tree;
use notice::{Frame, Notice};

use super::event::{Named, values};
use super::images::Images;
use super::stacktrace;
use crate::unmapped::Unmapped;

/// Keeps the threads, and gives the stack of the one that it happened in if that is wanted: its place is then with the error.
pub(super) fn read<'a>(
    threads: Named<'a>,
    is_stack_wanted: bool,
    images: &Images,
    notice: &mut Notice,
    unmapped: &mut Unmapped<'a>,
) -> Vec<Frame> {
    let (path, mut threads) = match values(&threads.key, threads.value, unmapped) {
        Ok((path, threads)) => (path, threads),
        Err(other) => {
            unmapped.add(threads.key, other);
            return Vec::new();
        }
    };
    let at = if is_stack_wanted { thread_of_error(&threads) } else { None };
    let stack = at.and_then(|at| threads[at].take("stacktrace").map(|stack| (at, stack)));
    notice.threads_json = threads.iter().any(|thread| !thread.is_empty()).then(|| Tree::List(threads).to_text());
    match stack {
        Some((at, stack)) => stacktrace::read(stack, &format!("{path}[{at}].stacktrace"), images, unmapped),
        None => Vec::new(),
    }
}

/// The thread that crashed, else the current one, else the only one.
fn thread_of_error(threads: &[Tree<'_>]) -> Option<usize> {
    let is = |name: &str| threads.iter().position(|thread| has(thread, name, |value| *value == Tree::Bool(true)));
    let only = (threads.len() == 1).then_some(0);
    is("crashed")
        .or_else(|| is("current"))
        .or(only)
        .filter(|at| has(&threads[*at], "stacktrace", |value| matches!(value, Tree::Map(_))))
}

fn has(thread: &Tree<'_>, name: &str, test: impl Fn(&Tree<'_>) -> bool) -> bool {
    let Tree::Map(entries) = thread else { return false };
    entries.iter().any(|(key, value)| key == name && test(value))
}
