//! What the notices of a group are told apart by.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use crate::{NoticeFacts, json_tree};

/// Most keys of one notice.
const KEYS_MAX: usize = 50;

/// Longest value, in characters.
const VALUE_CHARS_MAX: usize = 200;

/// The facets of a notice: key and value, at most 50 keys, values of at most 200 characters and never empty.
pub fn facets(notice: &NoticeFacts) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let mut facets = Facets(Vec::with_capacity(8));
    let request = notice.request.as_ref();
    facets.add("environment", notice.environment.as_deref());
    facets.add("release", notice.release.as_deref());
    facets.add("hostname", notice.server.as_ref().and_then(|server| server.hostname.as_deref()));
    facets.add("severity", notice.severity.as_deref());
    let component = request.and_then(|request| request.component.as_deref()).filter(|name| !name.is_empty());
    let action = request.and_then(|request| request.action.as_deref()).filter(|name| !name.is_empty());
    match (component, action) {
        (Some(component), Some(action)) => facets.add_owned("action", &format!("{component}#{action}")),
        (component, action) => facets.add("action", component.or(action)),
    }
    if notice.errors.len() > 1 {
        facets.add("cause", notice.errors.last().and_then(|error| error.class.as_deref()));
    }
    if let Some(notifier) = &notice.notifier {
        let words = [notifier.name.as_deref(), notifier.version.as_deref()];
        facets.add_owned("notifier", &words.into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
    facets.add_tags(notice.tags_json.as_deref());
    facets.0
}

/// A hash of who was affected: the user's id, else e-mail address, else name, else network address.
pub fn user_hash(notice: &NoticeFacts) -> Option<u64> {
    let user = notice.user.as_ref()?;
    let who = [("id", &user.id), ("email", &user.email), ("username", &user.username), ("ip", &user.ip)];
    let (kind, who) = who.iter().find_map(|(kind, who)| Some((kind, who.as_deref().filter(|who| !who.is_empty())?)))?;
    Some(hash_of(kind, who))
}

/// Every hash that [`user_hash`] may have made of this id, address or name.
pub fn user_hashes(who: &str) -> [u64; 4] {
    ["id", "email", "username", "ip"].map(|kind| hash_of(kind, who))
}

fn hash_of(kind: &str, who: &str) -> u64 {
    xxh3_64(format!("{kind}\0{who}").as_bytes())
}

struct Facets<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Facets<'a> {
    fn add(&mut self, key: &'a str, value: Option<&'a str>) {
        let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else {
            return;
        };
        let value = match value.char_indices().nth(VALUE_CHARS_MAX) {
            Some((end, _)) => &value[..end],
            None => value,
        };
        self.0.push((Cow::Borrowed(key), Cow::Borrowed(value)));
    }

    fn add_owned(&mut self, key: &'a str, value: &str) {
        let value = value.trim();
        if !value.is_empty() {
            self.0.push((Cow::Borrowed(key), Cow::Owned(value.chars().take(VALUE_CHARS_MAX).collect())));
        }
    }

    fn add_tags(&mut self, tags: Option<&str>) {
        let Some(Ok(read)) = tags.map(json_tree::read) else {
            return;
        };
        let json_tree::Tree::Map(tags) = read.tree else {
            return;
        };
        for (key, value) in tags {
            let Some(value) = value.scalar().map(str::trim).filter(|value| !value.is_empty()) else {
                continue;
            };
            let is_taken = self.0.iter().any(|(taken, _)| *taken == key);
            if self.0.len() < KEYS_MAX && !is_taken && !key.is_empty() && key.len() <= VALUE_CHARS_MAX {
                let value = value.chars().take(VALUE_CHARS_MAX).collect();
                self.0.push((Cow::Owned(key.into_owned()), Cow::Owned(value)));
            }
        }
    }
}
