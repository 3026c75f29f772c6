//! A web on a free port, and browsers without scripts that visit it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use clap::Parser;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::Scene;

/// Everybody's password.
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Site {
    pub(crate) scene: Scene,
    pub(crate) admin: SocketAddr,
    address: SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

impl Site {
    /// A web on a database of its own.
    pub(crate) async fn new() -> Site {
        let scene = Scene::new().await;
        let hash = Argon2::default().hash_password(PASSWORD.as_bytes()).unwrap().to_string();
        sqlx::query("update user_account set password_hash = $1")
            .bind(hash)
            .execute(&scene.database.pool)
            .await
            .unwrap();
        let url = scene.database.url.clone();
        Site::start(scene, &url).await
    }

    /// A web on this database.
    pub(crate) async fn with_database(url: &str) -> Site {
        Site::start(Scene::new().await, url).await
    }

    async fn start(scene: Scene, database_url: &str) -> Site {
        let config = web::Config::parse_from([
            "web",
            "--database-url",
            database_url,
            "--secret-key",
            "0123456789abcdef0123456789abcdef",
            "--control-token",
            "0123456789abcdef",
        ]);
        let public = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let admin = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, admin_address) = (public.local_addr().unwrap(), admin.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(web::run(config, public, admin, Default::default(), shutdown.clone()));
        Site { scene, admin: admin_address, address, shutdown, running }
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }

    /// Writes one notice: its group and its id.
    pub(crate) async fn write(&self, class: &str) -> (i64, String) {
        let ids = self.scene.accept(1, 1, 10);
        self.scene.write(class, &ids).await;
        (self.scene.group_id(class).await, ids[0].to_string())
    }

    pub(crate) fn browser(&self) -> Browser {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        Browser { client, base: format!("http://{}", self.address), cookies: Mutex::default() }
    }

    pub(crate) async fn signed_in(&self, email: &str) -> Browser {
        let browser = self.browser();
        assert_eq!(browser.sign_in(email, PASSWORD).await.address, "/projects");
        browser
    }

    /// A token of a user with one scope.
    pub(crate) async fn token(&self, email: &str, scope: &str) -> String {
        let clear = store::token::generate();
        sqlx::query("insert into api_token (token_sha256, name, user_id, scopes) select $1, 't', id, array[$2] from user_account where email = $3")
            .bind(&store::token::sha256(&clear)[..])
            .bind(scope)
            .bind(email)
            .execute(&self.scene.database.pool)
            .await
            .unwrap();
        clear
    }

    /// Calls the API.
    pub(crate) async fn api(&self, token: &str, path: &str) -> (StatusCode, Value) {
        let url = format!("http://{}/api/v1{path}", self.address);
        let answer = Client::new().get(url).bearer_auth(token).send().await.unwrap();
        let status = answer.status();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind, if status.is_success() { "application/json" } else { "application/problem+json" });
        (status, answer.json().await.unwrap())
    }

    /// Waits until something holds.
    pub(crate) async fn eventually(&self, holds: impl AsyncFn() -> bool) {
        for _ in 0..100 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("it did not come to hold");
    }
}

/// Somebody's browser, with cookies.
pub(crate) struct Browser {
    client: Client,
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// What a browser was shown, after redirects.
pub(crate) struct Shown {
    pub(crate) status: StatusCode,
    /// Path and query at the end of all redirects.
    pub(crate) address: String,
    pub(crate) text: String,
    /// The cookies that were set on the way.
    pub(crate) cookies: Vec<String>,
    headers: HeaderMap,
}

impl Shown {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of a form's hidden field.
    pub(crate) fn field(&self, name: &str) -> String {
        let (_, after) = self.text.split_once(&format!("name=\"{name}\" value=\"")).expect("the form has the field");
        after.split('"').next().unwrap().to_owned()
    }
}

impl Browser {
    pub(crate) async fn get(&self, path: &str) -> Shown {
        self.show(self.client.get(format!("{}{path}", self.base))).await
    }

    /// A request with the browser's cookies, to be sent by the test itself.
    #[allow(dead_code, reason = "not every test reads answers piece by piece")]
    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.client.get(format!("{}{path}", self.base)).header("cookie", cookies.join("; "))
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, String)], origin: Option<&str>) -> Shown {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin.unwrap_or(&self.base))
            .body(body);
        self.show(request).await
    }

    pub(crate) async fn sign_in(&self, email: &str, password: &str) -> Shown {
        let form_token = self.get("/sign-in").await.field("form_token");
        let fields = [("form_token", form_token), ("email", email.to_owned()), ("password", password.to_owned())];
        self.post("/sign-in", &fields, None).await
    }

    /// Follows redirects by hand, because cookies are set on the way.
    async fn show(&self, mut request: RequestBuilder) -> Shown {
        let mut set_on_the_way = Vec::new();
        for _ in 0..5 {
            let sent: Vec<String> =
                self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
            let answer = request.header("cookie", sent.join("; ")).send().await.unwrap();
            for cookie in answer.headers().get_all("set-cookie") {
                let cookie = cookie.to_str().unwrap().to_owned();
                let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
                if cookie.contains("Max-Age=0") {
                    self.cookies.lock().unwrap().remove(name);
                } else {
                    self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
                }
                set_on_the_way.push(cookie);
            }
            if let Some(to) = answer.headers().get("location") {
                request = self.client.get(format!("{}{}", self.base, to.to_str().unwrap()));
                continue;
            }
            let url = answer.url();
            let address = url.query().map_or(url.path().to_owned(), |query| format!("{}?{query}", url.path()));
            let (status, headers) = (answer.status(), answer.headers().clone());
            return Shown { status, address, headers, cookies: set_on_the_way, text: answer.text().await.unwrap() };
        }
        panic!("redirected without end");
    }
}
