//! Hosts of addresses.

/// The host of a URL, with its port if it has one; nothing for what is no URL with a host.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    (is_scheme && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_found() {
        for (url, host) in [
            ("https://cdn.example/a.js", Some("cdn.example")),
            ("https://ann:pw@cdn.example:8443?x", Some("cdn.example:8443")),
            ("https://[::1]/", Some("[::1]")),
            ("https:///x", None),
            ("data:text/plain,http://x", None),
            ("inline", None),
        ] {
            assert_eq!(host_of(url), host, "{url}");
        }
    }
}
