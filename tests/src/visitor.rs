//! Somebody with a browser that knows no JavaScript: pages, links, forms and cookies.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::installation::{USER_EMAIL, USER_PASSWORD};

/// Redirects followed after one request.
const REDIRECTS_MAX: usize = 5;

/// A visitor with cookies.
#[derive(Debug)]
pub struct Visitor {
    base: String,
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
    from: Option<IpAddr>,
}

/// A page as it came.
#[derive(Clone, Debug)]
pub struct Page {
    /// Status of the answer, after redirects.
    pub status: u16,
    /// The path it was found at, after redirects.
    pub path: String,
    /// The HTML.
    pub html: String,
}

/// A form of a page, filled in as the page gives it.
#[derive(Clone, Debug)]
pub struct Form {
    /// Where it goes.
    pub action: String,
    /// What it sends.
    pub fields: Vec<(String, String)>,
}

impl Visitor {
    /// Somebody who has not signed in.
    pub fn new(address: SocketAddr) -> Visitor {
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(30))
            .build()
            .expect("a plain client");
        Visitor { base: format!("http://{address}"), client, cookies: BTreeMap::new(), from: None }
    }

    /// Somebody else who has not signed in, at this address as far as a web knows that trusts this machine as a proxy.
    pub fn somebody_at(&self, from: IpAddr) -> Visitor {
        Visitor { base: self.base.clone(), client: self.client.clone(), cookies: BTreeMap::new(), from: Some(from) }
    }

    /// The first user, signed in.
    pub async fn signed_in(address: SocketAddr) -> Visitor {
        let mut visitor = Visitor::new(address);
        let form =
            visitor.get("/sign-in").await.form("/sign-in").with("email", USER_EMAIL).with("password", USER_PASSWORD);
        let page = visitor.submit(&form).await;
        assert!(
            page.status == 200 && !page.path.starts_with("/sign-in"),
            "signed in: {} {}\n{}",
            page.status,
            page.path,
            page.html
        );
        visitor
    }

    /// Opens a page.
    pub async fn get(&mut self, path: &str) -> Page {
        self.follow(reqwest::Method::GET, path, None).await
    }

    /// Sends a form.
    pub async fn submit(&mut self, form: &Form) -> Page {
        let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&form.fields).finish();
        self.follow(reqwest::Method::POST, &form.action, Some(body)).await
    }

    async fn follow(&mut self, mut method: reqwest::Method, path: &str, mut body: Option<String>) -> Page {
        let mut path = path.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let mut request =
                self.client.request(method, format!("{}{path}", self.base)).header("Cookie", cookies.join("; "));
            if let Some(from) = self.from {
                request = request.header("X-Forwarded-For", from.to_string());
            }
            if let Some(body) = body.take() {
                // What browsers say of a form on a page of the same site.
                request = request
                    .header("Content-Type", "application/x-www-form-urlencoded")
                    .header("Origin", &self.base)
                    .header("Sec-Fetch-Site", "same-origin")
                    .body(body);
            }
            let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
            for cookie in answer.headers().get_all("set-cookie") {
                let (name, value) = cookie
                    .to_str()
                    .expect("a cookie is ASCII")
                    .split(';')
                    .next()
                    .and_then(|pair| pair.split_once('='))
                    .expect("a cookie has a name");
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            let status = answer.status();
            let location =
                answer.headers().get("location").map(|to| to.to_str().expect("an address is ASCII").to_owned());
            match location.filter(|_| status.is_redirection()) {
                Some(to) => path = to.strip_prefix(&self.base).unwrap_or(&to).to_owned(),
                None => {
                    return Page { status: status.as_u16(), path, html: answer.text().await.expect("a page is text") };
                }
            }
            method = reqwest::Method::GET;
        }
        panic!("{path}: redirected without end");
    }
}

/// How long each page took that somebody looked at, again and again for this long; the quickest first. Whoever looks has a thread and a
/// runtime of their own: in that of hundreds of senders an answer that is there long since waits for its turn, up to a second.
pub async fn page_times(web: SocketAddr, path: &'static str, duration: Duration, pause: Duration) -> Vec<Duration> {
    let look = async move {
        let mut visitor = Visitor::signed_in(web).await;
        let since = Instant::now();
        let mut times = Vec::new();
        while since.elapsed() < duration {
            let asked_at = Instant::now();
            let page = visitor.get(path).await;
            times.push(asked_at.elapsed());
            assert_eq!(page.status, 200, "{}", page.html);
            tokio::time::sleep(pause).await;
        }
        times.sort_unstable();
        times
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let looking = tokio::task::spawn_blocking(move || runtime.block_on(look));
    looking.await.expect("every page came")
}

impl Page {
    /// The form whose action contains `action`, filled in as the page gives it.
    pub fn form(&self, action: &str) -> Form {
        self.forms()
            .into_iter()
            .find(|form| form.action.contains(action))
            .unwrap_or_else(|| panic!("no form for {action} on {}:\n{}", self.path, self.html))
    }

    /// All forms.
    pub fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        for part in self.html.split("<form").skip(1) {
            let form = part.split("</form").next().unwrap_or_default();
            let action = attribute(form, "action").unwrap_or_else(|| self.path.clone());
            let inputs =
                form.split("<input").chain(form.split("<button")).filter(|tag| attribute(tag, "name").is_some());
            // A box that is not ticked sends nothing.
            let inputs = inputs.filter(|tag| {
                let tag = tag.split('>').next().unwrap_or_default();
                attribute(tag, "type").as_deref() != Some("checkbox") || tag.contains(" checked")
            });
            let fields =
                inputs.filter_map(|tag| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())));
            let mut fields: Vec<(String, String)> = fields.chain(choices(form)).collect();
            fields.dedup_by(|a, b| a.0 == b.0);
            forms.push(Form { action, fields });
        }
        forms
    }

    /// Whether the page shows a text, whatever tags break it up.
    pub fn shows(&self, text: &str) -> bool {
        let shown: String =
            self.html.split('<').map(|part| part.split_once('>').map_or(part, |(_, shown)| shown)).collect();
        unescaped(&shown).contains(text)
    }
}

/// What the lists of a form say as it is given.
fn choices(form: &str) -> Vec<(String, String)> {
    let lists = form.split("<select").skip(1).map(|rest| rest.split("</select").next().unwrap_or_default());
    let chosen = lists.filter_map(|list| {
        let options: Vec<&str> = list.split("<option").skip(1).collect();
        let is_chosen = |option: &&&str| option.split('>').next().is_some_and(|tag| tag.ends_with(" selected"));
        let option = options.iter().find(is_chosen).or(options.first())?;
        Some((attribute(list, "name")?, attribute(option, "value")?))
    });
    chosen.collect()
}

impl Form {
    /// Fills in a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Form {
        self.fields.retain(|(found, _)| found != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// An attribute of the first tag in `text`.
fn attribute(text: &str, name: &str) -> Option<String> {
    let tag = text.split('>').next()?;
    let (_, after) = tag.split_once(&format!(" {name}=\""))?;
    Some(unescaped(after.split('"').next()?))
}

fn unescaped(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&#x2f;", "/")
        .replace("&#47;", "/")
        .replace("&lt;", "<")
        .replace("&#60;", "<")
        .replace("&gt;", ">")
        .replace("&#62;", ">")
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}
