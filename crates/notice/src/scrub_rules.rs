//! What a project takes out of its notices beside what is always taken out: fields by name, text by pattern, addresses of people.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::borrow::Cow;

use regex::{Regex, RegexBuilder, RegexSetBuilder};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::json_tree::{self, Tree};
use crate::scrub::FILTERED;
use crate::{Notice, SnapshotScrubbing};

/// Most names of fields, and most patterns, of one project.
pub const SCRUB_RULES_MAX: usize = 50;

/// Longest name of a field, and longest pattern, in characters.
pub const SCRUB_RULE_CHARS_MAX: usize = 200;

/// Most bytes of all patterns of a project, compiled: what a search costs for each letter at worst grows with them. Seven usual ones (cards,
/// addresses of mail, bank accounts) have 420 KiB, as `\d` and `\w` are of every alphabet.
const PATTERNS_BYTES_MAX: usize = 1024 * 1024;

/// Most bytes that a pattern remembers while it searches.
const SEARCH_BYTES_MAX: usize = 256 * 1024;

/// Bits of an address that are left when it is cut: a network, and nobody in it.
const IPV4_BITS_KEPT: u32 = 24;
const IPV6_BITS_KEPT: u32 = 48;

/// Keys, without all that is no letter or digit, whose values are addresses of people.
const ADDRESS_KEYS: [&str; 10] = [
    "remoteaddr",
    "remoteip",
    "remotehost",
    "ip",
    "ipaddress",
    "clientip",
    "xforwardedfor",
    "xrealip",
    "forwarded",
    "cfconnectingip",
];

/// What becomes of the addresses of people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IpRule {
    /// They stay.
    #[default]
    Keep,
    /// Only their network stays: 24 bits of IPv4, 48 of IPv6.
    Cut,
    /// They go.
    Drop,
}

impl IpRule {
    /// The rule's name everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            IpRule::Keep => "keep",
            IpRule::Cut => "cut",
            IpRule::Drop => "drop",
        }
    }

    /// The rule of this name.
    pub fn parse(name: &str) -> Option<IpRule> {
        [IpRule::Keep, IpRule::Cut, IpRule::Drop].into_iter().find(|rule| rule.as_str() == name)
    }
}

/// Why rules cannot be used.
#[derive(Debug, Error)]
pub enum ScrubRulesError {
    /// There are too many of them.
    #[error("there are more than {SCRUB_RULES_MAX} names or patterns")]
    TooMany,
    /// One is too long.
    #[error("`{0}` is longer than {SCRUB_RULE_CHARS_MAX} characters")]
    TooLong(String),
    /// A name has nothing to be recognised by.
    #[error("`{0}` has no letter or digit in it: it names no field")]
    NoName(String),
    /// A pattern is not a regular expression, or would cost too much.
    #[error("`{pattern}` is not a pattern that can be used")]
    Pattern {
        /// Which.
        pattern: String,
        /// Why.
        source: regex::Error,
    },
    /// All of them together would cost too much.
    #[error("all patterns together are too large: `[0-9]` is smaller than `\\d`, and `{{1,10}}` than `{{1,100}}`")]
    TooCostly,
    /// A pattern would take out everything.
    #[error("`{0}` matches nothing at all, and so everywhere")]
    Empty(String),
}

/// A project's own rules, ready to be applied.
#[derive(Clone, Debug, Default)]
pub struct ScrubRules {
    /// Names of fields, squeezed.
    fields: Vec<String>,
    patterns: Vec<Regex>,
    ip: IpRule,
}

impl ScrubRules {
    /// Rules from names of fields and regular expressions; each is bounded, and so are all of them.
    pub fn new(fields: &[String], patterns: &[String], ip: IpRule) -> Result<ScrubRules, ScrubRulesError> {
        if fields.len() > SCRUB_RULES_MAX || patterns.len() > SCRUB_RULES_MAX {
            return Err(ScrubRulesError::TooMany);
        }
        if let Some(long) = fields.iter().chain(patterns).find(|text| text.chars().count() > SCRUB_RULE_CHARS_MAX) {
            return Err(ScrubRulesError::TooLong(long.chars().take(SCRUB_RULE_CHARS_MAX).collect()));
        }
        let fields = fields.iter().map(|name| match squeezed(name) {
            name if name.is_empty() => Err(ScrubRulesError::NoName(name)),
            name => Ok(name),
        });
        let patterns = patterns.iter().map(|pattern| {
            let built = RegexBuilder::new(pattern)
                .size_limit(PATTERNS_BYTES_MAX)
                .dfa_size_limit(SEARCH_BYTES_MAX)
                .build()
                .map_err(|source| ScrubRulesError::Pattern { pattern: pattern.clone(), source })?;
            if built.is_match("") { Err(ScrubRulesError::Empty(pattern.clone())) } else { Ok(built) }
        });
        let rules =
            ScrubRules { fields: fields.collect::<Result<_, _>>()?, patterns: patterns.collect::<Result<_, _>>()?, ip };
        let together =
            RegexSetBuilder::new(rules.patterns.iter().map(Regex::as_str)).size_limit(PATTERNS_BYTES_MAX).build();
        together.map_err(|_| ScrubRulesError::TooCostly)?;
        Ok(rules)
    }

    /// The rules that travel with the snapshot of projects.
    pub fn of(published: &SnapshotScrubbing) -> Result<ScrubRules, ScrubRulesError> {
        let ip = IpRule::parse(&published.ip).unwrap_or_default();
        ScrubRules::new(&published.fields, &published.patterns, ip)
    }

    /// Those of published rules that can be used, for whoever cannot use all of them.
    pub fn usable(published: &SnapshotScrubbing) -> ScrubRules {
        let mut usable = ScrubRules { ip: IpRule::parse(&published.ip).unwrap_or_default(), ..ScrubRules::default() };
        for name in &published.fields {
            usable.add(ScrubRules::new(std::slice::from_ref(name), &[], IpRule::Keep));
        }
        for pattern in &published.patterns {
            usable.add(ScrubRules::new(&[], std::slice::from_ref(pattern), IpRule::Keep));
        }
        usable
    }

    fn add(&mut self, rules: Result<ScrubRules, ScrubRulesError>) {
        if let Ok(rules) = rules {
            self.fields.extend(rules.fields);
            self.patterns.extend(rules.patterns);
        }
    }

    /// Whether they may take long: a pattern can be so that each letter of a text costs microseconds.
    pub fn may_take_long(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Whether there is nothing that they do.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.patterns.is_empty() && self.ip == IpRule::Keep
    }

    /// Takes out of a notice what they say, and says so in its notes. After [`crate::scrub()`].
    pub fn apply(&self, notice: &mut Notice) {
        if self.is_empty() {
            return;
        }
        let mut found = Applied { rules: self, has_taken: false, has_cut: false };
        for error in &mut notice.errors {
            found.text(error.message.as_mut());
            found.text(error.formatted.as_mut());
            found.json(error.mechanism_json.as_mut());
            for frame in &mut error.frames {
                frame.code.iter_mut().for_each(|code| found.text(Some(&mut code.text)));
                found.json(frame.vars_json.as_mut());
            }
        }
        if let Some(request) = &mut notice.request {
            found.text(request.url.as_mut());
            for json in [
                &mut request.params_json,
                &mut request.session_json,
                &mut request.headers_json,
                &mut request.cgi_json,
                &mut request.body_json,
                &mut request.cookies_json,
            ] {
                found.json(json.as_mut());
            }
        }
        if let Some(user) = &mut notice.user {
            for (name, value) in [
                ("id", &mut user.id),
                ("name", &mut user.name),
                ("username", &mut user.username),
                ("email", &mut user.email),
            ] {
                if self.fields.iter().any(|field| field == name || *field == format!("user{name}")) {
                    found.has_taken |= value.take().is_some();
                } else {
                    found.text(value.as_mut());
                }
            }
            found.address(&mut user.ip);
        }
        if let Some(server) = &mut notice.server {
            found.json(server.extra_json.as_mut());
        }
        for json in [
            &mut notice.tags_json,
            &mut notice.breadcrumbs_json,
            &mut notice.contexts_json,
            &mut notice.extra_json,
            &mut notice.threads_json,
            &mut notice.unmapped_json,
        ] {
            found.json(json.as_mut());
        }
        let (has_taken, has_cut) = (found.has_taken, found.has_cut);
        if has_taken {
            notice.notes.push("scrubbed: what the project's rules name".to_owned());
        }
        if has_cut {
            notice.notes.push("scrubbed: addresses of people".to_owned());
        }
    }
}

/// Rules at work on one notice.
struct Applied<'a> {
    rules: &'a ScrubRules,
    has_taken: bool,
    has_cut: bool,
}

impl Applied<'_> {
    fn text(&mut self, text: Option<&mut String>) {
        if let Some(text) = text
            && let Cow::Owned(scrubbed) = self.scrubbed(text)
        {
            *text = scrubbed;
        }
    }

    /// The text without what the patterns find, borrowed if they find nothing.
    fn scrubbed<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let mut scrubbed = Cow::Borrowed(text);
        for pattern in &self.rules.patterns {
            if let Cow::Owned(replaced) = pattern.replace_all(&scrubbed, regex::NoExpand(FILTERED)) {
                self.has_taken = true;
                scrubbed = Cow::Owned(replaced);
            }
        }
        scrubbed
    }

    fn address(&mut self, address: &mut Option<String>) {
        match (self.rules.ip, address.as_deref()) {
            (IpRule::Keep, _) | (_, None) => {}
            (IpRule::Drop, Some(_)) => {
                *address = None;
                self.has_cut = true;
            }
            (IpRule::Cut, Some(text)) => {
                *address = cut(text);
                self.has_cut = true;
            }
        }
    }

    fn json(&mut self, json: Option<&mut String>) {
        let Some(json) = json else { return };
        let Ok(mut read) = json_tree::read(json) else { return };
        if self.tree(&mut read.tree) {
            *json = read.tree.to_text();
        }
    }

    /// Whether anything was taken out.
    fn tree(&mut self, tree: &mut Tree<'_>) -> bool {
        match tree {
            Tree::Text(text) => match self.scrubbed(text) {
                Cow::Borrowed(_) => false,
                Cow::Owned(scrubbed) => {
                    *text = Cow::Owned(scrubbed);
                    true
                }
            },
            Tree::List(items) => items.iter_mut().fold(false, |changed, item| self.tree(item) | changed),
            Tree::Map(entries) => {
                entries.iter_mut().fold(false, |changed, (key, value)| self.entry(key, value) | changed)
            }
            Tree::Null | Tree::Bool(_) | Tree::Number(_) => false,
        }
    }

    fn entry(&mut self, key: &str, value: &mut Tree<'_>) -> bool {
        let name = squeezed(key);
        if self.rules.fields.contains(&name) {
            if value.is_empty() || value.scalar() == Some(FILTERED) {
                return false;
            }
            *value = Tree::Text(Cow::Borrowed(FILTERED));
            self.has_taken = true;
            return true;
        }
        let name = name.strip_prefix("http").unwrap_or(&name);
        if self.rules.ip != IpRule::Keep && ADDRESS_KEYS.contains(&name) && value.scalar().is_some_and(has_address) {
            let left = if self.rules.ip == IpRule::Cut { value.scalar().and_then(cut) } else { None };
            *value = left.map_or(Tree::Text(Cow::Borrowed(FILTERED)), |left| Tree::Text(Cow::Owned(left)));
            self.has_cut = true;
            return true;
        }
        self.tree(value)
    }
}

/// A name without all that is no letter or digit, in lower case: `X-Forwarded-For` and `x_forwarded_for` are one.
fn squeezed(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether the first of a list of addresses is one.
fn has_address(text: &str) -> bool {
    first(text).is_some()
}

/// The first address of a list, as headers of proxies have it.
fn first(text: &str) -> Option<IpAddr> {
    let text = text.split(',').next()?.trim();
    let text = text.strip_prefix("for=").unwrap_or(text).trim_matches('"');
    text.trim_matches(['[', ']']).parse().ok().or_else(|| text.parse::<core::net::SocketAddr>().ok().map(|at| at.ip()))
}

/// The network of an address; nothing when it is none.
fn cut(text: &str) -> Option<String> {
    let network = match first(text)? {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << (32 - IPV4_BITS_KEPT)))),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - IPV6_BITS_KEPT))))
        }
    };
    Some(network.to_string())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;
    use crate::{Error, Request, User};

    fn rules(fields: &[&str], patterns: &[&str], ip: IpRule) -> Result<ScrubRules, ScrubRulesError> {
        let owned = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
        ScrubRules::new(&owned(fields), &owned(patterns), ip)
    }

    #[test]
    fn fields_are_taken_out_by_name_and_text_by_pattern() {
        let mut notice = Notice {
            errors: vec![Error { message: Some("no order AB-1234 for 7".into()), ..Error::default() }],
            request: Some(Request {
                params_json: Some(r#"{"iban":"DE00","I-BAN":{"a":1},"note":"see AB-99","n":1.50}"#.into()),
                ..Request::default()
            }),
            user: Some(User { email: Some("a@example.org".into()), name: Some("Ada".into()), ..User::default() }),
            ..Notice::default()
        };
        rules(&["iban", "user.email"], &["AB-[0-9]+"], IpRule::Keep).unwrap().apply(&mut notice);
        assert_eq!(notice.errors[0].message.as_deref(), Some("no order [FILTERED] for 7"));
        let params = notice.request.unwrap().params_json.unwrap();
        assert_eq!(params, r#"{"iban":"[FILTERED]","I-BAN":"[FILTERED]","note":"see [FILTERED]","n":1.50}"#);
        let user = notice.user.unwrap();
        assert_eq!((user.email, user.name.as_deref()), (None, Some("Ada")));
        assert_eq!(notice.notes, ["scrubbed: what the project's rules name"]);
    }

    #[test]
    fn addresses_are_kept_cut_or_dropped() {
        let with = |ip| {
            let mut notice = Notice {
                request: Some(Request {
                    cgi_json: Some(r#"{"REMOTE_ADDR":"192.0.2.77","SERVER_ADDR":"10.0.0.1"}"#.into()),
                    headers_json: Some(r#"{"X-Forwarded-For":"2001:db8:1:2::9, 10.0.0.2"}"#.into()),
                    ..Request::default()
                }),
                user: Some(User { ip: Some("198.51.100.23".into()), ..User::default() }),
                ..Notice::default()
            };
            rules(&[], &[], ip).unwrap().apply(&mut notice);
            let request = notice.request.unwrap();
            (notice.user.unwrap().ip, request.cgi_json.unwrap(), request.headers_json.unwrap())
        };
        let (ip, cgi, headers) = with(IpRule::Cut);
        assert_eq!(ip.as_deref(), Some("198.51.100.0"));
        assert_eq!(cgi, r#"{"REMOTE_ADDR":"192.0.2.0","SERVER_ADDR":"10.0.0.1"}"#);
        assert_eq!(headers, r#"{"X-Forwarded-For":"2001:db8:1::"}"#);
        let (ip, cgi, headers) = with(IpRule::Drop);
        assert_eq!(ip, None);
        assert_eq!(cgi, r#"{"REMOTE_ADDR":"[FILTERED]","SERVER_ADDR":"10.0.0.1"}"#);
        assert_eq!(headers, r#"{"X-Forwarded-For":"[FILTERED]"}"#);
        assert_eq!(with(IpRule::Keep).0.as_deref(), Some("198.51.100.23"));
    }

    #[test]
    fn rules_are_bounded() {
        assert!(matches!(rules(&[], &["("], IpRule::Keep), Err(ScrubRulesError::Pattern { .. })));
        assert!(matches!(rules(&[], &["(a{1000}){1000}"], IpRule::Keep), Err(ScrubRulesError::Pattern { .. })));
        let usual = [r"\d{16}", r"\b(?:\d[ -]*?){13,16}\b", r"[\w.+-]+@[\w-]+\.[\w.-]+", r"(?i)bearer\s+\S+"];
        assert!(rules(&[], &usual, IpRule::Keep).is_ok());
        assert!(matches!(rules(&[], &[r"a[ab]{3000}[^ab]"; 10], IpRule::Keep), Err(ScrubRulesError::TooCostly)));
        assert!(matches!(rules(&[], &["x*"], IpRule::Keep), Err(ScrubRulesError::Empty(_))));
        assert!(matches!(rules(&["--"], &[], IpRule::Keep), Err(ScrubRulesError::NoName(_))));
        assert!(matches!(rules(&["a"; 51], &[], IpRule::Keep), Err(ScrubRulesError::TooMany)));
        assert!(matches!(rules(&[], &[&"a".repeat(201)], IpRule::Keep), Err(ScrubRulesError::TooLong(_))));
    }
}
