//! The JSON API, as a script would use it.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

use crate::wait_until;

/// Notices of a page, at most what the API gives.
const PAGE_LIMIT: usize = 200;

/// A client with a token, for one project.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    token: String,
    client: reqwest::Client,
}

impl Api {
    /// Reads from the web at `address`.
    pub fn new(address: SocketAddr, token: &str) -> Api {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().expect("a plain client");
        Api { base: format!("http://{address}"), token: token.to_owned(), client }
    }

    /// Status and body of one call; `path` begins after `/api/v1`.
    pub async fn get(&self, path: &str) -> reqwest::Result<(u16, Value)> {
        let answer = self.client.get(format!("{}/api/v1{path}", self.base)).bearer_auth(&self.token).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await?))
    }

    /// The body of a call that must succeed.
    pub async fn read(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The whole answer of one call, whatever it is: its head is there, its body can be read.
    pub async fn fetch(&self, path: &str) -> reqwest::Response {
        let address = format!("{}/api/v1{path}", self.base);
        self.client.get(address).bearer_auth(&self.token).send().await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Waits until a notice is visible, and answers it.
    pub async fn visible(&self, project: i64, notice: Uuid, limit: Duration) -> Value {
        let path = format!("/projects/{project}/notices/{notice}");
        wait_until(&format!("{path} is visible"), limit, async || {
            self.get(&path).await.ok().filter(|(status, _)| *status == 200).map(|(_, body)| body)
        })
        .await
    }

    /// All items of a list, page by page.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        let separator = if path.contains('?') { '&' } else { '?' };
        loop {
            let mut page = self.read(&format!("{path}{separator}limit={PAGE_LIMIT}{cursor}")).await;
            let Value::Array(found) = page["items"].take() else { panic!("{path}: a list has items") };
            items.extend(found);
            match page["next"].as_str() {
                Some(next) => {
                    cursor = format!(
                        "&cursor={}",
                        percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC)
                    );
                }
                None => return items,
            }
        }
    }

    /// How many notices the project says it has.
    pub async fn notice_count(&self, project: i64) -> i64 {
        self.read(&format!("/projects/{project}")).await["notice_count"].as_i64().expect("a count")
    }
}
