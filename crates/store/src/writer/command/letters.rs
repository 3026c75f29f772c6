//! Mails about accounts: what each says.

use crate::writer::Mail;

/// A mail of lines, with the installation's address as its sign.
fn letter(to: &str, subject: &str, public_url: &str, text: &str) -> Mail {
    Mail {
        to: to.to_owned(),
        subject: subject.to_owned(),
        text: format!("{text}\n\n-- \nCroak at {public_url}\n"),
        html: None,
        thread: None,
        unsubscribe_url: None,
    }
}

/// To somebody who wants an account.
pub(super) fn welcome(to: &str, public_url: &str, token: &str) -> Mail {
    let text = format!(
        "Somebody, most likely you, wants an account at {public_url} with this address.\n\n\
         Choose a password here, within 24 hours:\n\n  {public_url}/link/{token}\n\n\
         If it was not you, do nothing: without this link there will be no account."
    );
    letter(to, "Your account", public_url, &text)
}

/// To somebody who has an account and asked for one.
pub(super) fn has_account(to: &str, public_url: &str, token: &str) -> Mail {
    let text = format!(
        "Somebody, most likely you, wants an account at {public_url} with this address. You have one already:\n\n  \
         {public_url}/sign-in\n\n\
         If you no longer know your password, choose another here, within an hour:\n\n  {public_url}/link/{token}\n\n\
         If it was not you, do nothing: nothing has changed."
    );
    letter(to, "Your account", public_url, &text)
}

/// To somebody who forgot the password.
pub(super) fn reset(to: &str, public_url: &str, token: &str) -> Mail {
    let text = format!(
        "Somebody, most likely you, has forgotten the password of your account at {public_url}.\n\n\
         Choose another here, within an hour:\n\n  {public_url}/link/{token}\n\n\
         If it was not you, do nothing: nothing has changed."
    );
    letter(to, "A new password", public_url, &text)
}

/// To somebody whose password was changed.
pub(super) fn password_changed(to: &str, public_url: &str) -> Mail {
    let text = format!(
        "The password of your account at {public_url} was changed, and you are signed out everywhere else.\n\n\
         If it was not you, choose another at once:\n\n  {public_url}/forgotten"
    );
    letter(to, "Your password was changed", public_url, &text)
}

/// To an address that is to become an account's.
pub(super) fn new_address(to: &str, public_url: &str, token: &str) -> Mail {
    let text = format!(
        "Somebody, most likely you, wants this to be the address of their account at {public_url}.\n\n\
         Confirm it here, within 24 hours:\n\n  {public_url}/link/{token}\n\n\
         If it was not you, do nothing: nothing has changed."
    );
    letter(to, "Your new address", public_url, &text)
}

/// To the address that an account has while another was asked for.
pub(super) fn address_leaves(to: &str, public_url: &str) -> Mail {
    let text = format!(
        "Somebody, most likely you, asked for another address for your account at {public_url}. It is changed when the link in \
         a mail to that address is followed.\n\nIf it was not you, choose another password at once:\n\n  {public_url}/forgotten"
    );
    letter(to, "Another address for your account", public_url, &text)
}

/// To somebody who is invited to an organization.
pub(super) fn invitation(to: &str, public_url: &str, token: &str, organization: &str, by: &str) -> Mail {
    let text = format!(
        "{by} invites you to {organization} at {public_url}.\n\n\
         Join here, within seven days:\n\n  {public_url}/invitation/{token}\n\n\
         If you do not want to, do nothing."
    );
    letter(to, &format!("Join {organization}"), public_url, &text)
}
