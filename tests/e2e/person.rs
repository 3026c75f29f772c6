//! Somebody's first day with Croak, in a real browser with a real mailbox: from signing up to leaving.

use std::process::Command;
use std::time::Duration;

use tests::browser::{Browser, Scheme, Scripts, Size};
use tests::mailbox::Mailbox;
use tests::{Installation, wait_until};

const EMAIL: &str = "grace@example.org";
const PASSWORD: &str = "a password of some length";

/// What a page does by itself is done within this.
const BY_ITSELF: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_and_stays_with_scripts() {
    first_day(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_and_stays_without_scripts() {
    first_day(Scripts::Off).await;
}

async fn first_day(scripts: Scripts) {
    let mailbox = Mailbox::start();
    let mut croak = Installation::new().await;
    croak.settings.extend([
        ("CROAK_SMTP_URL", mailbox.url()),
        ("CROAK_MAIL_FROM", "croak@example.org".to_owned()),
        ("CROAK_REGISTRATION", "open".to_owned()),
    ]);
    croak.start_all().await;
    let web = format!("http://{}", croak.web_address());
    let browser = Browser::start(scripts).await;
    browser.view(Size::WIDE, Scheme::Light).await;

    sign_up(&browser, &mailbox, &web).await;
    make_a_project(&browser, &web).await;
    paste_the_snippet(&browser, &croak).await;
    assert_eq!(browser.console_errors().await, Vec::<String>::new());
    browser.close().await;
}

async fn sign_up(browser: &Browser, mailbox: &Mailbox, web: &str) {
    browser.open(&format!("{web}/sign-up")).await;
    browser.write("#email", EMAIL).await;
    browser.click("main form button.main").await;
    browser.shows("main", EMAIL).await;
    let link = mailbox.mail(EMAIL, "Your account").await.link("/link/").expect("a link");
    browser.open(&link).await;
    browser.write("#password", PASSWORD).await;
    browser.click("main form button.main").await;
    browser.shows(".told", "signed in").await;
}

async fn make_a_project(browser: &Browser, web: &str) {
    browser.open(&format!("{web}/projects/new")).await;
    browser.write("#name", "Library").await;
    browser.write("#organization_name", "Readers").await;
    browser.click("main form button.main").await;
    browser.element(".snippets").await;
}

/// Does what the page of a new project says first, in a shell, and waits until the page has become the list.
async fn paste_the_snippet(browser: &Browser, croak: &Installation) {
    let snippet = browser.text(".snippets pre.paste code").await;
    // The web does not know on which port of this machine the gateway of a test listens.
    let line = snippet.replace("http://gateway.test", &format!("http://{}", croak.gateway_address()));
    wait_until("the new key opens the door", BY_ITSELF, async || {
        let output = Command::new("sh").args(["-c", &format!("{line} -sSf")]).output().expect("sh starts");
        output.status.success().then_some(())
    })
    .await;
    browser.shows("table.groups tbody .class", "FirstError").await;
}
