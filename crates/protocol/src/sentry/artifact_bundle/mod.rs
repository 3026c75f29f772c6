//! Artifact bundles: what build tools upload of a release, as a ZIP archive with a manifest that says what its files are.
//!
//! sentry-cli and the plug-ins of bundlers make them; the format is symbolic's "source bundle": eight bytes of a header, an archive, and in
//! it `manifest.json` beside the files that it names.

mod manifest;
mod zip;

use std::io::{self, Read, Seek};

pub use manifest::{ArtifactKind, BundleFile};
use zip::{Archive, Entry};

/// Where the manifest lies in the archive.
const MANIFEST: &str = "manifest.json";
/// Most bytes of a manifest, unpacked.
const MANIFEST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What a bundle may hold.
#[derive(Debug, Clone, Copy)]
pub struct BundleLimits {
    /// Files.
    pub files_max: usize,
    /// Bytes of one file, unpacked.
    pub file_bytes_max: u64,
    /// Bytes of all files, unpacked.
    pub bytes_max: u64,
}

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is not what it should be, or more than is taken; the text says which, for whoever made it.
    #[error("{0}")]
    Refused(String),
    /// Its bytes could not be read, or do not unpack.
    #[error("the bundle cannot be read")]
    Read(#[from] io::Error),
}

fn refused<T>(told: impl Into<String>) -> Result<T, BundleError> {
    Err(BundleError::Refused(told.into()))
}

/// An opened bundle.
#[derive(Debug)]
pub struct Bundle<R> {
    source: R,
    files: Vec<(BundleFile, Entry)>,
}

impl<R: Read + Seek> Bundle<R> {
    /// Reads the directory and the manifest.
    pub fn open(mut source: R, limits: BundleLimits) -> Result<Bundle<R>, BundleError> {
        let archive = Archive::open(&mut source, limits)?;
        let Some(entry) = archive.entry(MANIFEST) else {
            return refused(format!("the bundle has no {MANIFEST}"));
        };
        if entry.bytes > MANIFEST_BYTES_MAX {
            return refused(format!("{MANIFEST} is longer than {MANIFEST_BYTES_MAX} bytes"));
        }
        let mut text = Vec::new();
        entry.open(&mut source)?.read_to_end(&mut text)?;
        let mut files = Vec::new();
        for file in manifest::files_of(&text)? {
            let Some(entry) = archive.entry(&file.path) else {
                return refused(format!("{MANIFEST} names {:?}, which is not in the bundle", file.path));
            };
            files.push((file, *entry));
        }
        // In the order in which they lie there, so that the source is read once.
        files.sort_by_key(|(_, entry)| entry.offset);
        Ok(Bundle { source, files })
    }

    /// How many files the manifest names.
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// A file, and what reads it unpacked. Reading fails where its length or its sum is not what the archive says.
    pub fn file(&mut self, index: usize) -> Result<Option<(&BundleFile, impl Read + '_)>, BundleError> {
        let Bundle { source, files } = self;
        match files.get(index) {
            Some((file, entry)) => Ok(Some((file, entry.open(source)?))),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use flate2::write::DeflateEncoder;
    use flate2::{Compression, Crc};

    use super::*;

    const LIMITS: BundleLimits = BundleLimits { files_max: 10, file_bytes_max: 1_000_000, bytes_max: 1_500_000 };

    /// An archive as symbolic writes them.
    fn bundle(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = b"SYSB\x02\0\0\0".to_vec();
        let mut directory = Vec::new();
        for (path, body) in files {
            let mut packed = DeflateEncoder::new(Vec::new(), Compression::default());
            packed.write_all(body).expect("a vector takes everything");
            let packed = packed.finish().expect("a vector takes everything");
            let mut crc = Crc::new();
            crc.update(body);
            let mut common = Vec::new();
            common.extend([20, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
            common.extend(crc.sum().to_le_bytes());
            common.extend((packed.len() as u32).to_le_bytes());
            common.extend((body.len() as u32).to_le_bytes());
            common.extend((path.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            directory.extend(b"PK\x01\x02\x14\0");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend((out.len() as u32).to_le_bytes());
            directory.extend(path.as_bytes());
            out.extend(b"PK\x03\x04");
            out.extend(&common);
            out.extend(path.as_bytes());
            out.extend(packed);
        }
        let at = out.len() as u32;
        out.extend(&directory);
        out.extend(b"PK\x05\x06\0\0\0\0");
        out.extend((files.len() as u16).to_le_bytes());
        out.extend((files.len() as u16).to_le_bytes());
        out.extend((directory.len() as u32).to_le_bytes());
        out.extend(at.to_le_bytes());
        out.extend([0, 0]);
        out
    }

    const MANIFEST_TEXT: &str = r#"{"files": {
        "files/_/_/app.min.js": {"type": "minified_source", "url": "~/app.min.js",
            "headers": {"debug-id": "4f4836e0-e800-5c31-bd0b-097fa32c9566", "Sourcemap": "app.min.js.map"}},
        "files/_/_/app.min.js.map": {"type": "source_map", "url": "~/app.min.js.map"}}, "release": "shop@1.4.2"}"#;

    fn whole() -> Vec<u8> {
        bundle(&[
            ("files/_/_/app.min.js", b"console.log(1)"),
            ("files/_/_/app.min.js.map", b"{}"),
            ("manifest.json", MANIFEST_TEXT.as_bytes()),
        ])
    }

    fn refusal(bytes: Vec<u8>) -> String {
        match Bundle::open(Cursor::new(bytes), LIMITS) {
            Err(error) => error.to_string(),
            Ok(_) => "opened".to_owned(),
        }
    }

    #[test]
    fn files_are_what_the_manifest_says() {
        let mut bundle = Bundle::open(Cursor::new(whole()), LIMITS).expect("a bundle");
        assert_eq!(bundle.file_count(), 2);
        let (file, mut body) = bundle.file(0).expect("reads").expect("is there");
        let mut text = String::new();
        body.read_to_string(&mut text).expect("unpacks");
        assert_eq!(text, "console.log(1)");
        assert_eq!(file.url.as_deref(), Some("~/app.min.js"));
        assert_eq!(file.kind, ArtifactKind::MinifiedSource);
        assert_eq!(file.source_map_url.as_deref(), Some("app.min.js.map"));
        assert_eq!(file.debug_id.map(u128::from_be_bytes), Some(0x4f4836e0e8005c31bd0b097fa32c9566));
        drop(body);
        let (map, _) = bundle.file(1).expect("reads").expect("is there");
        assert_eq!((map.kind, map.debug_id), (ArtifactKind::SourceMap, None));
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_told_and_never_more_than_an_error() {
        let whole = whole();
        for end in 0..whole.len() {
            assert_ne!(refusal(whole[..end].to_vec()), "opened", "cut at {end}");
        }
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0xff;
            let Ok(mut bundle) = Bundle::open(Cursor::new(changed), LIMITS) else { continue };
            for index in 0..bundle.file_count() {
                if let Ok(Some((_, mut body))) = bundle.file(index) {
                    let mut text = Vec::new();
                    let read = body.read_to_end(&mut text);
                    assert!(read.is_err() || text == b"console.log(1)" || text == b"{}", "{at}: {text:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_more_than_is_taken_is_refused_before_it_is_unpacked() {
        let big = vec![0; 1_000_001];
        assert!(refusal(bundle(&[("big", &big)])).contains("longer than 1000000 bytes"));
        let half = vec![0; 800_000];
        assert!(refusal(bundle(&[("a", &half), ("b", &half)])).contains("more than 1500000 bytes"));
        let names: Vec<String> = (0..11).map(|n| n.to_string()).collect();
        let many: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &b""[..])).collect();
        assert!(refusal(bundle(&many)).contains("at most 10"));
    }

    #[test]
    fn a_bomb_that_lies_about_its_length_is_stopped_there() {
        let mut bytes = bundle(&[
            ("files/bomb", &vec![0; 900_000]),
            ("manifest.json", br#"{"files": {"files/bomb": {"type": "source"}}}"#),
        ]);
        // The directory says ten bytes.
        let at = bytes.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory") + 24;
        bytes[at..at + 4].copy_from_slice(&10_u32.to_le_bytes());
        let mut bundle = Bundle::open(Cursor::new(bytes), LIMITS).expect("opens");
        let (_, mut body) = bundle.file(0).expect("reads").expect("is there");
        let mut text = Vec::new();
        assert!(body.read_to_end(&mut text).is_err());
        assert!(text.len() <= 10);
    }

    #[test]
    fn a_manifest_must_be_there_and_name_what_is_there() {
        assert!(refusal(bundle(&[("a", b"")])).contains("no manifest.json"));
        assert!(refusal(bundle(&[("manifest.json", br#"{"files": {"x": {}}}"#)])).contains("\"x\""));
        assert!(refusal(bundle(&[("manifest.json", b"[]")])).contains("manifest"));
        assert!(refusal(b"no archive at all".to_vec()).contains("ZIP"));
    }
}
