//! Values put into the template of a message.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::normalise::MESSAGE_BYTES_MAX;

/// Most values that are put in. Messages that people can read have a handful.
const VALUES_MAX: usize = 1_000;

/// How strings among the values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoting {
    /// As they are.
    None,
    /// As Python's `repr` writes them: `'AB-1'`, `u'AB-1'`.
    Python,
}

/// The template with the values (a list or an object) in the places of `%s`, `%d`, `%(name)s`, or else of `{}`, `{0}`, `{name}`.
///
/// Nothing, when there is anything in it that is not simple: the template is then the better message.
pub(super) fn put_in(template: &str, values: &Tree<'_>, quoting: Quoting) -> Option<String> {
    if values.is_empty() {
        return None;
    }
    let mut out = Filled { text: String::with_capacity(template.len() + 64), values, quoting, next: 0 };
    let is_filled = if template.contains('%') { out.percent(template) } else { out.braces(template) };
    is_filled.filter(|()| out.next > 0).map(|()| out.text)
}

struct Filled<'t, 'a> {
    text: String,
    values: &'t Tree<'a>,
    quoting: Quoting,
    /// How many values were put in.
    next: usize,
}

impl Filled<'_, '_> {
    fn percent(&mut self, template: &str) -> Option<()> {
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('%') {
            self.push(before)?;
            let (name, after) = match after.strip_prefix('(') {
                Some(named) => named.split_once(')').map(|(name, after)| (Some(name), after))?,
                None => (None, after),
            };
            let mut kinds = after.chars();
            match kinds.next()? {
                '%' if name.is_none() => self.push("%")?,
                's' | 'd' | 'i' | 'u' | 'r' | 'j' | 'o' | 'O' => self.value(name)?,
                _ => return None,
            }
            rest = kinds.as_str();
        }
        self.push(rest)
    }

    fn braces(&mut self, template: &str) -> Option<()> {
        let mut rest = template;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(at);
            self.push(before)?;
            let brace = &after[..1];
            if let Some(after) = after[1..].strip_prefix(brace) {
                self.push(brace)?;
                rest = after;
                continue;
            }
            let (name, after) = after.strip_prefix('{')?.split_once('}')?;
            self.value(Some(name).filter(|name| !name.is_empty()))?;
            rest = after;
        }
        self.push(rest)
    }

    /// Puts in the value of this name or number, else the next one.
    fn value(&mut self, name: Option<&str>) -> Option<()> {
        if self.next == VALUES_MAX {
            return None;
        }
        let values = self.values;
        let value = match (values, name) {
            (Tree::List(items), None) => items.get(self.next)?,
            (Tree::List(items), Some(number)) => items.get(number.parse::<usize>().ok()?)?,
            (Tree::Map(entries), name) => {
                let name = name?;
                &entries.iter().find(|(key, _)| key == name)?.1
            }
            (only, None) if self.next == 0 => only,
            _ => return None,
        };
        self.next += 1;
        let text = match value {
            Tree::Null => Cow::Borrowed("null"),
            value => value.scalar().map_or_else(|| Cow::Owned(value.to_text()), Cow::Borrowed),
        };
        let text = if self.quoting == Quoting::Python { without_quotes(&text) } else { &text };
        self.push(text)
    }

    /// A template can name the same value again and again.
    fn push(&mut self, text: &str) -> Option<()> {
        if self.text.len() + text.len() > MESSAGE_BYTES_MAX {
            return None;
        }
        self.text.push_str(text);
        Some(())
    }
}

fn without_quotes(text: &str) -> &str {
    let quoted = text.strip_prefix('u').filter(|quoted| quoted.starts_with(['\'', '"'])).unwrap_or(text);
    ['\'', '"'].iter().find_map(|quote| quoted.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use notice::json_tree;

    use super::*;

    fn filled(template: &str, values: &str, quoting: Quoting) -> Option<String> {
        put_in(template, &json_tree::read(values).expect("is JSON").tree, quoting)
    }

    #[test]
    fn simple_places_are_filled() {
        for (template, values, expected) in [
            ("order %s failed for %s", r#"[17,"Zoë"]"#, "order 17 failed for Zoë"),
            ("%d %% of %i", "[5,9]", "5 % of 9"),
            ("%(who)s is %(what)s, %(who)s", r#"{"who":"Ann","what":"gone"}"#, "Ann is gone, Ann"),
            ("%s", r#"[{"a":[1]}]"#, r#"{"a":[1]}"#),
            ("disk of %s", r#""web-1""#, "disk of web-1"),
            ("{} and {}", r#"["a","b"]"#, "a and b"),
            ("{1}, {0}, {{0}}", r#"["a","b"]"#, "b, a, {0}"),
            ("{user} was here", r#"{"user":"Ann"}"#, "Ann was here"),
            ("%s", "[null]", "null"),
        ] {
            assert_eq!(filled(template, values, Quoting::None).as_deref(), Some(expected), "{template}");
        }
    }

    #[test]
    fn what_is_not_simple_is_left() {
        for (template, values) in [
            ("order %s", "[]"),
            ("order %s", "{}"),
            ("order %s and %s", "[1]"),
            ("%-10.3f", "[1]"),
            ("100%", "[1]"),
            ("%(who)s", r#"{"what":1}"#),
            ("%(who", r#"{"who":1}"#),
            ("%s", r#"{"who":1}"#),
            ("nothing", "[1]"),
            ("{", "[1]"),
            ("}", "[1]"),
            ("{0:x}", "[1]"),
            ("{5}", "[1]"),
        ] {
            assert_eq!(filled(template, values, Quoting::None), None, "{template}");
        }
    }

    #[test]
    fn quotes_of_python_go() {
        for (value, expected) in
            [("'AB-1'", "AB-1"), ("u'ä'", "ä"), ("\\\"it's\\\"", "it's"), ("17", "17"), ("'", "'"), ("u", "u")]
        {
            let values = format!("[\"{value}\"]");
            assert_eq!(filled("%s", &values, Quoting::Python).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_template_cannot_grow_without_bound() {
        assert_eq!(filled(&"%(a)s".repeat(VALUES_MAX + 1), r#"{"a":""}"#, Quoting::None), None);
        let values = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000));
        assert_eq!(filled(&"%(a)s".repeat(100_000), &values, Quoting::None), None);
    }
}
