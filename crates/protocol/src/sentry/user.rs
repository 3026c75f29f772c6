//! `user`: who was affected.

use notice::User;
use notice::json_tree::Tree;

use super::event::Named;
use crate::json::set;
use crate::unmapped::Unmapped;

/// What a client writes that wants the address filled in that the request came from.
const AUTO: &str = "{{auto}}";

/// Whether addresses are to be filled in, as the client's settings say.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Inference {
    /// Only where the event says so itself.
    #[default]
    WhereAsked,
    /// Wherever there is none.
    Always,
    /// Nowhere.
    Never,
}

impl Inference {
    /// What `settings.infer_ip` of the client says.
    pub(super) fn of(sdk: &Tree<'_>) -> Inference {
        match field(sdk, "settings").and_then(|settings| field(settings, "infer_ip")).and_then(Tree::scalar) {
            Some("auto") => Inference::Always,
            Some("never") => Inference::Never,
            _ => Inference::WhereAsked,
        }
    }
}

fn field<'t, 'a>(tree: &'t Tree<'a>, name: &str) -> Option<&'t Tree<'a>> {
    let Tree::Map(entries) = tree else { return None };
    entries.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Reads the user, and fills in the address if the client asks for it.
pub(super) fn read<'a>(
    user: Option<Named<'a>>,
    inference: Inference,
    peer_ip: Option<&str>,
    unmapped: &mut Unmapped<'a>,
) -> Option<User> {
    let mut read = User::default();
    match user {
        Some(Named { key, value: Tree::Map(entries) }) => {
            for (name, value) in entries {
                let is_taken = match &*name {
                    "id" => set(&mut read.id, &value),
                    "name" => set(&mut read.name, &value),
                    "username" => set(&mut read.username, &value),
                    "email" => set(&mut read.email, &value),
                    "ip_address" if value.scalar() == Some(AUTO) => {
                        read.ip = peer_ip.filter(|_| inference != Inference::Never).map(str::to_owned);
                        read.ip.is_some()
                    }
                    "ip_address" => set(&mut read.ip, &value),
                    _ => false,
                };
                if !is_taken {
                    unmapped.add(format!("{key}.{name}"), value);
                }
            }
        }
        Some(Named { key, value }) => unmapped.add(key, value),
        None => {}
    }
    if inference == Inference::Always && read.ip.is_none() {
        read.ip = peer_ip.map(str::to_owned);
    }
    (read != User::default()).then_some(read)
}
