//! Reports of builds and deploys: what else comes to the address of events.

use notice::Deploy;

use crate::ParseError;
use crate::deploy::said;

/// What Bugsnag calls the stage of a build that does not say one.
const STAGE: &str = "production";

/// Reads a report of a build: the project's key, if it has one, and what was built as a deploy.
pub fn parse_build(body: &[u8]) -> Result<(Option<String>, Deploy), ParseError> {
    let mut said = said(body)?;
    let mut deploy = Deploy {
        environment: said.take(&["releaseStage"]),
        version: said.take(&["appVersion"]),
        revision: said.take(&["sourceControl.revision", "revision"]),
        repository: said.take(&["sourceControl.repository", "repository"]),
        username: said.take(&["builderName", "builder.name"]),
        ..Deploy::default()
    };
    if deploy.version.is_none() && deploy.revision.is_none() && deploy.environment.is_none() {
        return Err(ParseError::MissingKey("appVersion".to_owned()));
    }
    deploy.environment.get_or_insert_with(|| STAGE.to_owned());
    Ok((said.take(&["apiKey"]), deploy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_a_deploy() {
        let json = br#"{"apiKey":"k","appVersion":"1.4.2","releaseStage":"staging","builderName":"ann","buildTool":"gradle","metadata":{"a":"b"},
            "sourceControl":{"provider":"github","repository":"https://git.shop.example/shop/app","revision":"8f2c1de9a7"}}"#;
        let (key, deploy) = parse_build(json).expect("is a build");
        assert_eq!(key.as_deref(), Some("k"));
        let said =
            [&deploy.environment, &deploy.version, &deploy.revision, &deploy.username].map(|field| field.as_deref());
        assert_eq!(said, [Some("staging"), Some("1.4.2"), Some("8f2c1de9a7"), Some("ann")]);
        let (_, old) = parse_build(b"apiKey=k&revision=8f2c1de9a7&branch=main").expect("is a deploy");
        assert_eq!((old.environment.as_deref(), old.revision.as_deref()), (Some("production"), Some("8f2c1de9a7")));
        for body in ["", "[]", "{}", r#"{"apiKey":"k"}"#, r#"{"apiKey":"k","events":[]}"#] {
            assert!(parse_build(body.as_bytes()).is_err(), "{body}");
        }
    }
}
