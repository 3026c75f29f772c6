//! Words of groups, as their index is asked for them.

/// A word may have been stored whole or in the parts that its separators and capitals make: either will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// All of it, in lower case.
    pub(super) whole: String,
    /// Its parts, in lower case.
    pub(super) parts: Vec<String>,
    /// Whether it is known to end there: else one that begins so will do, too, and the index has to gather all of those.
    pub(super) is_ended: bool,
}

impl Word {
    /// A word that is being typed.
    pub(super) fn typed(word: &str) -> Word {
        // More parts than were stored: a capital behind a digit begins one, too.
        let is_end = |letter: char| letter.is_lowercase() || letter.is_numeric();
        Word { whole: word.to_lowercase(), parts: parts(word, is_end), is_ended: false }
    }

    pub(super) fn query(&self) -> String {
        let end = if self.is_ended { "" } else { ":*" };
        let whole = format!("{}{end}", quoted(&self.whole));
        let parts: Vec<String> = self.parts.iter().map(|part| format!("'{part}'{end}")).collect();
        match parts.len() {
            0 => whole,
            1 if parts[0] == whole => whole,
            _ => format!("({whole} | ({}))", parts.join(" & ")),
        }
    }
}

/// The words of a text that is looked for as it stands, where there is anything to narrow by: parts of one letter were not stored. All but
/// the last one end in the text.
pub(super) fn of_text(text: &str) -> impl Iterator<Item = Word> {
    let mut words = text.split_whitespace().peekable();
    let is_open = !text.ends_with(char::is_whitespace);
    std::iter::from_fn(move || {
        let word = words.next()?;
        // The parts that were stored.
        let mut parts = parts(word, char::is_lowercase);
        parts.retain(|part| part.chars().count() > 1);
        Some(Word { whole: word.to_lowercase(), parts, is_ended: words.peek().is_some() || !is_open })
    })
    .filter(|word| !word.parts.is_empty())
}

/// A PostgreSQL text query for all of them; `None` when there are none.
pub(super) fn all(words: &[Word]) -> Option<String> {
    let terms: Vec<String> = words.iter().map(Word::query).collect();
    if terms.is_empty() { None } else { Some(terms.join(" & ")) }
}

/// Classes that are looked for by their words as well.
const CLASSES_MAX: usize = 8;
/// Longest of them: what is longer may have been cut.
const CLASS_BYTES_MAX: usize = 250;
/// Rows that are read and thrown away in the time in which the index gathers one group for a word that may go on.
const ROWS_PER_GATHERED: f64 = 0.1;

/// What the index of words is asked for, so that it answers soon with few rows more than are meant.
#[derive(Debug, PartialEq)]
pub(super) struct Lookup {
    /// A PostgreSQL text query that everything meets which is meant.
    pub(super) query: String,
    /// About how many groups meet it.
    pub(super) rows: f64,
    /// Whether whatever meets it has all of the words.
    pub(super) is_exact: bool,
    /// Whether it asks for the classes: else they are asked for beside it.
    pub(super) has_classes: bool,
}

impl Lookup {
    /// The best lookup of words, each with the part of so many groups that has it, in classes that a part of them has.
    ///
    /// A word that may go on is left out where reading what the others leave is cheaper than gathering all that begin with it.
    pub(super) fn of(words: &[(f64, Word)], classes: Option<(f64, &[String])>, groups: f64) -> Option<Lookup> {
        let of_classes = classes.and_then(|(part, classes)| Some((part, class_query(classes)?)));
        let mut rows = groups * of_classes.as_ref().map_or(1.0, |(part, _)| *part);
        let mut terms: Vec<String> = of_classes.iter().map(|(_, query)| query.clone()).collect();
        let has_classes = !terms.is_empty();
        let (ended, mut open): (Vec<_>, Vec<_>) = words.iter().partition(|(_, word)| word.is_ended);
        for (part, word) in ended {
            rows *= part;
            terms.push(word.query());
        }
        open.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let mut is_exact = true;
        for (part, word) in open {
            if !terms.is_empty() && rows < part * groups * ROWS_PER_GATHERED {
                is_exact = false;
                continue;
            }
            rows *= part;
            terms.push(word.query());
        }
        (terms.len() > usize::from(has_classes)).then(|| Lookup {
            query: terms.join(" & "),
            rows,
            is_exact,
            has_classes,
        })
    }
}

/// A text query for any of these classes; `None` where one of them is written so that its words may be others beside what follows it.
fn class_query(classes: &[String]) -> Option<String> {
    let is_plain = |class: &String| {
        class.len() <= CLASS_BYTES_MAX
            && class.starts_with(|first: char| first.is_ascii_alphabetic())
            && class.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:.".contains(&byte))
    };
    let are_asked = (1..=CLASSES_MAX).contains(&classes.len()) && classes.iter().all(is_plain);
    are_asked.then(|| format!("({})", classes.iter().map(|class| quoted(class)).collect::<Vec<_>>().join(" | ")))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\\', " ").replace('\'', "''"))
}

/// The parts that a word's separators make, and capitals behind what is an end, in lower case.
fn parts(word: &str, is_end: impl Fn(char) -> bool) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut was_end = false;
    let mut is_new = true;
    for letter in word.chars() {
        if !letter.is_alphanumeric() {
            is_new = true;
            continue;
        }
        if is_new || (was_end && letter.is_uppercase()) {
            parts.push(String::new());
        }
        is_new = false;
        was_end = is_end(letter);
        if let Some(part) = parts.last_mut() {
            part.extend(letter.to_lowercase());
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
    use super::*;

    #[test]
    fn all_words_of_a_text_but_the_last_are_known_to_end() {
        assert_eq!(all(&of_text("publish order").collect::<Vec<_>>()).unwrap(), "'publish' & 'order':*");
        assert_eq!(all(&of_text("to: x ").collect::<Vec<_>>()).unwrap(), "('to:' | ('to'))");
        let of_file = all(&of_text("Model3D.obj now").collect::<Vec<_>>()).unwrap();
        assert_eq!(of_file, "('model3d.obj' | ('model3d' & 'obj')) & 'now':*", "the parts that are stored");
        assert_eq!(all(&of_text(" - ").collect::<Vec<_>>()), None);
    }

    #[test]
    fn a_lookup_leaves_out_what_is_dearer_to_gather_than_to_read_past() {
        let words: Vec<(f64, Word)> = [0.2, 0.1].into_iter().zip(of_text("publish order")).collect();
        let redis = ["Redis::TimeoutError".to_owned()];
        let lookup = |classes| Lookup::of(&words, classes, 1e6).unwrap();
        let found = lookup(Some((0.04, redis.as_slice())));
        assert_eq!(found.query, "('Redis::TimeoutError') & 'publish'");
        assert_eq!((found.rows, found.is_exact, found.has_classes), (8_000.0, false, true));
        let found = lookup(None);
        assert_eq!(found.query, "'publish' & 'order':*", "200,000 rows are not read past");
        assert!(found.is_exact && !found.has_classes);
        for odd in ["Result<A, B>", "", "::", &"x".repeat(251)] {
            let classes = [redis[0].clone(), odd.to_owned()];
            let found = Lookup::of(&words, Some((0.04, &classes)), 1e6).unwrap();
            assert!(!found.has_classes, "its words may be others in a text: {odd}");
        }
        let rare: Vec<(f64, Word)> = vec![(0.0001, Word::typed("zebra"))];
        assert_eq!(Lookup::of(&rare, None, 1e6).unwrap().query, "'zebra':*");
        assert_eq!(Lookup::of(&[], Some((0.04, redis.as_slice())), 1e6), None, "classes have an index of their own");
    }
}
