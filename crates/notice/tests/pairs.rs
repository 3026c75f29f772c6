//! Pairs of notices that clients of one language send, and whether they are one group.
//!
//! `pairs/*.toml` holds them. A frame is written `function @ file:line`, with `; module` behind it where the client says one, and a
//! `!` before it where the client says that it is not the application's own (`+` where it says that it is).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use notice::{Error, Frame, Grouping, Notice, Server, fingerprint, fold_key, lane_hash, normalise};
use serde::Deserialize;

/// Fewest pairs: so many are worth looking at.
const PAIRS_MIN: usize = 80;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pairs {
    /// Where the notices come from.
    language: String,
    pair: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pair {
    /// What the two have in common, or what sets them apart.
    name: String,
    same: bool,
    one: Sent,
    other: Sent,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// The client that writes it so.
    by: String,
    class: Option<String>,
    module: Option<String>,
    message: Option<String>,
    root: Option<String>,
    #[serde(default)]
    frames: Vec<String>,
}

impl Sent {
    fn notice(&self, language: &str) -> Notice {
        let error = Error {
            class: self.class.clone(),
            module: self.module.clone(),
            message: self.message.clone(),
            frames: self.frames.iter().map(|text| frame(text)).collect(),
            ..Error::default()
        };
        let mut notice = Notice {
            errors: vec![error],
            language: Some(language.to_owned()),
            server: self.root.as_ref().map(|root| Server { root: Some(root.clone()), ..Server::default() }),
            ..Notice::default()
        };
        normalise(&mut notice);
        notice
    }
}

/// `+ function @ file:line ; module`
fn frame(text: &str) -> Frame {
    let (in_app, text) = match text.split_at_checked(2) {
        Some(("! ", rest)) => (Some(false), rest),
        Some(("+ ", rest)) => (Some(true), rest),
        _ => (None, text),
    };
    let (text, module) = text.split_once(" ; ").map_or((text, None), |(text, module)| (text, Some(module.to_owned())));
    let (function, place) = text.split_once("@ ").unwrap_or((text, ""));
    let (file, line) = place.rsplit_once(':').unwrap_or((place, ""));
    let some = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
    Frame { function: some(function), file: some(file), module, line: line.parse().ok(), in_app, ..Frame::default() }
}

fn all_pairs() -> Vec<(String, Pair)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pairs");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("there are pairs").map(|file| file.expect("it is listed").path()).collect();
    files.sort();
    files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).expect("it is readable");
            let pairs: Pairs = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            pairs.pair.into_iter().map(move |pair| (pairs.language.clone(), pair))
        })
        .collect()
}

fn parts(notice: &Notice) -> String {
    let parts = fingerprint(notice, Grouping::Default).parts;
    parts.iter().map(|part| format!("{}: {}", part.name, part.value)).collect::<Vec<_>>().join(" | ")
}

#[test]
fn a_pair_is_one_group_exactly_if_it_should_be() {
    let pairs = all_pairs();
    assert!(pairs.len() >= PAIRS_MIN, "only {} pairs", pairs.len());
    let names: BTreeSet<_> = pairs.iter().map(|(language, pair)| (language, &pair.name)).collect();
    assert_eq!(names.len(), pairs.len(), "two pairs have one name");
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    for (language, pair) in &pairs {
        *counts.entry((language, pair.same)).or_default() += 1;
        let [one, other] = [&pair.one, &pair.other].map(|sent| sent.notice(language));
        let is_same = fingerprint(&one, Grouping::Default).hash == fingerprint(&other, Grouping::Default).hash;
        if is_same != pair.same {
            let [by, also_by] = [&pair.one.by, &pair.other.by];
            let should = if pair.same { "is split" } else { "is joined" };
            wrong.push(format!(
                "{language}: {} {should}\n  {by}: {}\n  {also_by}: {}",
                pair.name,
                parts(&one),
                parts(&other)
            ));
        }
    }
    println!("{} pairs: {counts:?}", pairs.len());
    assert!(wrong.is_empty(), "{} of {} pairs are wrong:\n{}", wrong.len(), pairs.len(), wrong.join("\n"));
}

#[test]
fn the_same_fold_key_means_the_same_group_and_lane() {
    let pairs = all_pairs();
    let notices: Vec<Notice> =
        pairs.iter().flat_map(|(language, pair)| [&pair.one, &pair.other].map(|sent| sent.notice(language))).collect();
    let mut groups: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for notice in &notices {
        let group = (fingerprint(notice, Grouping::Default).hash, fingerprint(notice, Grouping::Hoptoad).hash);
        groups.entry(fold_key(notice)).or_default().insert((group, lane_hash(notice)));
    }
    assert!(groups.values().all(|groups| groups.len() == 1));
}

/// What is no input of grouping may differ under one fold key; whatever is one may not.
#[test]
fn whatever_changes_the_group_changes_the_fold_key() {
    let changes: [fn(&mut Notice); 9] = [
        |notice| notice.errors[0].class = Some("Other".into()),
        |notice| notice.errors[0].module = Some("other".into()),
        |notice| notice.errors[0].message = Some("other".into()),
        |notice| notice.server = Some(Server { root: Some("/srv".into()), ..Server::default() }),
        |notice| notice.errors[0].frames.iter_mut().for_each(|frame| frame.module = Some("other".into())),
        |notice| notice.errors[0].frames.iter_mut().for_each(|frame| frame.file = Some("other.py".into())),
        |notice| notice.errors[0].frames.iter_mut().for_each(|frame| frame.function = Some("other".into())),
        |notice| notice.errors[0].frames.iter_mut().for_each(|frame| frame.in_app = frame.in_app.map(|own| !own)),
        |notice| notice.errors[0].frames.truncate(1),
    ];
    for (language, pair) in all_pairs() {
        for sent in [&pair.one, &pair.other] {
            let notice = sent.notice(&language);
            for (at, change) in changes.iter().enumerate() {
                let mut changed = notice.clone();
                change(&mut changed);
                let is_same_group =
                    fingerprint(&notice, Grouping::Default).hash == fingerprint(&changed, Grouping::Default).hash;
                assert!(
                    is_same_group || fold_key(&notice) != fold_key(&changed),
                    "{}: change {at} changes the group alone",
                    pair.name
                );
            }
        }
    }
}
