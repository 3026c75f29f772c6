//! What people type into the search box of a project.
//!
//! Words, `"quoted text"`, and `key:value` terms such as `class:…`, `is:unresolved`, `user:…`, `count:>100` or
//! `first-seen:<24h`. A `-` before a term turns it round. Every term narrows: a group is found when it meets all of them.

use std::ops::Range;

use time::Duration;

use super::GroupState;
use super::words::{self, Word};

/// Longest text that is looked at, in characters.
const QUERY_CHARS_MAX: usize = 500;
/// Most terms of one query.
const TERMS_MAX: usize = 20;
/// Greatest number that is compared with.
const NUMBER_MAX: i64 = 1_000_000_000_000;

/// Keys whose values are facets of a group.
pub const FACET_KEYS: [&str; 7] = ["environment", "release", "hostname", "action", "cause", "severity", "notifier"];
/// Keys of facets that a client made up are written `tag.NAME:value`.
pub const TAG_PREFIX: &str = "tag.";
/// All other keys, each with a value as an example.
pub const KEYS: [(&str, &str); 12] = [
    ("class", "Timeout"),
    ("message", "\"went away\""),
    ("culprit", "orders#create"),
    ("file", "app/models"),
    ("function", "charge"),
    ("is", "unresolved"),
    ("assigned", "me"),
    ("user", "42"),
    ("first-seen", "<24h"),
    ("last-seen", ">7d"),
    ("count", ">100"),
    ("users", ">10"),
];

/// A query that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Words that begin a word of the group's text; one of them turned round is a word that none begins with.
    pub words: Vec<(String, Sign)>,
    /// Texts that stand so in a part of the group.
    pub texts: Vec<(Place, String, Sign)>,
    /// Facets that the group's notices had: key and value.
    pub facets: Vec<(String, String, Sign)>,
    /// The states that a group may be in; `None` when nothing is said of it.
    pub states: Option<Vec<GroupState>>,
    /// Who has to deal with it.
    pub assigned: Vec<(Assignee, Sign)>,
    /// Who met it: an id, an address, a name.
    pub met_by: Vec<(String, Sign)>,
    /// How long ago it was first seen.
    pub first_seen: Ago,
    /// How long ago it was last seen.
    pub last_seen: Ago,
    /// How many notices it has.
    pub notice_count: Between,
    /// How many users met it.
    pub user_count: Between,
}

/// Whether a term says what must hold or what must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It must hold.
    Is,
    /// It must not: the term has a `-` before it.
    IsNot,
}

/// A part of a group that a text may stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Class, message and culprit.
    Anywhere,
    /// The class of the error.
    Class,
    /// Its message.
    Message,
    /// Where it happened.
    Culprit,
    /// A file of an in-app frame.
    File,
    /// A function of an in-app frame.
    Function,
}

impl Place {
    /// The place's name in the statement.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Place::Anywhere => "anywhere",
            Place::Class => "class",
            Place::Message => "message",
            Place::Culprit => "culprit",
            Place::File => "file",
            Place::Function => "function",
        }
    }
}

/// Who has to deal with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignee {
    /// Whoever it is.
    Anybody,
    /// Whoever looks.
    Me,
    /// The person of this address or name.
    Named(String),
}

/// A stretch of time that ends at the present or before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ago {
    /// Less long ago than this.
    pub within: Option<Duration>,
    /// At least as long ago as this.
    pub beyond: Option<Duration>,
}

/// Numbers from `least` to `most`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Between {
    /// The smallest that will do.
    pub least: Option<i64>,
    /// The greatest that will do.
    pub most: Option<i64>,
}

/// What is wrong with a query, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{told} (at character {})", at.start + 1)]
pub struct SearchError {
    /// The characters at fault, counted from 0.
    pub at: Range<usize>,
    /// What is wrong and what would be right.
    pub told: String,
}

impl SearchError {
    /// The query in three: before what is at fault, that, and what follows.
    #[must_use]
    pub fn split<'a>(&self, query: &'a str) -> [&'a str; 3] {
        let byte = |n: usize| query.char_indices().nth(n).map_or(query.len(), |(at, _)| at);
        let (start, end) = (byte(self.at.start), byte(self.at.end));
        [&query[..start], &query[start..end], &query[end..]]
    }
}

/// What is wrong with a term, and with which part of it.
enum Fault {
    Key(String),
    Value(String),
    Whole(String),
}

impl Search {
    /// Understands a query, or says what is wrong with it and where.
    pub fn parse(query: &str) -> Result<Search, SearchError> {
        let chars: Vec<char> = query.chars().collect();
        if chars.len() > QUERY_CHARS_MAX {
            return Err(SearchError {
                at: QUERY_CHARS_MAX..chars.len(),
                told: format!("a search has at most {QUERY_CHARS_MAX} characters"),
            });
        }
        let mut search = Search::default();
        let mut terms = 0;
        let mut at = 0;
        while at < chars.len() {
            if chars[at].is_whitespace() {
                at += 1;
                continue;
            }
            let start = at;
            terms += 1;
            if terms > TERMS_MAX {
                let told = format!("a search has at most {TERMS_MAX} terms");
                return Err(SearchError { at: start..chars.len(), told });
            }
            let term = Term::read(&chars, &mut at)?;
            let value_start = term.value_start;
            search.add(term).map_err(|fault| {
                let (at, told) = match fault {
                    Fault::Key(told) => (start..value_start, told),
                    Fault::Value(told) if value_start < at => (value_start..at, told),
                    Fault::Value(told) | Fault::Whole(told) => (start..at, told),
                };
                SearchError { at, told }
            })?;
        }
        Ok(search)
    }

    /// Whether it depends on who looks.
    #[must_use]
    pub fn names_me(&self) -> bool {
        self.assigned.iter().any(|(who, _)| *who == Assignee::Me)
    }

    /// Whether all that it asks for stands in a group's own row.
    pub(super) fn is_about_rows_alone(&self) -> bool {
        self.words.is_empty() && self.texts.is_empty() && self.facets.is_empty()
    }

    fn add(&mut self, term: Term) -> Result<(), Fault> {
        let sign = term.sign;
        let Some(key) = term.key else {
            if term.is_quoted {
                self.texts.push((Place::Anywhere, term.text, sign));
            } else {
                self.words.push((term.text, sign));
            }
            return Ok(());
        };
        if term.text.is_empty() && is_known(&key) {
            return Err(Fault::Whole(format!("`{key}:` needs a value, as in `{key}:{}`", example_of(&key))));
        }
        match key.as_str() {
            "class" => self.texts.push((Place::Class, term.text, sign)),
            "message" => self.texts.push((Place::Message, term.text, sign)),
            "culprit" => self.texts.push((Place::Culprit, term.text, sign)),
            "file" => self.texts.push((Place::File, term.text, sign)),
            "function" => self.texts.push((Place::Function, term.text, sign)),
            "user" => self.met_by.push((term.text, sign)),
            "is" => self.add_is(&term.text, sign)?,
            "assigned" => self.assigned.push(match term.text.to_lowercase().as_str() {
                "none" => (Assignee::Anybody, sign.turned()),
                "me" => (Assignee::Me, sign),
                _ => (Assignee::Named(term.text), sign),
            }),
            "first-seen" => self.first_seen.add(age(&key, &term.text)?, sign),
            "last-seen" => self.last_seen.add(age(&key, &term.text)?, sign),
            "count" => self.notice_count.add(&key, &term.text, sign)?,
            "users" => self.user_count.add(&key, &term.text, sign)?,
            key if FACET_KEYS.contains(&key) => self.facets.push((key.to_owned(), term.text, sign)),
            key if key.len() > TAG_PREFIX.len() && key.starts_with(TAG_PREFIX) => {
                // A tag's name is as its client wrote it.
                self.facets.push((term.written_key[TAG_PREFIX.len()..].to_owned(), term.text, sign));
            }
            _ => {
                let keys: Vec<&str> = FACET_KEYS.into_iter().chain(KEYS.map(|(key, _)| key)).collect();
                return Err(Fault::Key(format!(
                    "`{key}:` is not known: there are {} and tag.NAME; put text with a colon in quotes",
                    keys.join(", ")
                )));
            }
        }
        Ok(())
    }

    fn add_is(&mut self, word: &str, sign: Sign) -> Result<(), Fault> {
        match word.to_lowercase().as_str() {
            "assigned" => self.assigned.push((Assignee::Anybody, sign)),
            "unassigned" => self.assigned.push((Assignee::Anybody, sign.turned())),
            word => {
                let state = GroupState::parse(word).ok_or_else(|| {
                    Fault::Value(format!(
                        "`is:{word}` is not known: there are is:unresolved, is:resolved, is:muted, is:assigned and is:unassigned"
                    ))
                })?;
                let mut states = self.states.take().unwrap_or_else(|| GroupState::ALL.to_vec());
                states.retain(|may_be| (*may_be == state) == (sign == Sign::Is));
                if states.is_empty() {
                    return Err(Fault::Whole("a group is in one state only: leave one `is:` away".into()));
                }
                self.states = Some(states);
            }
        }
        Ok(())
    }

    /// The words that a group's text has to have: those that were typed, and those of texts, which begin where a word begins.
    pub(super) fn narrowing_words(&self) -> Vec<Word> {
        let words = self.words.iter().filter(|(_, sign)| *sign == Sign::Is).map(|(word, _)| Word::typed(word));
        let texts = self.texts.iter().filter(|(place, _, sign)| *sign == Sign::Is && *place != Place::Class);
        let of_texts = texts.flat_map(|(_, text, _)| words::of_text(text));
        words.chain(of_texts).collect()
    }

    /// The same as a PostgreSQL text query; `None` when there are none.
    pub(super) fn text_query(&self) -> Option<String> {
        words::all(&self.narrowing_words())
    }

    /// The words that none may begin with, as a PostgreSQL text query for any of them.
    pub(super) fn text_query_not(&self) -> Option<String> {
        let words = self.words.iter().filter(|(_, sign)| *sign == Sign::IsNot);
        let terms: Vec<String> = words.map(|(word, _)| Word::typed(word).query()).collect();
        if terms.is_empty() { None } else { Some(terms.join(" | ")) }
    }
}

impl Sign {
    fn turned(self) -> Sign {
        match self {
            Sign::Is => Sign::IsNot,
            Sign::IsNot => Sign::Is,
        }
    }
}

impl Ago {
    fn add(&mut self, age: Age, sign: Sign) {
        match (age, sign) {
            (Age::Within(span), Sign::Is) | (Age::Beyond(span), Sign::IsNot) => {
                self.within = Some(self.within.map_or(span, |within| within.min(span)));
            }
            (Age::Beyond(span), Sign::Is) | (Age::Within(span), Sign::IsNot) => {
                self.beyond = Some(self.beyond.map_or(span, |beyond| beyond.max(span)));
            }
        }
    }
}

impl Between {
    fn add(&mut self, key: &str, text: &str, sign: Sign) -> Result<(), Fault> {
        let wrong = || {
            Fault::Value(format!(
                "`{key}:{text}` is not a number to compare with: write it as `{key}:>100` or `{key}:<10`"
            ))
        };
        let (comparison, digits) = text.split_at(text.find(|letter: char| letter.is_ascii_digit()).ok_or_else(wrong)?);
        let number: i64 = digits.parse().map_err(|_| wrong())?;
        if number > NUMBER_MAX {
            return Err(wrong());
        }
        let (least, most) = match (comparison, sign) {
            (">", Sign::Is) | ("<=", Sign::IsNot) => (Some(number + 1), None),
            (">=", Sign::Is) | ("<", Sign::IsNot) => (Some(number), None),
            ("<", Sign::Is) | (">=", Sign::IsNot) => (None, Some(number - 1)),
            ("<=", Sign::Is) | (">", Sign::IsNot) => (None, Some(number)),
            ("" | "=", Sign::Is) => (Some(number), Some(number)),
            ("" | "=", Sign::IsNot) => {
                return Err(Fault::Whole(format!(
                    "a single number cannot be left out: write `{key}:>{number}` or `{key}:<{number}`"
                )));
            }
            _ => return Err(wrong()),
        };
        // `None` is less than every number, so that the greater of two lower bounds is one of them.
        self.least = self.least.max(least);
        self.most = match (self.most, most) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(())
    }
}

fn is_known(key: &str) -> bool {
    FACET_KEYS.contains(&key) || KEYS.iter().any(|(known, _)| *known == key) || key.starts_with(TAG_PREFIX)
}

struct Term {
    key: Option<String>,
    /// The key as it was typed.
    written_key: String,
    text: String,
    is_quoted: bool,
    sign: Sign,
    /// Where the value begins; where the term begins when it has no key.
    value_start: usize,
}

impl Term {
    /// Reads one term; `at` stands on its first character and is moved behind its last.
    fn read(chars: &[char], at: &mut usize) -> Result<Term, SearchError> {
        let mut sign = Sign::Is;
        if chars[*at] == '-' && chars.get(*at + 1).is_some_and(|next| next.is_alphanumeric() || *next == '"') {
            sign = Sign::IsNot;
            *at += 1;
        }
        let start = *at;
        let term = |key: Option<String>, text, is_quoted, value_start| Term {
            key: key.as_deref().map(str::to_lowercase),
            written_key: key.unwrap_or_default(),
            text,
            is_quoted,
            sign,
            value_start,
        };
        if chars[*at] == '"' {
            return Ok(term(None, quoted(chars, at)?, true, start));
        }
        while *at < chars.len() && !chars[*at].is_whitespace() {
            // A colon after a plain word makes it a key; `Net::ReadTimeout` stays a word.
            if chars[*at] == ':' && *at > start && chars.get(*at + 1) != Some(&':') && chars[*at - 1] != ':' {
                let key: String = chars[start..*at].iter().collect();
                *at += 1;
                let value_start = *at;
                let is_quoted = chars.get(*at) == Some(&'"');
                let text = if is_quoted { quoted(chars, at)? } else { bare(chars, at) };
                return Ok(term(Some(key), text, is_quoted, value_start));
            }
            *at += 1;
        }
        Ok(term(None, chars[start..*at].iter().collect(), false, start))
    }
}

fn bare(chars: &[char], at: &mut usize) -> String {
    let start = *at;
    while *at < chars.len() && !chars[*at].is_whitespace() {
        *at += 1;
    }
    chars[start..*at].iter().collect()
}

fn quoted(chars: &[char], at: &mut usize) -> Result<String, SearchError> {
    let opened = *at;
    *at += 1;
    let mut text = String::new();
    while *at < chars.len() {
        match chars[*at] {
            '"' => {
                *at += 1;
                return Ok(text);
            }
            '\\' if matches!(chars.get(*at + 1), Some('"' | '\\')) => {
                text.push(chars[*at + 1]);
                *at += 2;
            }
            other => {
                text.push(other);
                *at += 1;
            }
        }
    }
    Err(SearchError { at: opened..chars.len(), told: "this quote is not closed: put a `\"` at its end".into() })
}

fn example_of(key: &str) -> &'static str {
    match key {
        "environment" => "production",
        "release" => "1.4.2",
        _ => KEYS.iter().find(|(known, _)| *known == key).map_or("value", |(_, example)| example),
    }
}

enum Age {
    Within(Duration),
    Beyond(Duration),
}

fn age(key: &str, text: &str) -> Result<Age, Fault> {
    let wrong = || {
        Fault::Value(format!("`{key}:{text}` is not an age: write it as `{key}:<24h` or `{key}:>7d`, with m, h or d"))
    };
    let (is_within, rest) = match text.chars().next() {
        Some('<') => (true, &text[1..]),
        Some('>') => (false, &text[1..]),
        _ => return Err(wrong()),
    };
    let unit = rest.chars().last().ok_or_else(wrong)?;
    let number: i64 = rest[..rest.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
    let span = match unit {
        'm' if (1..=1_000_000).contains(&number) => Duration::minutes(number),
        'h' if (1..=100_000).contains(&number) => Duration::hours(number),
        'd' if (1..=4_000).contains(&number) => Duration::days(number),
        _ => return Err(wrong()),
    };
    Ok(if is_within { Age::Within(span) } else { Age::Beyond(span) })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
    use super::*;

    #[test]
    fn all_kinds_of_terms_stand_side_by_side() {
        let search = Search::parse(
            r#"timeout environment:production class:Net::ReadTimeout "went \"away\"" is:muted tag.Shop:eu first-seen:<24h
               -file:vendor/ count:>100 users:<=3 user:ann@example.org assigned:me -release:1.4.2 last-seen:>7d"#,
        )
        .unwrap();
        assert_eq!(search.words, [("timeout".to_owned(), Sign::Is)]);
        assert_eq!(
            search.texts,
            [
                (Place::Class, "Net::ReadTimeout".to_owned(), Sign::Is),
                (Place::Anywhere, "went \"away\"".to_owned(), Sign::Is),
                (Place::File, "vendor/".to_owned(), Sign::IsNot),
            ]
        );
        assert_eq!(
            search.facets,
            [
                ("environment".to_owned(), "production".to_owned(), Sign::Is),
                ("Shop".to_owned(), "eu".to_owned(), Sign::Is),
                ("release".to_owned(), "1.4.2".to_owned(), Sign::IsNot)
            ]
        );
        assert_eq!(search.states, Some(vec![GroupState::Muted]));
        assert_eq!(search.first_seen, Ago { within: Some(Duration::hours(24)), beyond: None });
        assert_eq!(search.last_seen, Ago { within: None, beyond: Some(Duration::days(7)) });
        assert_eq!(search.notice_count, Between { least: Some(101), most: None });
        assert_eq!(search.user_count, Between { least: None, most: Some(3) });
        assert_eq!(search.met_by, [("ann@example.org".to_owned(), Sign::Is)]);
        assert_eq!(search.assigned, [(Assignee::Me, Sign::Is)]);
        assert!(search.names_me());
    }

    #[test]
    fn a_class_with_colons_is_a_word() {
        let words = Search::parse("ActiveRecord::RecordNotFound").unwrap().words;
        assert_eq!(words, [("ActiveRecord::RecordNotFound".to_owned(), Sign::Is)]);
        assert_eq!(Search::parse("  ").unwrap(), Search::default());
    }

    #[test]
    fn a_minus_turns_a_term_round() {
        let parse = |query: &str| Search::parse(query).unwrap();
        assert_eq!(parse("-is:resolved").states, Some(vec![GroupState::Unresolved, GroupState::Muted]));
        assert_eq!(parse("-is:resolved -is:muted").states, Some(vec![GroupState::Unresolved]));
        assert_eq!(parse("-first-seen:<24h").first_seen, parse("first-seen:>24h").first_seen);
        assert_eq!(parse("-count:>100").notice_count, parse("count:<=100").notice_count);
        assert_eq!(parse("-count:<100").notice_count, parse("count:>=100").notice_count);
        assert_eq!(parse("is:unassigned").assigned, parse("-is:assigned").assigned);
        assert_eq!(parse("assigned:none").assigned, parse("is:unassigned").assigned);
        assert_eq!(parse("-timeout").words, [("timeout".to_owned(), Sign::IsNot)]);
        assert_eq!(parse("--force -").words, [("--force".to_owned(), Sign::Is), ("-".to_owned(), Sign::Is)]);
    }

    #[test]
    fn of_two_bounds_the_narrower_holds() {
        let search = Search::parse("count:>5 count:>=10 count:<100 count:<=50 first-seen:<7d first-seen:<1d").unwrap();
        assert_eq!(search.notice_count, Between { least: Some(10), most: Some(50) });
        assert_eq!(search.first_seen.within, Some(Duration::days(1)));
    }

    #[test]
    fn faults_say_where_they_are() {
        for (query, wrong, part) in [
            ("a is:broken b", "broken", "is not known: there are is:unresolved"),
            ("ab colour:red", "colour:", "`colour:` is not known"),
            ("x \"open", "\"open", "not closed"),
            ("environment:", "environment:", "needs a value, as in `environment:production`"),
            ("x first-seen:yesterday", "yesterday", "is not an age"),
            ("é is: x", "is:", "needs a value"),
            ("is:resolved is:muted", "is:muted", "one state only"),
            ("count:many", "many", "is not a number"),
            ("count:>9999999999999999999999", ">9999999999999999999999", "is not a number"),
            ("-users:5", "users:5", "cannot be left out"),
        ] {
            let error = Search::parse(query).unwrap_err();
            assert!(error.split(query)[1].ends_with(wrong), "{query}: {:?}", error.split(query));
            assert_eq!(error.split(query).concat(), query);
            assert!(error.told.contains(part), "{query}: {}", error.told);
        }
        assert!(Search::parse("é is:").unwrap_err().to_string().ends_with("(at character 3)"));
    }

    #[test]
    fn nothing_typed_breaks_out_of_the_text_query() {
        let search = Search::parse(r"don't a\b NoMethodError &|!() foo_bar").unwrap();
        assert_eq!(
            search.text_query().unwrap(),
            "('don''t':* | ('don':* & 't':*)) & ('a b':* | ('a':* & 'b':*)) & ('nomethoderror':* | ('no':* & 'method':* & 'error':*)) \
             & '&|!()':* & ('foo_bar':* | ('foo':* & 'bar':*))"
        );
    }

    #[test]
    fn a_text_narrows_by_its_words() {
        let search = Search::parse(r#"file:app/a/b.rb -"not this" class:x "=> 1" -no -none"#).unwrap();
        assert_eq!(search.text_query().unwrap(), "('app/a/b.rb':* | ('app':* & 'rb':*))");
        assert_eq!(search.text_query_not().unwrap(), "'no':* | 'none':*");
        assert_eq!(Search::parse("-x").unwrap().text_query(), None);
    }

    #[test]
    fn long_queries_are_refused() {
        assert!(Search::parse(&"x".repeat(501)).is_err());
        assert!(Search::parse(&"x ".repeat(21)).is_err());
    }
}
