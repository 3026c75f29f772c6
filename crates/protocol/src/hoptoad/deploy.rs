//! `/deploys.txt`: a form that says what was deployed.

use notice::Deploy;

use crate::ParseError;

/// Where a deploy went that does not say it: hooks of hosts do not know.
const ENVIRONMENT: &str = "production";

/// Reads the form (a body, or a query string): the project's key and the deploy.
pub fn parse_deploy(form: &[u8]) -> Result<(Option<String>, Deploy), ParseError> {
    let mut api_key = None;
    let mut deploy = Deploy::default();
    for (name, value) in form_urlencoded::parse(form) {
        let value = value.trim().to_owned();
        if value.is_empty() {
            continue;
        }
        let field = name.strip_prefix("deploy[").and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        match field {
            "api_key" => api_key = Some(value),
            "rails_env" | "environment" => deploy.environment = Some(value),
            // The names of Heroku's hook stand beside those of Hoptoad.
            "scm_revision" | "revision" | "head_long" => deploy.revision = Some(value),
            "scm_repository" | "repository" => deploy.repository = Some(value),
            "local_username" | "username" | "user" => deploy.username = Some(value),
            "email" => deploy.email = Some(value),
            "version" => deploy.version = Some(value),
            "message" | "git_log" => deploy.message = Some(value),
            _ => {}
        }
    }
    if deploy == Deploy::default() {
        return Err(ParseError::MissingKey("deploy[rails_env]".to_owned()));
    }
    deploy.environment.get_or_insert_with(|| ENVIRONMENT.to_owned());
    Ok((api_key, deploy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_is_read_from_its_form() {
        let form = b"api_key=k&deploy%5Brails_env%5D=production&deploy%5Bscm_revision%5D=8f2c1de9a7\
            &deploy%5Bscm_repository%5D=git%40git.shop.example%3Ashop%2Fapp.git&deploy%5Blocal_username%5D=deploy";
        let (key, deploy) = parse_deploy(form).expect("is a deploy");
        assert_eq!(key.as_deref(), Some("k"));
        assert_eq!(deploy.environment.as_deref(), Some("production"));
        assert_eq!(deploy.repository.as_deref(), Some("git@git.shop.example:shop/app.git"));
        assert_eq!(deploy.username.as_deref(), Some("deploy"));
    }

    #[test]
    fn a_deploy_that_does_not_say_where_it_went_went_to_production() {
        let form = b"api_key=k&user=ann%40shop.example&head=8f2c1de&head_long=8f2c1de9a7&git_log=fix";
        let (_, deploy) = parse_deploy(form).expect("is a deploy");
        assert_eq!(deploy.environment.as_deref(), Some("production"));
        assert_eq!(deploy.revision.as_deref(), Some("8f2c1de9a7"));
        assert_eq!(deploy.message.as_deref(), Some("fix"));
    }

    #[test]
    fn a_form_that_says_nothing_is_no_deploy() {
        assert_eq!(parse_deploy(b"api_key=k").expect_err("is refused").to_string(), "`deploy[rails_env]` is missing");
    }
}
