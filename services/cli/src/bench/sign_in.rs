//! Signing in to the pages, as a browser does.

use anyhow::{Context as _, ensure};

use super::target::Target;
use super::wire::Connection;

/// Signs somebody in; answers what later requests say for `Cookie`.
pub(crate) async fn sign_in(target: &Target, email: &str, password: &str) -> anyhow::Result<String> {
    let mut connection = Connection::open(target).await.with_context(|| format!("connecting to {}", target.url))?;
    let authority = &target.authority;
    let ask = format!("GET /sign-in HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let form = connection.exchange(ask.as_bytes()).await.context("reading the form to sign in")?;
    let visit = cookies(&form.header("set-cookie"));
    let page = String::from_utf8_lossy(form.body);
    let form_token = field(&page, "form_token").context("the form to sign in has no token")?;

    let filled = reqwest::Url::parse_with_params(
        "http://form",
        [("email", email), ("password", password), ("form_token", &form_token), ("next", "/projects")],
    );
    let filled = filled.context("filling the form")?;
    let body = filled.query().unwrap_or_default();
    let send = format!(
        "POST /sign-in HTTP/1.1\r\nHost: {authority}\r\nCookie: {visit}\r\nOrigin: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        target.url,
        body.len()
    );
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
