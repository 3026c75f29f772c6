//! `POST /api/v4/projects/{id}/deploys`

use notice::Deploy;

use crate::ParseError;
use crate::json::{read, set, text_of};

/// Reads a deploy. No field of it must be there.
pub fn parse_deploy(body: &[u8]) -> Result<Deploy, ParseError> {
    let text = text_of(body, &mut Vec::new());
    let mut tree = read(&text, &mut Vec::new())?;
    let mut deploy = Deploy::default();
    for (key, field) in [
        ("environment", &mut deploy.environment),
        ("revision", &mut deploy.revision),
        ("repository", &mut deploy.repository),
        ("username", &mut deploy.username),
        ("email", &mut deploy.email),
        ("version", &mut deploy.version),
        ("message", &mut deploy.message),
    ] {
        if let Some(value) = tree.take(key)
            && !set(field, &value)
        {
            return Err(ParseError::Malformed(format!("`{key}` of the deploy is not a string")));
        }
    }
    Ok(deploy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_is_read() {
        let deploy = parse_deploy(br#"{"environment":"production","revision":"8f2c1de9a7","version":1.4}"#)
            .expect("is a deploy");
        assert_eq!(deploy.environment.as_deref(), Some("production"));
        assert_eq!(deploy.version.as_deref(), Some("1.4"));
        assert_eq!(deploy.username, None);
    }

    #[test]
    fn what_is_no_deploy_is_refused() {
        for body in ["", "[]", "{", r#"{"environment":{}x}"#, r#"{"environment":{"a":1}}"#] {
            assert!(parse_deploy(body.as_bytes()).is_err(), "{body}");
        }
    }
}
