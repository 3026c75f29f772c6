//! What people do about accounts, organizations and projects, as the store takes it.

use service::proto::command::ask_link::Purpose;
use service::proto::command::{self as asked};
use store::writer::{AskLink, CreateProject, LinkWanted, Registration, SetPassword};

pub(super) fn ask_link(asked: asked::AskLink, public_url: Option<String>) -> AskLink {
    let wanted = match asked.purpose() {
        Purpose::SignUp => LinkWanted::SignUp(registration(asked.registration())),
        Purpose::Reset => LinkWanted::Reset,
    };
    AskLink { email: asked.email, wanted, public_url }
}

pub(super) fn set_password(asked: asked::SetPassword, public_url: Option<String>) -> SetPassword {
    SetPassword { token_sha256: asked.token_sha256, password_hash: asked.password_hash, public_url }
}

pub(super) fn create_project(asked: asked::CreateProject) -> CreateProject {
    CreateProject {
        organization_id: asked.organization_id,
        organization_name: asked.organization_name,
        name: asked.name,
    }
}

fn registration(asked: asked::Registration) -> Registration {
    match asked {
        asked::Registration::Open => Registration::Open,
        asked::Registration::Invited => Registration::Invited,
        asked::Registration::Closed => Registration::Closed,
    }
}
