//! Artifacts as an upload leaves them, and notices of the builds that they are of.

#![allow(dead_code, reason = "not every test uses everything")]

use std::path::Path;

use notice::{Error, Frame, Notice, normalise};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use uuid::Uuid;

/// Where all builds are served.
pub(crate) const ADDRESS: &str = "https://shop.example/static/app.min.js";

/// Some debug id.
pub(crate) const DEBUG_ID: Uuid = Uuid::from_u128(0x8a2c_c2b5_5de5_4f05_9d5e_0b7a_60b7_d2c1);

/// A file of a bundle.
pub(crate) struct File {
    pub(crate) kind: &'static str,
    pub(crate) url: &'static str,
    pub(crate) debug_id: Option<Uuid>,
    pub(crate) source_map_url: Option<&'static str>,
    pub(crate) bytes: Vec<u8>,
}

/// A file of a build of `crates/source_map/tests/builds`.
pub(crate) fn built(build: &str, name: &str) -> Vec<u8> {
    let builds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/source_map/tests/builds");
    std::fs::read(builds.join(build).join(name)).expect("the build has it")
}

/// Script and map of a build.
pub(crate) fn files(build: &str, debug_id: Option<Uuid>) -> Vec<File> {
    let (url, source_map_url) = ("~/static/app.min.js", Some("app.min.js.map"));
    let script = built(build, "static/app.min.js");
    let map = built(build, "static/app.min.js.map");
    vec![
        File { kind: "minified_source", url, debug_id, source_map_url, bytes: script },
        File { kind: "source_map", url: "~/static/app.min.js.map", debug_id, source_map_url: None, bytes: map },
    ]
}

/// Puts a bundle of project 1 where uploads put them.
pub(crate) async fn upload(pool: &PgPool, release: Option<&str>, dist: Option<&str>, files: &[File]) {
    let bundle: i64 = sqlx::query_scalar(
        "insert into artifact_bundle (sha1, project_id, release, dist, debug_id_count, file_count, byte_count)
         values ($1, 1, $2, $3, 0, $4, 0) returning id",
    )
    .bind(&Uuid::new_v4().as_bytes().repeat(2)[..20])
    .bind(release)
    .bind(dist)
    .bind(i32::try_from(files.len()).expect("few"))
    .fetch_one(pool)
    .await
    .expect("a bundle");
    for file in files {
        let sha256 = Sha256::digest(&file.bytes).to_vec();
        let byte_count = i64::try_from(file.bytes.len()).expect("short");
        sqlx::query(
            "insert into artifact_blob (sha256, byte_count, codec, body) values ($1, $2, 1, $3) on conflict do nothing",
        )
        .bind(&sha256)
        .bind(byte_count)
        .bind(zstd::bulk::compress(&file.bytes, 3).expect("it is packed"))
        .execute(pool)
        .await
        .expect("a blob");
        sqlx::query(
            "insert into artifact (bundle_id, project_id, kind, url, debug_id, source_map_url, sha256, byte_count)
             values ($1, 1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(bundle)
        .bind(file.kind)
        .bind(file.url)
        .bind(file.debug_id)
        .bind(file.source_map_url)
        .bind(&sha256)
        .bind(byte_count)
        .execute(pool)
        .await
        .expect("an artifact");
    }
}

/// The notice of what a build's program threw, of a release.
pub(crate) fn thrown(build: &str, release: Option<&str>) -> Notice {
    let stack = String::from_utf8(built(build, "stack.txt")).expect("it is text");
    let frames = stack.lines().skip(1).map(|line| {
        let (function, place) = line.trim().strip_prefix("at ")?.split_once(" (")?;
        let mut place = place.trim_end_matches(')').rsplitn(3, ':');
        let (column, line, file) = (place.next()?.parse().ok()?, place.next()?.parse().ok()?, place.next()?);
        Some(Frame {
            file: Some(file.to_owned()),
            function: Some(function.to_owned()),
            line: Some(line),
            column: Some(column),
            ..Frame::default()
        })
    });
    let mut notice = Notice {
        protocol: "sentry".to_owned(),
        errors: vec![Error {
            class: Some("PaymentDeclined".to_owned()),
            message: Some("no card for 150".to_owned()),
            frames: frames.collect::<Option<_>>().expect("all lines are calls"),
            ..Error::default()
        }],
        release: release.map(str::to_owned),
        language: Some("javascript".to_owned()),
        ..Notice::default()
    };
    normalise(&mut notice);
    notice
}

/// The notice with the debug id of its script, as Sentry's clients tell it.
pub(crate) fn with_debug_id(mut notice: Notice, debug_id: Uuid) -> Notice {
    let images = format!(r#"[{{"type":"sourcemap","code_file":"{ADDRESS}","debug_id":"{debug_id}"}}]"#);
    notice.debug_images_json = Some(images);
    notice
}
