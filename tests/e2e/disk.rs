//! What a 2xx says of the disk: the notice was synced before it was written to the socket, and a disk that fails ends the gateway.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::installation::ALL_ROLES;
use tests::load::{Ledger, Load};
use tests::process::Signal;
use tests::samples::XmlNotice;
use tests::servers::RedisLimits;
use tests::shim::{Shim, Switch};
use tests::{Installation, bodies, wait_until};

/// Rounds of a power loss.
const LOSSES: usize = 5;

/// Slow enough that most moments lie between a write and its sync.
const SYNC_TAKES: Duration = Duration::from_millis(60);

/// Notices of one round before the power goes.
const BEFORE_LOSS: usize = 150;

/// A gateway whose disk fails has ended within this.
const ABORT_LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn i1_what_got_a_2xx_is_left_by_a_power_loss() {
    let mut croak = Installation::with_private_servers(RedisLimits::default()).await;
    let Some(switch) = switch(&croak) else { return };
    let synced = croak.folder().join("synced");
    croak.start_worker(ALL_ROLES).await;
    croak.settings = switch.environment();
    croak.settings.push(("CROAK_SHIM_SYNCED", synced.display().to_string()));
    croak.start_gateway().await;
    // From here on the journal is the only place where anything is.
    croak.workers[0].stop().await;
    croak.redis.as_mut().expect("its own").kill();
    switch.slow_disk(SYNC_TAKES);

    let (mut accepted, mut lost_bytes) = (Vec::new(), 0);
    for round in 0..LOSSES {
        let load = Load::start(croak.gateway_address(), 300, varied);
        wait_until("notices are accepted", Duration::from_secs(30), async || {
            (load.accepted_count() > BEFORE_LOSS + 10 * round).then_some(())
        })
        .await;
        croak.gateway.as_mut().expect("it runs").process.kill();
        let ledger = load.stop().await;
        lost_bytes += lose_power(&croak.journal_folder(), &synced);
        println!("round {round}: {} accepted, {} unanswered", ledger.accepted.len(), ledger.unanswered);
        accepted.extend(ledger.accepted);
        let gateway = croak.gateway.as_mut().expect("it was there");
        gateway.start_again();
        gateway.ready().await;
    }
    println!("{} accepted, {lost_bytes} bytes lost that no sync had covered", accepted.len());
    assert!(lost_bytes > 0, "a kill has to hit a gateway between writing and syncing");

    croak.gateway.as_mut().expect("it runs").stop().await;
    croak.redis.as_mut().expect("its own").start_again().await;
    croak.settings.clear();
    croak.start_worker(ALL_ROLES).await;
    wait_until("the installation is known to Redis", Duration::from_secs(10), async || {
        let key = format!("{}:snapshot", croak.prefix());
        let redis = croak.redis.as_ref().expect("its own");
        (redis.ask(&["EXISTS", &key]).await.ok()? == redis::Value::Int(1)).then_some(())
    })
    .await;
    let folder = croak.journal_folder().display().to_string();
    let verified = croak.croak_json(&["journal", "verify", &folder]);
    assert!(verified.as_array().is_some_and(|files| files.iter().all(|file| file["corrupt_count"] == 0)), "{verified}");
    croak.croak(&["journal", "ship", &folder]);
    assert_stored_once(&croak, &accepted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_whose_sync_fails_ends_and_has_told_nobody() {
    let mut croak = Installation::new().await;
    let Some(switch) = switch(&croak) else { return };
    croak.start_worker(ALL_ROLES).await;
    croak.settings = switch.environment();
    croak.start_gateway().await;

    let load = Load::start(croak.gateway_address(), 300, varied);
    wait_until("notices are accepted", Duration::from_secs(30), async || (load.accepted_count() > 300).then_some(()))
        .await;
    switch.broken_disk(true);
    let gateway = croak.gateway.as_mut().expect("it runs");
    let (status, took) = gateway.process.exit_within(ABORT_LIMIT).await;
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
    assert!(gateway.process.log().contains("the journal cannot be written (fdatasync)"));
    // Started on such a disk it has no journal, and ends before anybody got a 2xx.
    let accepted_before = load.accepted_count();
    gateway.start_again();
    let (status, _) = gateway.process.exit_within(ABORT_LIMIT).await;
    assert_eq!(status.code(), Some(1), "{status}");
    assert!(gateway.process.log().lines().last().is_some_and(|words| words.contains("cannot open the journal")));
    assert_eq!(load.accepted_count(), accepted_before);
    switch.broken_disk(false);
    gateway.start_again();
    gateway.ready().await;
    let before = load.accepted_count();
    wait_until("it takes notices again", Duration::from_secs(30), async || {
        (load.accepted_count() > before + 100).then_some(())
    })
    .await;
    let Ledger { accepted, unanswered, .. } = load.stop().await;
    println!("ended after {} ms; {} accepted, {unanswered} unanswered", took.as_millis(), accepted.len());
    assert!(unanswered > 0, "somebody waited for the sync that failed");
    assert_stored_once(&croak, &accepted).await;
}

/// Disk and clock of the gateway, if there is a C compiler.
fn switch(croak: &Installation) -> Option<Switch> {
    match Shim::compile(croak.folder()) {
        Ok(shim) => Some(shim.switch(croak.folder(), "gateway")),
        Err(why) => {
            println!("SKIPPED, nothing is proved: {why}");
            None
        }
    }
}

/// Cuts every file to the length that was synced; answers how much was written behind it.
fn lose_power(folder: &Path, synced: &Path) -> u64 {
    let list = std::fs::read_to_string(synced).expect("the shim writes what was synced");
    let lengths: BTreeMap<PathBuf, u64> = list
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(file, length)| (PathBuf::from(file), length.parse().expect("a length")))
        .collect();
    let mut lost = 0;
    for entry in std::fs::read_dir(folder).expect("the journal is there") {
        let path = entry.expect("a folder can be listed").path();
        // Files that are no segments are replaced as a whole.
        let Some(length) = lengths.get(&path) else { continue };
        let bytes = std::fs::read(&path).expect("a segment can be read");
        let kept = usize::try_from(*length).expect("a segment fits into memory").min(bytes.len());
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        lost += written.saturating_sub(kept) as u64;
        let file = std::fs::File::options().write(true).open(&path).expect("a segment can be cut");
        file.set_len(kept as u64).expect("a segment can be cut");
    }
    lost
}

fn varied(n: u64) -> Vec<u8> {
    XmlNotice { class: format!("Failure{}", n % 30), user: (n % 500).to_string(), ..XmlNotice::default() }.request()
}

async fn assert_stored_once(croak: &Installation, accepted: &[uuid::Uuid]) {
    let copies = bodies::copies_with_all_of(&croak.pool(), accepted, Duration::from_secs(30)).await;
    let accepted: HashSet<_> = accepted.iter().collect();
    let doubled = accepted.iter().filter(|id| copies.get(**id) != Some(&1)).count();
    assert_eq!(doubled, 0, "each is stored once");
    croak.croak(&["audit"]);
}
