//! What the search box offers while somebody types: keys, and the values that are there.

use super::search::{FACET_KEYS, KEYS, TAG_PREFIX};
use super::{GroupState, Opened, ReadError, Reader};

/// Most that is offered at once.
const OFFERS_MAX: usize = 12;
/// Different classes that are looked through for one that has the text.
const CLASSES_MAX: i32 = 1_000;

/// The term that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typing {
    /// Where what is replaced begins, in bytes.
    pub from: usize,
    /// The key, when its colon has been typed.
    pub key: Option<String>,
    /// What there is of the key, or of the value.
    pub begun: String,
}

impl Typing {
    /// The term at the end of what has been typed so far.
    #[must_use]
    pub fn at_the_end_of(query: &str) -> Typing {
        let mut start = 0;
        let mut is_quoted = false;
        let mut is_escaped = false;
        for (at, letter) in query.char_indices() {
            match letter {
                '"' if !is_escaped => is_quoted = !is_quoted,
                letter if letter.is_whitespace() && !is_quoted => start = at + letter.len_utf8(),
                _ => {}
            }
            is_escaped = letter == '\\' && !is_escaped;
        }
        if query[start..].starts_with('-') {
            start += 1;
        }
        let term = &query[start..];
        match term.split_once(':') {
            Some((key, value)) if !key.is_empty() && !key.contains('"') => Typing {
                from: start + key.len() + 1,
                key: Some(if key.starts_with(TAG_PREFIX) { key.to_owned() } else { key.to_lowercase() }),
                begun: value.trim_start_matches('"').to_owned(),
            },
            _ => Typing { from: start, key: None, begun: term.to_owned() },
        }
    }
}

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What is put in the place of what was begun.
    pub text: String,
    /// What it means, or an example.
    pub hint: String,
}

impl Offer {
    fn value(value: &str) -> Offer {
        let is_plain = !value.contains(char::is_whitespace) && !value.contains('"');
        let text = if is_plain {
            value.to_owned()
        } else {
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        };
        Offer { text, hint: String::new() }
    }
}

impl Reader {
    /// Ways to go on with a term, for a project.
    pub async fn offers(&self, opened: &Opened, typing: &Typing) -> Result<Vec<Offer>, ReadError> {
        let begun = typing.begun.as_str();
        let Some(key) = typing.key.as_deref() else {
            return match begun.strip_prefix(TAG_PREFIX) {
                Some(name) => self.tag_offers(opened, name).await,
                None => Ok(key_offers(&begun.to_lowercase())),
            };
        };
        let fixed = |values: &[&str]| -> Vec<Offer> {
            values
                .iter()
                .filter(|value| value.starts_with(&begun.to_lowercase()))
                .map(|value| Offer::value(value))
                .collect()
        };
        Ok(match key {
            "is" => {
                let states = GroupState::ALL.map(GroupState::as_str);
                fixed(&[&states[..], &["assigned", "unassigned"]].concat())
            }
            "first-seen" | "last-seen" => fixed(&["<1h", "<24h", "<7d", ">24h", ">7d", ">30d"]),
            "count" => fixed(&[">10", ">100", ">1000", "<10"]),
            "users" => fixed(&[">0", ">10", ">100", "<10"]),
            "assigned" => {
                let mut offers = fixed(&["me", "none"]);
                offers.extend(self.member_offers(opened, begun).await?);
                offers
            }
            "class" => self.class_offers(opened, begun).await?,
            key if FACET_KEYS.contains(&key) => self.value_offers(opened, key, begun).await?,
            key if key.starts_with(TAG_PREFIX) => self.value_offers(opened, &key[TAG_PREFIX.len()..], begun).await?,
            _ => Vec::new(),
        })
    }

    async fn tag_offers(&self, opened: &Opened, begun: &str) -> Result<Vec<Offer>, ReadError> {
        let keys = sqlx::query_file_scalar!(
            "queries/read_facet_keys.sql",
            opened.id(),
            begun,
            i64::try_from(OFFERS_MAX + FACET_KEYS.len()).unwrap_or(i64::MAX)
        )
        .fetch_all(&self.pool)
        .await?;
        let tags = keys.into_iter().filter(|key| !FACET_KEYS.contains(&key.as_str()));
        let offers = tags.map(|key| Offer { text: format!("{TAG_PREFIX}{key}:"), hint: String::new() });
        Ok(offers.take(OFFERS_MAX).collect())
    }

    async fn value_offers(&self, opened: &Opened, key: &str, begun: &str) -> Result<Vec<Offer>, ReadError> {
        let values =
            sqlx::query_file_scalar!("queries/read_facet_values.sql", opened.id(), key, begun, OFFERS_MAX as i64)
                .fetch_all(&self.pool)
                .await?;
        Ok(values.iter().map(|value| Offer::value(value)).collect())
    }

    async fn class_offers(&self, opened: &Opened, begun: &str) -> Result<Vec<Offer>, ReadError> {
        let classes =
            sqlx::query_file_scalar!("queries/read_classes.sql", opened.id(), CLASSES_MAX, begun, OFFERS_MAX as i64)
                .fetch_all(&self.pool)
                .await?;
        Ok(classes.iter().map(|class| Offer::value(class)).collect())
    }

    async fn member_offers(&self, opened: &Opened, begun: &str) -> Result<Vec<Offer>, ReadError> {
        let members = sqlx::query!(
            "select u.email, u.name from project_access m join user_account u on u.id = m.user_id
             where m.project_id = $1 and (starts_with(u.email, lower($2)) or starts_with(lower(u.name), lower($2)))
             order by u.email limit $3",
            opened.id(),
            begun,
            OFFERS_MAX as i64
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(members.into_iter().map(|member| Offer { hint: member.name, ..Offer::value(&member.email) }).collect())
    }
}

fn key_offers(begun: &str) -> Vec<Offer> {
    let facets = [("environment", "production"), ("release", "1.4.2")].into_iter();
    let others = FACET_KEYS.into_iter().skip(2).map(|key| (key, ""));
    let all = facets.chain(KEYS).chain(others).chain([(TAG_PREFIX, "NAME:value")]);
    all.filter(|(key, _)| key.starts_with(begun))
        .map(|(key, hint)| {
            let text = if key == TAG_PREFIX { key.to_owned() } else { format!("{key}:") };
            Offer { text, hint: hint.to_owned() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_at_the_end_is_the_one_that_is_typed() {
        for (query, from, key, begun) in [
            ("", 0, None, ""),
            ("env", 0, None, "env"),
            ("a -is:un", 6, Some("is"), "un"),
            ("is:muted ", 9, None, ""),
            ("tag.Shop:e", 9, Some("tag.Shop"), "e"),
            (r#"release:"1 b"#, 8, Some("release"), "1 b"),
            (r#"ü "a \" b" cl"#, 12, None, "cl"),
        ] {
            let key = key.map(str::to_owned);
            assert_eq!(Typing::at_the_end_of(query), Typing { from, key, begun: begun.into() }, "{query}");
        }
    }

    #[test]
    fn what_has_spaces_is_quoted() {
        assert_eq!(Offer::value("web-1").text, "web-1");
        assert_eq!(Offer::value(r#"say "a b""#).text, r#""say \"a b\"""#);
        assert_eq!(key_offers("rel")[0].text, "release:");
        assert_eq!(key_offers("").len(), FACET_KEYS.len() + KEYS.len() + 1);
    }
}
