//! A backup with an archive of the log, from which a server is set back to an earlier moment.

use std::path::PathBuf;
use std::time::Duration;

use super::{Postgres, give_away, server_folder};
use crate::wait_until;

/// The log must be archived, and read back, this soon.
const ARCHIVE_LIMIT: Duration = Duration::from_secs(120);

/// A copy of a server as it was, and its log since then.
#[derive(Debug)]
pub struct Archive {
    folder: tempfile::TempDir,
}

impl Archive {
    /// A place for a backup and a log.
    pub fn new() -> Archive {
        let archive = Archive { folder: server_folder() };
        std::fs::create_dir(archive.log()).expect("a folder for the log");
        give_away(&archive.log());
        archive
    }

    /// The settings of a server whose log goes here.
    pub fn settings(&self) -> String {
        let log = self.log();
        let log = log.display();
        format!("archive_mode = on\narchive_command = 'test ! -f {log}/%f && cp %p {log}/%f'")
    }

    /// Makes the backup.
    pub async fn back_up(&self, server: &Postgres) {
        server.base_backup(&self.base(), None).await;
    }

    /// Ends a server at once and starts it again as it was at `moment`, as PostgreSQL writes times.
    pub async fn set_back(&self, server: &mut Postgres, moment: &str) {
        server.run("select pg_switch_wal()").await;
        wait_until("the log is archived", ARCHIVE_LIMIT, async || {
            let waiting =
                server.number("select count(*) from pg_ls_archive_statusdir() where name like '%.ready'").await;
            (waiting == Some(0)).then_some(())
        })
        .await;
        server.kill();
        std::fs::remove_dir_all(server.data()).expect("the server's data can be removed");
        std::fs::rename(self.base(), server.data()).expect("the backup can be moved");
        let signal = server.data().join("recovery.signal");
        std::fs::write(&signal, "").expect("a file that asks for recovery");
        give_away(&signal);
        server.add_settings(&format!(
            "restore_command = 'cp {}/%f %p'\nrecovery_target_time = '{moment}'\nrecovery_target_action = 'promote'",
            self.log().display()
        ));
        server.start_again().await;
        wait_until("the server takes writes", ARCHIVE_LIMIT, async || {
            (server.number("select pg_is_in_recovery()::int").await == Some(0)).then_some(())
        })
        .await;
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Default for Archive {
    fn default() -> Archive {
        Archive::new()
    }
}
