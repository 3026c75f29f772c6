//! Free ports that stay ours.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};

/// Below Linux's range for outgoing connections (32768 and up): a service that was killed must find its port free when it
/// starts again, and a sender with hundreds of connections would otherwise sit on it.
const RANGE: std::ops::Range<u16> = 15_000..32_000;

/// A port of 127.0.0.1 that no other test takes while this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Finds a free port and locks it against other tests, in this process or another.
    pub fn free() -> Port {
        let folder = std::env::temp_dir().join("croak-test-ports");
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        for _ in 0..1_000 {
            let number = rand::random_range(RANGE);
            let lock = File::create(folder.join(number.to_string())).expect("a lock file");
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Port { number, _lock: lock };
            }
        }
        panic!("no free port among {RANGE:?}");
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }
}
