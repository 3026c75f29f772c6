//! The users of Redis as deploy/README.md writes them down: what stands there is what is run.

use crate::programs::workspace;

/// Password of the gateways' user.
const GATEWAY_PASSWORD: &str = "gateway-of-the-tests";

/// Password of the workers' user.
const WORKER_PASSWORD: &str = "worker-of-the-tests";

/// Password of the user of sentinels.
const SENTINEL_PASSWORD: &str = "sentinel%of-the-tests";

/// Which lines hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Users {
    /// Those for any Redis.
    Plain,
    /// Those for a server that sentinels watch.
    Watched,
    /// Those for a server of a cluster.
    Clustered,
}

/// `gateway:password`, for an address.
pub fn gateway_login() -> String {
    format!("gateway:{GATEWAY_PASSWORD}")
}

/// `worker:password`, for an address.
pub fn worker_login() -> String {
    format!("worker:{WORKER_PASSWORD}")
}

/// What follows the address of sentinels.
pub fn sentinel_query() -> String {
    format!("sentinel_user=croak&sentinel_password={}", SENTINEL_PASSWORD.replace('%', "%25"))
}

/// The users, as settings on redis-server's command line, for keys that begin with `prefix`.
pub fn users(which: Users, prefix: &str) -> Vec<String> {
    let more = match which {
        Users::Plain => None,
        Users::Watched => Some("behind sentinels"),
        Users::Clustered => Some("in a cluster"),
    };
    let more = more.map(rights).unwrap_or_default();
    let lines = [line("user gateway "), line("user worker ")];
    lines.iter().flat_map(|line| setting(&format!("{line} {more}"), prefix)).collect()
}

/// The user of sentinels, as a line of their configuration.
pub fn sentinel_user() -> String {
    line("user croak ").replace('…', SENTINEL_PASSWORD)
}

/// `user gateway on …`, as `--user` and the words behind it.
fn setting(line: &str, prefix: &str) -> Vec<String> {
    let line = line.replace("~croak:*", &format!("~{prefix}:*"));
    let (password, name) =
        if line.contains("user gateway ") { (GATEWAY_PASSWORD, "gateway") } else { (WORKER_PASSWORD, "worker") };
    let rules = line.trim().split_once(name).expect("the line names its user").1.replace('…', password);
    std::iter::once("--user".to_owned())
        .chain(std::iter::once(name.to_owned()))
        .chain(rules.split_whitespace().map(str::to_owned))
        .collect()
}

/// The first line of the page that begins so.
fn line(beginning: &str) -> String {
    let page = std::fs::read_to_string(workspace().join("deploy/README.md")).expect("the page is there");
    let found = page.lines().find_map(|line| line.strip_prefix("    ").filter(|line| line.starts_with(beginning)));
    found.unwrap_or_else(|| panic!("deploy/README.md has no line `{beginning}…`")).to_owned()
}

/// What both users may besides: the words in backquotes that follow `where`.
fn rights(place: &str) -> String {
    let page = std::fs::read_to_string(workspace().join("deploy/README.md")).expect("the page is there");
    let after = page.split_once(place).unwrap_or_else(|| panic!("deploy/README.md does not say `{place}`")).1;
    after.split('`').nth(1).expect("rights in backquotes").to_owned()
}
