//! Somebody's first day with Croak, in a real browser with a real mailbox: from signing up to leaving.

use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use tests::browser::{Browser, Scheme, Scripts, Size};
use tests::mailbox::Mailbox;
use tests::{Installation, wait_until};

const EMAIL: &str = "grace@example.org";
const PASSWORD: &str = "a password of some length";

/// What a page does by itself is done within this.
const BY_ITSELF: Duration = Duration::from_secs(15);

/// Seconds for which a code of the second factor is good.
const STEP_SECONDS: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_acts_is_told_and_leaves_with_scripts() {
    first_day(Scripts::On).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_up_acts_is_told_and_leaves_without_scripts() {
    first_day(Scripts::Off).await;
}

/// A person at a browser.
struct Person {
    browser: Browser,
    mailbox: Mailbox,
    croak: Installation,
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
    let browser = Browser::start(scripts).await;
    browser.view(Size::WIDE, Scheme::Light).await;
    let person = Person { browser, mailbox, croak };

    person.signs_up().await;
    let list = person.makes_a_project().await;
    let report = person.pastes_the_snippet().await;
    let group = person.finds(&list, "FirstError").await;
    person.resolves(&group).await;
    person.is_told_when_it_comes_back(&report).await;
    person.mutes(&group).await;
    person.merges_and_takes_it_back(&list, &group, &report).await;
    person.turns_on_the_second_factor().await;
    person.deletes_the_project(&list).await;
    assert_eq!(person.browser.console_errors().await, Vec::<String>::new());
    // That nobody can sign in any more is an error of its own in the console.
    person.deletes_the_account().await;
    person.browser.close().await;
}

impl Person {
    fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.croak.web_address())
    }

    async fn opens(&self, path: &str) {
        self.browser.open(&self.address(path)).await;
    }

    /// The path of the page that is open.
    async fn path(&self) -> String {
        self.browser.client().current_url().await.expect("a page has an address").path().to_owned()
    }

    async fn signs_up(&self) {
        self.opens("/sign-up").await;
        self.browser.write("#email", EMAIL).await;
        self.browser.click("main form button.main").await;
        self.browser.shows("main", EMAIL).await;
        let link = self.mailbox.mail(EMAIL, "Your account").await.link("/link/").expect("a link");
        self.browser.open(&link).await;
        self.browser.write("#password", PASSWORD).await;
        self.browser.click("main form button.main").await;
        self.browser.shows(".told", "signed in").await;
    }

    /// Answers the path of the project's list.
    async fn makes_a_project(&self) -> String {
        self.opens("/projects/new").await;
        self.browser.write("#name", "Library").await;
        self.browser.write("#organization_name", "Readers").await;
        self.browser.click("main form button.main").await;
        self.browser.element(".snippets").await;
        self.path().await
    }

    /// Does what the page of a new project says first, in a shell, and waits until the page has become the list. Answers the line.
    async fn pastes_the_snippet(&self) -> String {
        let snippet = self.browser.text(".snippets pre.paste code").await;
        // The web does not know on which port of this machine the gateway of a test listens.
        let line = snippet.replace("http://gateway.test", &format!("http://{}", self.croak.gateway_address()));
        let line = format!("{line} -sSf");
        wait_until("the new key opens the door", BY_ITSELF, async || run(&line).then_some(())).await;
        self.browser.shows("table.groups tbody .class", "FirstError").await;
        line
    }

    /// Answers the path of the group's page.
    async fn finds(&self, list: &str, class: &str) -> String {
        self.opens(list).await;
        self.browser.write("#query", &format!("class:{class}")).await;
        self.browser.click("form[role=search] button").await;
        self.browser.shows("table.groups tbody .class", class).await;
        self.browser.click("table.groups a.open").await;
        self.browser.shows(".group-head h1", class).await;
        self.path().await
    }

    /// Sends the form of a group's page that asks for this.
    async fn acts(&self, group: &str, action: &str) {
        self.browser.click(&format!("form[action='{group}/{action}'] button")).await;
    }

    async fn resolves(&self, group: &str) {
        self.acts(group, "resolve").await;
        self.browser.shows(".told", "Resolved").await;
        self.browser.shows(".group-head .chip", "resolved").await;
    }

    async fn is_told_when_it_comes_back(&self, report: &str) {
        assert!(run(report), "the same error again");
        let mail = self.mailbox.mail(EMAIL, "Came back: FirstError").await;
        let page = mail.link("/groups/").expect("a link to the group");
        // Pages may be a second old, and without scripts this one stands still.
        wait_until("the page says so", BY_ITSELF, async || {
            self.browser.open(&page).await;
            self.browser.text(".group-head").await.contains("came back").then_some(())
        })
        .await;
    }

    async fn mutes(&self, group: &str) {
        self.opens(group).await;
        self.acts(group, "mute").await;
        self.browser.shows(".group-head .chip", "muted").await;
    }

    async fn merges_and_takes_it_back(&self, list: &str, group: &str, report: &str) {
        assert!(run(&report.replace("FirstError", "SecondError")), "another error");
        let second = wait_until("the other error is there", BY_ITSELF, async || {
            self.opens(&format!("{list}?query=class:SecondError")).await;
            self.browser.has("table.groups a.open").await.then_some(())
        });
        second.await;
        let second = self.finds(list, "SecondError").await;
        self.browser.click("details.more:has(#merge-into) summary").await;
        self.browser.write("#merge-into", &self.address(group)).await;
        self.acts(&second, "merge").await;
        self.browser.shows(".told", "Merged").await;
        self.opens(group).await;
        self.browser.shows(".merged", "SecondError").await;
        self.acts(group, "unmerge").await;
        self.browser.shows(".told", "aken back").await;
        self.finds(list, "SecondError").await;
    }

    async fn turns_on_the_second_factor(&self) {
        self.opens("/account/second-factor").await;
        let secret = self.browser.text("form[action='/account/second-factor/on'] code").await;
        let step = now_s() / STEP_SECONDS;
        self.browser.write("#code", &code(&secret, step)).await;
        self.browser.write("#password", PASSWORD).await;
        self.browser.click("form[action='/account/second-factor/on'] button").await;
        self.browser.shows("h1", "Recovery codes").await;
        let recovery = self.browser.text("pre.paste code").await.lines().next().expect("a code").to_owned();

        // A code is good once: the next one is that of the next step, or one of those that were noted.
        for code in [code(&secret, step + 1), recovery] {
            self.signs_out().await;
            self.signs_in().await;
            self.browser.shows("h1", "One more code").await;
            self.browser.write("#code", &code).await;
            self.browser.click("main form button.main").await;
            self.browser.shows("h1", "Projects").await;
        }
    }

    async fn signs_out(&self) {
        self.opens("/account").await;
        self.browser.click("details.who summary").await;
        self.browser.click("form[action='/sign-out'] button").await;
        self.browser.element("form.sign-in #email").await;
    }

    async fn signs_in(&self) {
        self.opens("/sign-in").await;
        self.browser.write("#email", EMAIL).await;
        self.browser.write("#password", PASSWORD).await;
        self.browser.click("form.sign-in button").await;
    }

    /// Whoever owns an organization alone takes its projects along.
    async fn deletes_the_project(&self, list: &str) {
        let settings = list.replace("/groups", "/settings");
        self.opens(&settings).await;
        self.browser.write("#slug", "library").await;
        self.browser.click(&format!("form[action='{settings}/delete'] button")).await;
        self.browser.shows("h1", "Projects").await;
    }

    async fn deletes_the_account(&self) {
        self.opens("/account").await;
        self.browser.write("#delete-password", PASSWORD).await;
        self.browser.click("form[action='/account/delete'] button").await;
        self.browser.element("form.sign-in #email").await;
        self.signs_in().await;
        self.browser.shows(".told.bad", "do not belong together").await;
    }
}

/// Runs a line in a shell; whether it went well.
fn run(line: &str) -> bool {
    Command::new("sh").args(["-c", line]).output().expect("sh starts").status.success()
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The code of a step (RFC 6238, RFC 4226), as a telephone shows it.
fn code(secret: &str, step: u64) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(&base32(secret)).expect("any length will do");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes([digest[at] & 0x7f, digest[at + 1], digest[at + 2], digest[at + 3]]);
    format!("{:06}", number % 1_000_000)
}

/// The bytes of a secret as people type it (RFC 4648).
fn base32(text: &str) -> Vec<u8> {
    let digits = text.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| match letter.to_ascii_uppercase() {
        letter @ b'A'..=b'Z' => letter - b'A',
        digit => digit - b'2' + 26,
    });
    let mut bytes = Vec::new();
    let (mut bits, mut bit_count) = (0_u32, 0);
    for digit in digits {
        bits = bits << 5 | u32::from(digit);
        bit_count += 5;
        if bit_count >= 8 {
            bit_count -= 8;
            bytes.push((bits >> bit_count) as u8);
            bits &= (1 << bit_count) - 1;
        }
    }
    bytes
}
