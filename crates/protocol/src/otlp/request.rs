//! Who asked for what: attributes of servers' spans, under their names of today and of before.

use std::borrow::Cow;

use notice::json_tree::Tree;
use notice::{Request, User};

use super::record::Entries;
use crate::json::{part, set};

/// Longest text that is a tag, in bytes.
const TAG_BYTES_MAX: usize = 200;

/// Most tags of one notice that are not its resource's.
const TAGS_MAX: usize = 50;

/// Beginnings of names that tell how something was done and not what: these are no tags.
const DETAILS: [&str; 15] = [
    "client.",
    "code.",
    "enduser.",
    "error.",
    "exception.",
    "http.",
    "log.",
    "net.",
    "network.",
    "process.",
    "server.",
    "thread.",
    "url.",
    "user.",
    "user_agent.",
];

/// Where a client's address stands, the surest first.
const ADDRESSES: [&str; 5] =
    ["client.address", "http.client_ip", "net.peer.ip", "net.sock.peer.addr", "network.peer.address"];

/// Parts of which the address of what was asked for can be put together.
const URL_PARTS: [&str; 13] = [
    "url.full",
    "http.url",
    "url.scheme",
    "http.scheme",
    "server.address",
    "http.host",
    "net.host.name",
    "http.server_name",
    "server.port",
    "net.host.port",
    "url.path",
    "http.target",
    "url.query",
];

/// What attributes say of the request and the user, and short texts of the application's own.
#[derive(Default)]
pub(super) struct Details<'a> {
    request: Request,
    headers: Entries<'a>,
    user: User,
    pub(super) tags: Entries<'a>,
}

impl<'a> Details<'a> {
    /// Takes what it can from attributes, unless it has that already; gives back the rest. What an outgoing request says is not about the one that is served.
    pub(super) fn add(&mut self, attributes: Entries<'a>, is_outgoing: bool) -> Entries<'a> {
        let mut rest = Vec::new();
        let mut url = Vec::new();
        let mut address: Option<(usize, Cow<'a, str>, Tree<'a>)> = None;
        for (key, value) in attributes {
            if !is_outgoing && URL_PARTS.contains(&&*key) && value.scalar().is_some() {
                url.push((key, value));
            } else if !is_outgoing
                && let Some(rank) = ADDRESSES.iter().position(|name| *name == key)
                && address.as_ref().is_none_or(|(there, ..)| rank < *there)
                && value.scalar().is_some()
            {
                let before = address.replace((rank, key, value));
                rest.extend(before.map(|(_, key, value)| (key, value)));
            } else if let Some(value) = self.take(&key, value, is_outgoing) {
                if self.tags.len() < TAGS_MAX && is_tag(&key, &value) {
                    self.tags.push((key, value));
                } else {
                    rest.push((key, value));
                }
            }
        }
        if let Some((_, key, value)) = address
            && !set(&mut self.user.ip, &value)
        {
            rest.push((key, value));
        }
        if self.request.url.is_none() {
            self.request.url = put_together(&mut url);
        }
        rest.extend(url);
        rest
    }

    fn take(&mut self, key: &str, value: Tree<'a>, is_outgoing: bool) -> Option<Tree<'a>> {
        let field = match key {
            "user.id" | "enduser.id" | "enduser.pseudo.id" => &mut self.user.id,
            "user.name" => &mut self.user.username,
            "user.full_name" => &mut self.user.name,
            "user.email" => &mut self.user.email,
            _ if is_outgoing => return Some(value),
            "http.request.method" | "http.method" => &mut self.request.method,
            "http.route" => &mut self.request.route,
            "user_agent.original" | "http.user_agent" => return self.take_header("User-Agent".into(), value),
            _ => match key.strip_prefix("http.request.header.") {
                Some(name) => return self.take_header(Cow::Owned(name.to_owned()), value),
                None => return Some(value),
            },
        };
        (!set(field, &value)).then_some(value)
    }

    fn take_header(&mut self, name: Cow<'a, str>, value: Tree<'a>) -> Option<Tree<'a>> {
        if self.headers.iter().any(|(there, _)| there.eq_ignore_ascii_case(&name)) {
            return Some(value);
        }
        let value = match value {
            Tree::List(mut values) if values.len() == 1 => values.pop().unwrap_or(Tree::Null),
            other => other,
        };
        self.headers.push((name, value));
        None
    }

    /// The request, if there was any.
    pub(super) fn request(&mut self) -> Option<Request> {
        let headers_json = part(Some(Tree::map(std::mem::take(&mut self.headers))));
        let request = Request { headers_json, ..std::mem::take(&mut self.request) };
        (request != Request::default()).then_some(request)
    }

    /// The user, if one is known.
    pub(super) fn user(&mut self) -> Option<User> {
        Some(std::mem::take(&mut self.user)).filter(|user| *user != User::default())
    }
}

/// Whether the value is short, and about the application.
fn is_tag(key: &str, value: &Tree<'_>) -> bool {
    let is_short = match value {
        Tree::Text(text) => (1..=TAG_BYTES_MAX).contains(&text.len()) && !text.contains('\n'),
        Tree::Bool(_) => true,
        _ => false,
    };
    is_short && !key.is_empty() && !DETAILS.iter().any(|start| key.starts_with(start))
}

/// The address of what was asked for. The parts that it was put together of are taken out.
fn put_together(parts: &mut Entries<'_>) -> Option<String> {
    if let Some(full) = take_first(parts, &["url.full", "http.url"]) {
        return Some(full);
    }
    let path = take_first(parts, &["url.path", "http.target"]);
    let query =
        if parts.iter().any(|(key, _)| key == "http.target") { None } else { take_first(parts, &["url.query"]) };
    let target = match query {
        Some(query) => format!("{}?{}", path.unwrap_or_default(), query.strip_prefix('?').unwrap_or(&query)),
        None => path.unwrap_or_default(),
    };
    let is_there = |names: &[&str]| parts.iter().any(|(key, _)| names.contains(&&**key));
    let hosts = ["server.address", "http.host", "net.host.name", "http.server_name"];
    if !is_there(&hosts) || !is_there(&["url.scheme", "http.scheme"]) {
        return Some(target).filter(|target| !target.is_empty());
    }
    let scheme = take_first(parts, &["url.scheme", "http.scheme"]).unwrap_or_default();
    let host = take_first(parts, &hosts).unwrap_or_default();
    let port = if has_port(&host) { None } else { take_port(parts, &scheme) };
    let host =
        if host.contains(':') && !host.starts_with('[') && !has_port(&host) { format!("[{host}]") } else { host };
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let slash = if target.is_empty() || target.starts_with('/') { "" } else { "/" };
    Some(format!("{scheme}://{host}{port}{slash}{target}"))
}

/// Whether the host has its port behind it. An address of IPv6 has colons of its own.
fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(host, port)| {
        !port.is_empty()
            && port.bytes().all(|digit| digit.is_ascii_digit())
            && (!host.contains(':') || host.ends_with(']'))
    })
}

/// The port, unless it is the one that the scheme means anyway.
fn take_port(parts: &mut Entries<'_>, scheme: &str) -> Option<String> {
    let usual = match scheme {
        "http" => "80",
        "https" => "443",
        _ => "",
    };
    let names = ["server.port", "net.host.port"];
    let is_usual = parts.iter().any(|(key, value)| names.contains(&&**key) && value.scalar() == Some(usual));
    if is_usual { None } else { take_first(parts, &names) }
}

/// Takes the part of the first of these names that there is one of.
fn take_first(parts: &mut Entries<'_>, names: &[&str]) -> Option<String> {
    let at = names.iter().find_map(|name| parts.iter().position(|(key, _)| key == name))?;
    parts.remove(at).1.scalar().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(parts: &[(&'static str, &'static str)]) -> Entries<'static> {
        parts.iter().map(|(key, value)| (Cow::Borrowed(*key), Tree::Text(Cow::Borrowed(*value)))).collect()
    }

    #[test]
    fn urls_are_put_together_of_what_there_is() {
        for (parts, url, left) in [
            (&[("url.full", "https://a.example/b"), ("url.path", "/b")][..], Some("https://a.example/b"), 1),
            (&[("url.path", "/b"), ("url.query", "c=d")], Some("/b?c=d"), 0),
            (
                &[("url.scheme", "https"), ("server.address", "a.example"), ("server.port", "443"), ("url.path", "/b")],
                Some("https://a.example/b"),
                1,
            ),
            (
                &[("url.scheme", "http"), ("server.address", "::1"), ("server.port", "8080"), ("url.path", "/b")],
                Some("http://[::1]:8080/b"),
                0,
            ),
            (
                &[("http.scheme", "http"), ("http.host", "a:81"), ("net.host.port", "81"), ("http.target", "/b?c")],
                Some("http://a:81/b?c"),
                1,
            ),
            (&[("server.address", "a.example"), ("url.path", "/b")], Some("/b"), 1),
            (&[("url.scheme", "https")], None, 1),
            (&[], None, 0),
        ] {
            let mut parts = entries(parts);
            assert_eq!(put_together(&mut parts).as_deref(), url);
            assert_eq!(parts.len(), left, "{url:?}");
        }
    }

    #[test]
    fn the_surest_address_is_the_users() {
        let mut details = Details::default();
        let peer = ("net.peer.ip", "10.0.0.1");
        let rest =
            details.add(entries(&[peer, ("client.address", "203.0.113.7"), ("network.peer.address", "::1")]), false);
        assert_eq!(rest.len(), 2);
        assert_eq!(details.user().and_then(|user| user.ip).as_deref(), Some("203.0.113.7"));
    }

    #[test]
    fn an_outgoing_request_is_not_the_one_that_is_served() {
        let mut details = Details::default();
        let rest =
            details.add(entries(&[("url.full", "https://bank.example/"), ("http.request.method", "POST")]), true);
        assert_eq!(rest.len(), 2);
        assert_eq!(details.request(), None);
    }
}
