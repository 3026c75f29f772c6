//! What people type into the search box of a project.
//!
//! Words, `"quoted text"`, `class:…`, `is:unresolved`, `first-seen:<24h`, and `key:value` for the facets that every
//! notice has. Every term narrows: a group is found when it meets all of them.

use time::Duration;

use super::GroupState;

/// Longest text that is looked at, in characters.
const QUERY_CHARS_MAX: usize = 500;
/// Most terms of one query.
const TERMS_MAX: usize = 20;

/// Keys whose values are facets of a group.
const FACET_KEYS: [&str; 7] = ["environment", "release", "hostname", "action", "cause", "severity", "notifier"];
/// Keys of facets that a client made up are written `tag.NAME:value`.
const TAG_PREFIX: &str = "tag.";

/// A query that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Words that begin a word of the group's text.
    pub words: Vec<String>,
    /// Text that stands so in class, message or culprit.
    pub phrases: Vec<String>,
    /// Parts of the class.
    pub classes: Vec<String>,
    /// Facets that the group's notices had: key and value.
    pub facets: Vec<(String, String)>,
    /// The group's state.
    pub state: Option<GroupState>,
    /// First seen less long ago than this.
    pub first_seen_within: Option<Duration>,
    /// Last seen less long ago than this.
    pub last_seen_within: Option<Duration>,
    /// Not seen for at least this long.
    pub not_seen_for: Option<Duration>,
}

/// What is wrong with a query, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{told} (at character {at})")]
pub struct SearchError {
    /// The first character of the term at fault, counted from 1.
    pub at: usize,
    /// What is wrong and what would be right.
    pub told: String,
}

impl Search {
    /// Understands a query, or says what is wrong with it and where.
    pub fn parse(query: &str) -> Result<Search, SearchError> {
        let chars: Vec<char> = query.chars().collect();
        if chars.len() > QUERY_CHARS_MAX {
            return Err(SearchError {
                at: QUERY_CHARS_MAX + 1,
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
                return Err(SearchError { at: start + 1, told: format!("a search has at most {TERMS_MAX} terms") });
            }
            let term = Term::read(&chars, &mut at)?;
            search.add(term).map_err(|told| SearchError { at: start + 1, told })?;
        }
        Ok(search)
    }

    fn add(&mut self, term: Term) -> Result<(), String> {
        let Some(key) = term.key else {
            if term.is_quoted {
                self.phrases.push(term.text);
            } else {
                self.words.push(term.text);
            }
            return Ok(());
        };
        if term.text.is_empty() {
            return Err(format!("`{key}:` needs a value, as in `{key}:{}`", example_of(&key)));
        }
        match key.as_str() {
            "class" => self.classes.push(term.text),
            "is" => {
                let state = GroupState::parse(&term.text).ok_or_else(|| {
                    format!("`is:{}` is not a state: is:unresolved, is:resolved or is:muted", term.text)
                })?;
                if self.state.is_some_and(|earlier| earlier != state) {
                    return Err("a group is in one state only: leave one `is:` away".into());
                }
                self.state = Some(state);
            }
            "first-seen" => match age(&key, &term.text)? {
                Age::Within(span) => self.first_seen_within = Some(span),
                Age::Beyond(_) => return Err("`first-seen:` takes an age as in `first-seen:<24h`".into()),
            },
            "last-seen" => match age(&key, &term.text)? {
                Age::Within(span) => self.last_seen_within = Some(span),
                Age::Beyond(span) => self.not_seen_for = Some(span),
            },
            key if FACET_KEYS.contains(&key) => self.facets.push((key.to_owned(), term.text)),
            key if key.len() > TAG_PREFIX.len() && key.starts_with(TAG_PREFIX) => {
                self.facets.push((key[TAG_PREFIX.len()..].to_owned(), term.text));
            }
            _ => {
                return Err(format!(
                    "`{key}:` is not known: there are {}, tag.NAME, class, is, first-seen and last-seen; put text with a colon in quotes",
                    FACET_KEYS.join(", ")
                ));
            }
        }
        Ok(())
    }

    /// The words as a PostgreSQL text query, each one the beginning of a word; `None` when there are none.
    pub(super) fn text_query(&self) -> Option<String> {
        let terms: Vec<String> = self.words.iter().map(|word| word_query(word)).collect();
        if terms.is_empty() { None } else { Some(terms.join(" & ")) }
    }
}

/// A word may have been stored whole or in the parts that its separators and capitals make: either will do.
fn word_query(word: &str) -> String {
    let whole = word.to_lowercase().replace('\\', " ").replace('\'', "''");
    let mut parts: Vec<String> = Vec::new();
    let mut was_lower = false;
    let mut is_new = true;
    for letter in word.chars() {
        if !letter.is_alphanumeric() {
            is_new = true;
            continue;
        }
        if is_new || (was_lower && letter.is_uppercase()) {
            parts.push(String::new());
        }
        is_new = false;
        was_lower = letter.is_lowercase() || letter.is_numeric();
        if let Some(part) = parts.last_mut() {
            part.extend(letter.to_lowercase());
        }
    }
    let parts: Vec<String> = parts.iter().map(|part| format!("'{part}':*")).collect();
    match parts.len() {
        0 => format!("'{whole}':*"),
        1 if parts[0] == format!("'{whole}':*") => parts[0].clone(),
        _ => format!("('{whole}':* | ({}))", parts.join(" & ")),
    }
}

struct Term {
    key: Option<String>,
    text: String,
    is_quoted: bool,
}

impl Term {
    /// Reads one term; `at` stands on its first character and is moved behind its last.
    fn read(chars: &[char], at: &mut usize) -> Result<Term, SearchError> {
        if chars[*at] == '"' {
            return Ok(Term { key: None, text: quoted(chars, at)?, is_quoted: true });
        }
        let start = *at;
        while *at < chars.len() && !chars[*at].is_whitespace() {
            // A colon after a plain word makes it a key; `Net::ReadTimeout` stays a word.
            if chars[*at] == ':' && *at > start && chars.get(*at + 1) != Some(&':') && chars[*at - 1] != ':' {
                let key: String = chars[start..*at].iter().collect();
                *at += 1;
                let is_quoted = chars.get(*at) == Some(&'"');
                let text = if is_quoted { quoted(chars, at)? } else { bare(chars, at) };
                return Ok(Term { key: Some(key.to_lowercase()), text, is_quoted });
            }
            *at += 1;
        }
        Ok(Term { key: None, text: chars[start..*at].iter().collect(), is_quoted: false })
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
    Err(SearchError { at: opened + 1, told: "this quote is not closed".into() })
}

fn example_of(key: &str) -> &'static str {
    match key {
        "environment" => "production",
        "is" => "unresolved",
        "class" => "Timeout",
        "release" => "1.4.2",
        "first-seen" | "last-seen" => "<24h",
        _ => "value",
    }
}

enum Age {
    Within(Duration),
    Beyond(Duration),
}

fn age(key: &str, text: &str) -> Result<Age, String> {
    let wrong = || format!("`{key}:{text}` is not an age: write it as `{key}:<24h`, with m, h or d");
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
        let search =
            Search::parse(r#"timeout environment:production class:Net::ReadTimeout "went \"away\"" is:muted tag.shop:eu first-seen:<24h"#)
                .unwrap();
        assert_eq!(search.words, ["timeout"]);
        assert_eq!(search.phrases, ["went \"away\""]);
        assert_eq!(search.classes, ["Net::ReadTimeout"]);
        assert_eq!(
            search.facets,
            [("environment".to_owned(), "production".to_owned()), ("shop".to_owned(), "eu".to_owned())]
        );
        assert_eq!(search.state, Some(GroupState::Muted));
        assert_eq!(search.first_seen_within, Some(Duration::hours(24)));
    }

    #[test]
    fn a_class_with_colons_is_a_word() {
        assert_eq!(Search::parse("ActiveRecord::RecordNotFound").unwrap().words, ["ActiveRecord::RecordNotFound"]);
        assert_eq!(Search::parse("  ").unwrap(), Search::default());
    }

    #[test]
    fn faults_say_where_they_are() {
        for (query, at, part) in [
            ("a is:broken", 3, "not a state"),
            ("ab colour:red", 4, "`colour:` is not known"),
            ("x \"open", 3, "not closed"),
            ("environment:", 1, "needs a value, as in `environment:production`"),
            ("x first-seen:yesterday", 3, "is not an age"),
            ("é is:", 3, "needs a value"),
            ("is:resolved is:muted", 13, "one state only"),
        ] {
            let error = Search::parse(query).unwrap_err();
            assert_eq!(error.at, at, "{query}");
            assert!(error.told.contains(part), "{query}: {}", error.told);
        }
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
    fn long_queries_are_refused() {
        assert!(Search::parse(&"x".repeat(501)).is_err());
        assert!(Search::parse(&"x ".repeat(21)).is_err());
    }
}
