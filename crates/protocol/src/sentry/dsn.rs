//! The address that clients are set up with.

/// The project's key in it: the user of `https://key@host/1` or `https://key:secret@host/1`.
pub fn public_key(dsn: &str) -> Option<&str> {
    let (_, rest) = dsn.trim().split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, _) = authority.rsplit_once('@')?;
    user.split(':').next().filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_user() {
        assert_eq!(public_key("https://a1b2@errors.example/1"), Some("a1b2"));
        assert_eq!(public_key(" http://a1b2:secret@errors.example:8080/prefix/1 "), Some("a1b2"));
        for other in [
            "",
            "a1b2@errors.example/1",
            "https://errors.example/1",
            "https://:secret@errors.example/1",
            "https://x/a@b",
        ] {
            assert_eq!(public_key(other), None, "{other}");
        }
    }
}
