//! The snapshot on the gateway's own disk: with it the door opens when Redis and the database are down.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use notice::Snapshot;
use notice::prost::Message;

/// Beside the journal's files, so that both are on the same volume and travel together.
const FILE: &str = "projects.snapshot";
const FILE_UNFINISHED: &str = "projects.snapshot.new";

/// Where the snapshot lies.
#[derive(Clone)]
pub(crate) struct Kept {
    dir: PathBuf,
}

impl Kept {
    pub(crate) fn in_dir(dir: PathBuf) -> Kept {
        Kept { dir }
    }

    /// The snapshot of the last run, if there is one that can be read.
    pub(crate) fn load(&self) -> io::Result<Option<Snapshot>> {
        match fs::read(self.dir.join(FILE)) {
            Ok(bytes) => Snapshot::decode(bytes.as_slice()).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Keeps this one. A crash at any line leaves the old one or the new one.
    pub(crate) fn save(&self, snapshot: &Snapshot) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let unfinished = self.dir.join(FILE_UNFINISHED);
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&snapshot.encode_to_vec())?;
        file.sync_all()?;
        fs::rename(&unfinished, self.dir.join(FILE))?;
        File::open(&self.dir)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn what_was_kept_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::in_dir(dir.path().join("journal"));
        assert!(kept.load().unwrap().is_none());
        for version in [1, 2] {
            let snapshot = Snapshot { version, ..Snapshot::default() };
            kept.save(&snapshot).unwrap();
            assert_eq!(kept.load().unwrap(), Some(snapshot));
        }
    }

    #[test]
    fn a_damaged_snapshot_is_an_error_and_not_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), b"\xff\xff\xff").unwrap();
        assert!(Kept::in_dir(dir.path().to_owned()).load().is_err());
    }
}
