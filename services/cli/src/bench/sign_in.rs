//! Filling in the forms of pages, as a browser does.

use anyhow::{Context as _, ensure};

use super::target::Target;
use super::wire::Connection;

/// A form that whoever has not signed in may send.
pub(crate) struct Form {
    path: &'static str,
    /// What shows that the form was made for this visitor, in a cookie and in the form.
    visit: String,
    form_token: String,
}

impl Form {
    /// Reads the form at a path.
    pub(crate) async fn read(target: &Target, path: &'static str) -> anyhow::Result<Form> {
        let mut connection = Connection::open(target).await.with_context(|| format!("connecting to {}", target.url))?;
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", target.authority);
        let page = connection.exchange(ask.as_bytes()).await.with_context(|| format!("reading the form at {path}"))?;
        let visit = cookies(&page.header("set-cookie"));
        let form_token = field(&String::from_utf8_lossy(page.body), "form_token");
        let form_token = form_token.with_context(|| format!("the form at {path} has no token"))?;
        Ok(Form { path, visit, form_token })
    }

    /// The request that sends it, with these fields; `headers` are more of them, each with its end of the line.
    pub(crate) fn filled(&self, target: &Target, headers: &str, fields: &[(&str, &str)]) -> String {
        let Form { path, visit, form_token } = self;
        let fields = fields.iter().copied().chain([("form_token", form_token.as_str())]);
        let filled = reqwest::Url::parse_with_params("http://form", fields);
        let body = filled.as_ref().ok().and_then(reqwest::Url::query).unwrap_or_default();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nCookie: {visit}\r\nOrigin: {}\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            target.authority,
            target.url,
            body.len()
        )
    }
}

/// Signs somebody in; answers what later requests say for `Cookie`.
pub(crate) async fn sign_in(target: &Target, email: &str, password: &str) -> anyhow::Result<String> {
    let form = Form::read(target, "/sign-in").await?;
    let send = form.filled(target, "", &[("email", email), ("password", password), ("next", "/projects")]);
    let mut connection = Connection::open(target).await.with_context(|| format!("connecting to {}", target.url))?;
    let answer = connection.exchange(send.as_bytes()).await.context("signing in")?;
    ensure!(answer.status == 303, "the web does not let {email} sign in: it answers {}", answer.status);
    Ok(cookies(&answer.header("set-cookie")))
}

/// What a client says of the cookies that it was given.
fn cookies(given: &[String]) -> String {
    given.iter().filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}

/// What a page has filled into a field of its form.
fn field(page: &str, name: &str) -> Option<String> {
    let (_, after) = page.split_once(&format!("name=\"{name}\" value=\""))?;
    after.split('"').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_and_the_cookies_are_understood() {
        let page = r#"<input type="hidden" name="form_token" value="abc"><input name="next" value="">"#;
        assert_eq!(field(page, "form_token").as_deref(), Some("abc"));
        assert_eq!(field(page, "other"), None);
        assert_eq!(cookies(&["a=1; Path=/; HttpOnly".to_owned(), "b=2".to_owned()]), "a=1; b=2");
    }
}
