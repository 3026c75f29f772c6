//! The manifest of a bundle: what each file is, where it is served, and what belongs to it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{BundleError, refused};

/// Most characters of an address in a manifest.
const URL_CHARS_MAX: usize = 2_048;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArtifactKind {
    /// What browsers run.
    MinifiedSource,
    /// What leads from there to what people wrote.
    SourceMap,
    /// What people wrote.
    Source,
    /// Anything else.
    Other,
}

impl ArtifactKind {
    /// Its name, as manifests have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MinifiedSource => "minified_source",
            Self::SourceMap => "source_map",
            Self::Source => "source",
            Self::Other => "other",
        }
    }

    fn named(name: &str) -> ArtifactKind {
        [Self::MinifiedSource, Self::SourceMap, Self::Source]
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .unwrap_or(Self::Other)
    }
}

/// A file of a bundle, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFile {
    /// Where it lies in the archive.
    pub path: String,
    /// What it is.
    pub kind: ArtifactKind,
    /// Where it is served: `~/static/app.min.js`, for any host.
    pub url: Option<String>,
    /// What ties it to its map and to what a client sends, 16 bytes of a UUID.
    pub debug_id: Option<[u8; 16]>,
    /// Where its map is: relative to it, or absolute.
    pub source_map_url: Option<String>,
}

#[derive(Deserialize)]
struct Manifest {
    files: BTreeMap<String, File>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
}

/// The files that a manifest names.
pub(super) fn files_of(text: &[u8]) -> Result<Vec<BundleFile>, BundleError> {
    let manifest: Manifest = match serde_json::from_slice(text) {
        Ok(manifest) => manifest,
        Err(error) => return refused(format!("the manifest is not what it should be: {error}")),
    };
    manifest.files.into_iter().map(|(path, file)| describe(path, file)).collect()
}

fn describe(path: String, file: File) -> Result<BundleFile, BundleError> {
    let headers = file.headers.unwrap_or_default();
    let header = |names: &[&str]| {
        let named = headers.iter().find(|(name, _)| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)));
        named.map(|(_, value)| value.trim().to_owned()).filter(|value| !value.is_empty())
    };
    let source_map_url = header(&["sourcemap", "x-sourcemap"]);
    for url in [&file.url, &source_map_url].into_iter().flatten() {
        if url.len() > URL_CHARS_MAX || url.contains('\0') {
            return refused(format!("an address of {path:?} is longer than {URL_CHARS_MAX} characters, or is none"));
        }
    }
    Ok(BundleFile {
        kind: file.kind.as_deref().map_or(ArtifactKind::Other, ArtifactKind::named),
        url: file.url,
        debug_id: header(&["debug-id"]).and_then(|text| debug_id(&text)),
        source_map_url,
        path,
    })
}

/// 32 hex digits with or without hyphens; what follows them counts builds of one binary, which scripts have none of.
fn debug_id(text: &str) -> Option<[u8; 16]> {
    let digits: String = text.chars().filter(|c| *c != '-').take(32).collect();
    let is_whole = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_whole.then(|| u128::from_str_radix(&digits, 16).ok()).flatten()?;
    (number != 0).then(|| number.to_be_bytes())
}
