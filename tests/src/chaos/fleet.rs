//! What a chaos runs: three gateways with a journal each, four workers, the web, and servers that may die.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::installation::{ALL_ROLES, Installation, Service};
use crate::process::Signal;
use crate::servers::{Postgres, Redis, RedisLimits};
use crate::shim::{Shim, Switch};

use super::schedule::{GATEWAYS, WORKERS};

/// What Redis may hold while it is not made smaller.
pub const REDIS_MB: u32 = 512;

/// The disk of the last gateway: some segments of 64 MiB and no more.
const SMALL_DISK_MB: u32 = 352;

/// A project that floods, or one of those that must not suffer from it.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its number.
    pub id: i64,
    /// Its key.
    pub key: String,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Fleet {
    /// The gateways.
    pub gateways: Vec<Member>,
    /// The workers.
    pub workers: Vec<Member>,
    /// The queue's server.
    pub redis: Mutex<Redis>,
    /// The database's server.
    pub postgres: Mutex<Postgres>,
    /// The disk of the last gateway, where one can be had.
    pub small_disk: Option<SmallDisk>,
    /// What cannot be had on this machine, and why.
    pub lacks: Vec<String>,
    /// Database, web and the rest. Goes last: its folder can be removed when nobody writes there and no disk is mounted in it.
    pub croak: Installation,
}

/// A service that is made to fail. Faults hold it while they last.
#[derive(Debug)]
pub struct Member {
    /// Its name in messages.
    pub name: String,
    /// Where it listens for others.
    pub address: SocketAddr,
    /// Where its metrics are.
    pub admin_address: SocketAddr,
    /// The service.
    pub service: Mutex<Service>,
    /// Its disk and its clock, where a C compiler is.
    pub switch: Option<Switch>,
}

impl Fleet {
    /// Starts everything, with these projects beside the first and these settings for every service.
    pub async fn start(projects: &[Project], settings: &[(&'static str, String)]) -> Fleet {
        let mut croak = Installation::with_private_servers(RedisLimits { memory_mb: REDIS_MB }).await;
        croak.settings = settings.to_vec();
        for project in projects {
            croak.create_project(project.id, &format!("project-{}", project.id), &project.key);
        }
        let mut lacks = Vec::new();
        let shim = Shim::compile(croak.folder())
            .map_err(|why| lacks.push(format!("slow and failing disks, clocks that go back: {why}")))
            .ok();
        let small_disk = SmallDisk::mount(&croak.folder().join("small-disk"))
            .map_err(|why| lacks.push(format!("a full disk: {why}")))
            .ok();

        let mut workers = Vec::new();
        for number in 1..=WORKERS {
            let switch = shim.as_ref().map(|shim| shim.switch(croak.folder(), &format!("worker-{number}")));
            croak.settings = with_switch(settings, switch.as_ref());
            croak.start_worker(ALL_ROLES).await;
            let service = croak.workers.pop().expect("it was just started");
            workers.push(Member::new(service, switch));
        }
        croak.settings = settings.to_vec();
        croak.start_web().await;
        let mut gateways = Vec::new();
        for number in 1..=GATEWAYS {
            let name = format!("gateway-{number}");
            let switch = shim.as_ref().map(|shim| shim.switch(croak.folder(), &name));
            let journal = match &small_disk {
                Some(disk) if number == GATEWAYS => disk.folder.join("journal"),
                _ => croak.folder().join(format!("{name}-journal")),
            };
            croak.settings = with_switch(settings, switch.as_ref());
            gateways.push(Member::new(croak.another_gateway(&name, &journal).await, switch));
        }
        croak.settings = settings.to_vec();
        let redis = croak.redis.take().expect("it has its own").into();
        let postgres = croak.postgres.take().expect("it has its own").into();
        Fleet { croak, gateways, workers, redis, postgres, small_disk, lacks }
    }

    /// Gateways and workers.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.gateways.iter().chain(&self.workers)
    }

    /// Those that have ended although no fault has them in its hands, with how; they are started again.
    pub async fn started_again(&self) -> Vec<String> {
        let mut ended = Vec::new();
        for member in self.members() {
            // Whoever holds it has ended it, or will say so.
            let Ok(mut service) = member.service.try_lock() else { continue };
            if !service.process.is_running() {
                let (status, _) = service.process.exit_within(Duration::from_secs(1)).await;
                ended.push(format!("{} ended by itself: {status}", member.name));
                service.start_again();
            }
        }
        ended
    }

    /// Waits until all are ready.
    pub async fn ready(&self) {
        for member in self.members() {
            let mut service = member.service.lock().await;
            service.process.signal(Signal::CONT);
            service.ready().await;
        }
    }
}

impl Member {
    fn new(service: Service, switch: Option<Switch>) -> Member {
        Member {
            name: service.name().to_owned(),
            address: service.address(),
            admin_address: service.admin_address(),
            service: Mutex::new(service),
            switch,
        }
    }
}

fn with_switch(settings: &[(&'static str, String)], switch: Option<&Switch>) -> Vec<(&'static str, String)> {
    settings.iter().cloned().chain(switch.into_iter().flat_map(Switch::environment)).collect()
}

/// A file system of its own that is soon full.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    fn mount(folder: &Path) -> Result<SmallDisk, String> {
        std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={SMALL_DISK_MB}m"), "croak-chaos"]).arg(folder);
        let mounted = mount.output().map_err(|error| format!("mount: {error}"))?;
        if !mounted.status.success() {
            return Err(String::from_utf8_lossy(&mounted.stderr).trim().to_owned());
        }
        Ok(SmallDisk { folder: folder.to_owned() })
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let zeros = vec![0; 1 << 20];
        let mut ballast = std::fs::File::create(self.ballast()).expect("an empty file always fits");
        while std::io::Write::write_all(&mut ballast, &zeros).is_ok() {}
    }

    /// Gives it back.
    pub fn empty(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast is ours");
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the gateway on it may end a moment later.
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
