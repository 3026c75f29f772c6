//! What somebody may do in a project or an organization.

use serde::Serialize;

/// A role; each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Acts on groups.
    Member,
    /// Changes settings, and lets people in.
    Admin,
    /// Names other owners, and may delete it.
    Owner,
}

impl Role {
    /// All of them, from the lowest.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Member, Role::Admin, Role::Owner];

    /// Its name in the database and in forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }

    /// The role of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// Whether it may change the state of groups.
    #[must_use]
    pub fn may_act(self) -> bool {
        self >= Role::Member
    }

    /// Whether it may change settings and let people in.
    #[must_use]
    pub fn may_manage(self) -> bool {
        self >= Role::Admin
    }

    /// Whether it may name owners and delete.
    #[must_use]
    pub fn may_own(self) -> bool {
        self == Role::Owner
    }
}
