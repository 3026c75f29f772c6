//! The order of errors that were raised from each other.

use std::collections::HashMap;

use notice::Error;

/// An error, its number, and that of the one which it belongs to.
#[derive(Default)]
pub(super) struct Link {
    pub(super) error: Error,
    pub(super) id: Option<u64>,
    pub(super) parent_id: Option<u64>,
}

/// The raised error first, then what it was raised from. The wire has them the other way round, unless the client `begins_with_raised`
/// and says nothing of parents.
///
/// A group has several errors below one; then each is followed by all that is below it, and its siblings come in the
/// order of their numbers.
pub(super) fn raised_first(mut links: Vec<Link>, begins_with_raised: bool) -> Vec<Error> {
    let has_parents = links.iter().any(|link| link.parent_id.is_some());
    if has_parents || !begins_with_raised {
        links.reverse();
    }
    if !has_parents {
        return links.into_iter().map(|link| link.error).collect();
    }
    let places: HashMap<u64, usize> =
        links.iter().enumerate().rev().filter_map(|(at, link)| Some((link.id?, at))).collect();
    let mut children: Vec<Vec<usize>> = links.iter().map(|_| Vec::new()).collect();
    let mut waiting = Vec::new();
    for (at, link) in links.iter().enumerate() {
        match link.parent_id.and_then(|parent| places.get(&parent)).filter(|parent| **parent != at) {
            Some(parent) => children[*parent].push(at),
            None => waiting.push(at),
        }
    }
    children.iter_mut().for_each(|below| below.sort_by_key(|at| links[*at].id));
    // Those that are parents of each other in a ring hang on nothing: they come last, as they are.
    let mut order = Vec::with_capacity(links.len());
    let mut is_placed = vec![false; links.len()];
    waiting.reverse();
    for start in std::iter::once(None).chain((0..links.len()).map(Some)) {
        waiting.extend(start.filter(|at| !is_placed[*at]));
        while let Some(at) = waiting.pop() {
            if !std::mem::replace(&mut is_placed[at], true) {
                order.push(at);
                waiting.extend(children[at].iter().rev().filter(|child| !is_placed[**child]));
            }
        }
    }
    let mut errors: Vec<Option<Error>> = links.into_iter().map(|link| Some(link.error)).collect();
    order.into_iter().filter_map(|at| errors[at].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the order of the wire.
    fn order(links: &[(&str, Option<u64>, Option<u64>)]) -> Vec<String> {
        order_of(links, false)
    }

    fn order_of(links: &[(&str, Option<u64>, Option<u64>)], begins_with_raised: bool) -> Vec<String> {
        let link = |(class, id, parent_id): &(&str, _, _)| Link {
            error: Error { class: Some((*class).to_owned()), ..Error::default() },
            id: *id,
            parent_id: *parent_id,
        };
        let errors = raised_first(links.iter().map(link).collect(), begins_with_raised);
        errors.into_iter().filter_map(|error| error.class).collect()
    }

    #[test]
    fn without_numbers_the_wire_is_turned_round() {
        assert_eq!(order(&[("cause", None, None), ("raised", Some(0), None)]), ["raised", "cause"]);
        assert!(order(&[]).is_empty());
    }

    #[test]
    fn clients_that_begin_with_the_raised_error_are_left_as_they_are() {
        assert_eq!(order_of(&[("raised", None, None), ("cause", None, None)], true), ["raised", "cause"]);
        // Parents say more.
        assert_eq!(order_of(&[("cause", Some(1), Some(0)), ("raised", Some(0), None)], true), ["raised", "cause"]);
    }

    #[test]
    fn a_group_is_followed_by_all_that_is_below_it() {
        assert_eq!(
            order(&[
                ("second", Some(3), Some(0)),
                ("cause of first", Some(2), Some(1)),
                ("first", Some(1), Some(0)),
                ("group", Some(0), None),
            ]),
            ["group", "first", "cause of first", "second"]
        );
    }

    #[test]
    fn nothing_is_lost_in_rings_and_among_strangers() {
        assert_eq!(
            order(&[
                ("a", Some(1), Some(2)),
                ("b", Some(2), Some(1)),
                ("self", Some(3), Some(3)),
                ("stranger", Some(4), Some(99))
            ]),
            ["stranger", "self", "b", "a"]
        );
        assert_eq!(order(&[("a", Some(1), Some(1)), ("b", Some(1), Some(1)), ("c", None, None)]), ["c", "b", "a"]);
    }
}
