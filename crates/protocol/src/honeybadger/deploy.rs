//! `/v1/deploys`: what was deployed, as JSON or as a form.

use notice::Deploy;

use crate::ParseError;
use crate::deploy::said;

/// Where a deploy went that does not say it.
const ENVIRONMENT: &str = "production";

/// Reads a deploy: the project's key, if it has one, and the deploy. A hook of Heroku's has other names for the same.
pub fn parse_deploy(body: &[u8]) -> Result<(Option<String>, Deploy), ParseError> {
    let mut said = said(body)?;
    let mut deploy = Deploy {
        environment: said.take(&["deploy.environment", "environment"]),
        revision: said.take(&["deploy.revision", "revision", "head_long", "head"]),
        repository: said.take(&["deploy.repository", "repository"]),
        username: said.take(&["deploy.local_username", "local_username", "user"]),
        message: said.take(&["deploy.message", "git_log"]),
        ..Deploy::default()
    };
    if deploy == Deploy::default() {
        return Err(ParseError::MissingKey("deploy".to_owned()));
    }
    deploy.environment.get_or_insert_with(|| ENVIRONMENT.to_owned());
    Ok((said.take(&["api_key"]), deploy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_is_the_same_in_both_forms() {
        let json = br#"{"deploy":{"environment":"staging","revision":"8f2c1de9a7","repository":"git@git.shop.example:shop/app.git","local_username":"ann"}}"#;
        let form = b"deploy%5Benvironment%5D=staging&deploy[revision]=8f2c1de9a7&deploy[repository]=git%40git.shop.example:shop/app.git&deploy[local_username]=ann&api_key=k";
        let (key, deploy) = parse_deploy(json).expect("is a deploy");
        assert_eq!(key, None);
        assert_eq!(parse_deploy(form), Ok((Some("k".to_owned()), deploy.clone())));
        let said = [&deploy.environment, &deploy.revision, &deploy.username].map(|field| field.as_deref());
        assert_eq!(said, [Some("staging"), Some("8f2c1de9a7"), Some("ann")]);
    }

    #[test]
    fn a_hook_of_a_host_does_not_know_the_environment() {
        let (_, deploy) = parse_deploy(b"app=shop&user=ann%40shop.example&head=8f2c1de&git_log=fix").expect("is one");
        let said = [&deploy.environment, &deploy.revision, &deploy.message].map(|field| field.as_deref());
        assert_eq!(said, [Some("production"), Some("8f2c1de"), Some("fix")]);
        for body in ["", "[]", "{", "{}", "a=b"] {
            assert!(parse_deploy(body.as_bytes()).is_err(), "{body}");
        }
    }
}
