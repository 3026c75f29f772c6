//! A headless Chromium, and what it can tell of a page that no HTML parser can: its layout, its colours, its console.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installation::{USER_EMAIL, USER_PASSWORD};
use crate::port::Port;
use crate::process::Process;
use crate::wait_until;

/// Finds what is too wide and what is too pale, in the page itself.
const INSPECT: &str = include_str!("browser/inspect.js");

/// A page or a part of it appears within this.
const PAGE_LIMIT: Duration = Duration::from_secs(10);

/// A window's size in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Size {
    /// A laptop.
    pub const WIDE: Size = Size { width: 1280, height: 900 };
    /// A telephone.
    pub const NARROW: Size = Size { width: 390, height: 844 };
}

/// Which colours the viewer prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on a light ground.
    Light,
    /// Light text on a dark ground.
    Dark,
}

impl Scheme {
    /// As CSS calls it.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        }
    }
}

/// Whether pages may run scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scripts {
    /// As in most browsers.
    On,
    /// Switched off by the viewer.
    Off,
}

/// A browser with a profile of its own.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    session: String,
    http: reqwest::Client,
    _driver: Process,
    _port: Port,
    _folder: TempDir,
}

impl Browser {
    /// Starts one.
    pub async fn start(scripts: Scripts) -> Browser {
        let port = Port::free();
        let folder = tempfile::Builder::new().prefix("croak-browser-").tempdir().expect("a temporary folder");
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={}", port.number())).env("HOME", folder.path());
        let driver = Process::start("chromedriver", &mut command, &folder.path().join("log"));
        let url = format!("http://{}", port.address());
        let javascript = if scripts == Scripts::On { 1 } else { 2 };
        let capabilities = json!({
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {
                // Without a sandbox, because tests also run as root; the pages are our own.
                "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars", format!("--user-data-dir={}", folder.path().join("profile").display())],
                "prefs": {"profile.managed_default_content_settings.javascript": javascript},
            },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("it is written as an object") };
        let client = wait_until("the browser starts", Duration::from_secs(30), async || {
            ClientBuilder::new(HttpConnector::new()).capabilities(capabilities.clone()).connect(&url).await.ok()
        })
        .await;
        let session =
            format!("{url}/session/{}", client.session_id().await.expect("the driver answers").expect("a session"));
        Browser { client, session, http: reqwest::Client::new(), _driver: driver, _port: port, _folder: folder }
    }

    /// The page's elements.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sets the window's size and the preferred colours for all pages that follow.
    pub async fn view(&self, size: Size, scheme: Scheme) {
        let Size { width, height } = size;
        self.devtools(
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}),
        )
        .await;
        self.devtools(
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme.name()}]}),
        )
        .await;
    }

    /// Opens a page and waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// Signs the first user in by the form, at the web of this address.
    pub async fn sign_in(&self, web: SocketAddr) {
        self.open(&format!("http://{web}/sign-in")).await;
        self.write("#email", USER_EMAIL).await;
        self.write("#password", USER_PASSWORD).await;
        self.click("form.sign-in button").await;
        self.element("nav, table, h1").await;
        let url = self.client.current_url().await.expect("a page has an address");
        assert!(!url.path().starts_with("/sign-in"), "signed in: {url}");
    }

    /// The first element that a CSS selector finds, as soon as it is there.
    pub async fn element(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PAGE_LIMIT).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("{css}: {error}\n{}", self.client.source().await.unwrap_or_default()),
        }
    }

    /// Types into a field.
    pub async fn write(&self, css: &str, text: &str) {
        let field = self.element(css).await;
        field.clear().await.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.send_keys(text).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Clicks on an element.
    pub async fn click(&self, css: &str) {
        self.element(css).await.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Presses keys where the focus is.
    pub async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.send_keys(keys).await.unwrap_or_else(|error| panic!("pressing {keys}: {error}"));
    }

    /// What kind of element has the focus.
    pub async fn focused(&self) -> String {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.tag_name().await.expect("an element has a name")
    }

    /// The text that an element shows.
    pub async fn text(&self, css: &str) -> String {
        self.element(css).await.text().await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Waits until an element shows a text that has `part` in it, also across pages.
    pub async fn shows(&self, css: &str, part: &str) {
        let mut seen = String::new();
        let until = Instant::now() + PAGE_LIMIT;
        while Instant::now() < until {
            // An element may go while it is looked at: the next page comes.
            if let Ok(element) = self.client.find(Locator::Css(css)).await
                && let Ok(text) = element.text().await
            {
                if text.contains(part) {
                    return;
                }
                seen = text;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{css} does not show \"{part}\" but \"{seen}\"\n{}", self.client.source().await.unwrap_or_default());
    }

    /// Whether an element is on the page now.
    pub async fn has(&self, css: &str) -> bool {
        !self.client.find_all(Locator::Css(css)).await.expect("the page can be searched").is_empty()
    }

    /// What is wrong with the page that is open: text with too little contrast, content wider than the window, errors in its console.
    pub async fn faults(&self) -> Vec<String> {
        let found = self.client.execute(INSPECT, Vec::new()).await.expect("the page can be inspected");
        let mut faults: Vec<String> = serde_json::from_value(found).expect("a list of texts");
        // That a page answers "not found" is no fault of the page.
        let own =
            format!("console: {} - Failed to load", self.client.current_url().await.expect("a page has an address"));
        faults.extend(self.console_errors().await.into_iter().filter(|error| !error.starts_with(&own)));
        faults
    }

    /// What the rules of accessibility find serious or critical in the page that is open, by a script of [`crate::axe`].
    pub async fn accessibility_faults(&self, axe: &str) -> Vec<String> {
        let found = self.client.execute_async(axe, Vec::new()).await.expect("the rules can be tried");
        serde_json::from_value(found).expect("a list of texts")
    }

    /// Errors in the console since the last time, failed requests and broken policies among them.
    pub async fn console_errors(&self) -> Vec<String> {
        let entries = self.post("se/log", json!({"type": "browser"})).await;
        let entries = entries.as_array().expect("a log is a list").iter();
        entries
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| format!("console: {}", entry["message"].as_str().unwrap_or_default()))
            .collect()
    }

    /// Writes a picture of the whole page.
    pub async fn screenshot(&self, file: &Path) {
        let picture =
            self.devtools("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true})).await;
        let bytes =
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, picture["data"].as_str().expect("a picture"))
                .expect("base64");
        std::fs::write(file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Ends it in order.
    pub async fn close(self) {
        self.client.close().await.expect("the session ends");
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer =
            self.http.post(format!("{}/{path}", self.session)).json(&body).send().await.expect("the driver answers");
        let mut answer: Value = answer.json().await.expect("the driver answers with JSON");
        assert!(answer["value"].get("error").is_none(), "{path} {body}: {answer}");
        answer["value"].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_wrong_with_a_page_is_found() {
        let browser = Browser::start(Scripts::On).await;
        browser.view(Size::NARROW, Scheme::Dark).await;
        browser.open("data:text/html,<body style='background:white;color:black'><main><h1>fine</h1> <b style='color:rgba(0,0,0,.9)'>too</b>").await;
        assert_eq!(browser.faults().await, Vec::<String>::new());
        let bad = "<body><p style='background:white;color:rgba(0,0,0,.3)'>pale</p><p style='width:900px'>wide</p><script>console.error('loud')</script>";
        browser.open(&format!("data:text/html,{bad}")).await;
        let faults = browser.faults().await;
        for word in ["contrast", "scrolls to the side: 9", "loud", "0 <h1>"] {
            assert!(faults.iter().any(|fault| fault.contains(word)), "{word} is not in {faults:?}");
        }
        let dark =
            browser.client().execute("return matchMedia('(prefers-color-scheme: dark)').matches", Vec::new()).await;
        assert_eq!(dark.expect("an answer"), json!(true));
        browser.close().await;
    }

    #[tokio::test]
    async fn what_some_cannot_use_is_found() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let axe = crate::axe::script(folder.path());
        let browser = Browser::start(Scripts::On).await;
        browser
            .open("data:text/html,<html lang=en><title>A</title><main><h1>A</h1><img src=x><select><option>1</select>")
            .await;
        let faults = browser.accessibility_faults(&axe).await;
        for rule in ["critical image-alt", "critical select-name"] {
            assert!(faults.iter().any(|fault| fault.starts_with(rule)), "{rule} is not in {faults:?}");
        }
        browser.open("data:text/html,<html lang=en><title>A</title><main><h1>A</h1><img src=x alt=''>").await;
        assert_eq!(browser.accessibility_faults(&axe).await, Vec::<String>::new());
        browser.close().await;
    }

    #[tokio::test]
    async fn scripts_of_a_page_can_be_switched_off() {
        let browser = Browser::start(Scripts::Off).await;
        browser.open("data:text/html,<main><h1>fine</h1><title>as written</title><script>document.title = 'changed'</script>").await;
        assert_eq!(browser.client().title().await.expect("a title"), "as written");
        assert_eq!(browser.faults().await, Vec::<String>::new(), "the page can still be inspected");
        browser.close().await;
    }
}
