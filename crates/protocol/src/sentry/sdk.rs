//! `sdk`: the client itself.

use notice::json_tree::Tree;
use notice::{Notice, Notifier};

use crate::json::set;
use crate::unmapped::Unmapped;

/// Sets the notifier; what else there is, is kept beside.
pub(super) fn read<'a>(value: Tree<'a>, notice: &mut Notice, unmapped: &mut Unmapped<'a>) -> Option<Tree<'a>> {
    let entries = match value {
        Tree::Map(entries) if notice.notifier.is_none() => entries,
        other => return Some(other),
    };
    let mut notifier = Notifier::default();
    for (key, value) in entries {
        let is_taken = match &*key {
            "name" => set(&mut notifier.name, &value),
            "version" => set(&mut notifier.version, &value),
            _ => false,
        };
        if !is_taken {
            unmapped.add(format!("sdk.{key}"), value);
        }
    }
    notice.notifier = (notifier != Notifier::default()).then_some(notifier);
    None
}

/// The client that calls itself so beside its key: `raven-python/6.10.0`.
pub(super) fn of_client(client: &str) -> Option<Notifier> {
    let (name, version) = client.split_once('/').map_or((client, None), |(name, version)| (name, Some(version)));
    let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty())?;
    Some(Notifier { name: Some(name), version: version.map(str::to_owned), ..Notifier::default() })
}
