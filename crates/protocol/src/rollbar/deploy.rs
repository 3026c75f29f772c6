//! `/api/1/deploy/`: what was deployed, as JSON or as a form.

use notice::Deploy;

use crate::ParseError;
use crate::deploy::{Said, said};

/// Reads a deploy: the project's key, if it has one, and the deploy.
pub fn parse_deploy(body: &[u8]) -> Result<(Option<String>, Deploy), ParseError> {
    let mut said = said(body)?;
    let deploy = Deploy {
        environment: said.take(&["environment"]),
        revision: said.take(&["revision"]),
        username: said.take(&["rollbar_username", "rollbar_name", "local_username"]),
        message: said.take(&["comment"]),
        ..Deploy::default()
    };
    if deploy.environment.is_none() && deploy.revision.is_none() {
        return Err(ParseError::MissingKey("environment".to_owned()));
    }
    Ok((key_of(&mut said), deploy))
}

/// Reads what became of a deploy: the project's key, if it has one. Whatever else it says is told of a deploy that is known.
pub fn parse_deploy_update(body: &[u8]) -> Result<Option<String>, ParseError> {
    match said(body) {
        Ok(mut said) => Ok(key_of(&mut said)),
        Err(ParseError::Empty) => Ok(None),
        Err(error) => Err(error),
    }
}

fn key_of(said: &mut Said) -> Option<String> {
    said.take(&["access_token"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_is_the_same_in_both_forms() {
        let json = br#"{"access_token":"k","environment":"production","revision":"8f2c1de9a7","local_username":"ann","comment":"faster","status":"succeeded"}"#;
        let form = b"access_token=k&environment=production&revision=8f2c1de9a7&local_username=ann&comment=faster&status=succeeded";
        let (key, deploy) = parse_deploy(json).expect("is a deploy");
        assert_eq!(parse_deploy(form), Ok((key.clone(), deploy.clone())));
        assert_eq!((key.as_deref(), deploy.environment.as_deref()), (Some("k"), Some("production")));
        assert_eq!(
            [&deploy.revision, &deploy.username, &deploy.message].map(|field| field.as_deref()),
            [Some("8f2c1de9a7"), Some("ann"), Some("faster")]
        );
    }

    #[test]
    fn what_is_no_deploy_is_refused() {
        for body in ["", "[]", "{", "{}", "a=b", "access_token=k"] {
            assert!(parse_deploy(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn an_update_needs_nothing() {
        assert_eq!(parse_deploy_update(b""), Ok(None));
        assert_eq!(parse_deploy_update(b"status=failed&access_token=k"), Ok(Some("k".to_owned())));
        assert_eq!(parse_deploy_update(br#"{"status":"failed"}"#), Ok(None));
    }
}
