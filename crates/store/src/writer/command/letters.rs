//! Mails about accounts: what each says.

use crate::alert;
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

/// To the address that an account had until now.
pub(super) fn address_changed(to: &str, public_url: &str) -> Mail {
    let text = format!(
        "Your account at {public_url} has another address from now on: no more mail about it comes here.\n\n\
         If it was not you, tell whoever runs it at once."
    );
    letter(to, "Your address was changed", public_url, &text)
}

/// To somebody whose account has a second factor from now on.
pub(super) fn second_factor_on(to: &str, public_url: &str) -> Mail {
    let text = format!(
        "The second factor of your account at {public_url} was turned on, and you are signed out everywhere else.\n\n\
         If it was not you, tell whoever runs it at once: they can turn it off. Then choose another password:\n\n  \
         {public_url}/forgotten"
    );
    letter(to, "The second factor was turned on", public_url, &text)
}

/// To somebody whose account has no second factor any more.
pub(super) fn second_factor_off(to: &str, public_url: &str) -> Mail {
    let text = format!(
        "The second factor of your account at {public_url} was turned off.\n\n\
         If it was not you, choose another password at once:\n\n  {public_url}/forgotten"
    );
    letter(to, "The second factor was turned off", public_url, &text)
}

/// To somebody who signed in by a recovery code.
pub(super) fn recovery_code_used(to: &str, public_url: &str, codes_left: i64) -> Mail {
    let text = format!(
        "Somebody, most likely you, signed in to your account at {public_url} with a recovery code. {codes_left} are left.\n\n\
         If it was not you, choose another password at once:\n\n  {public_url}/forgotten"
    );
    letter(to, "A recovery code was used", public_url, &text)
}

/// To somebody whose second factor is being guessed.
pub(super) fn codes_guessed(to: &str, public_url: &str, tries: i32) -> Mail {
    let text = format!(
        "Somebody knows the password of your account at {public_url}, and typed {tries} wrong codes of the second factor. \
         They did not get in, and have to wait between further ones.\n\n\
         If it was not you, choose another password at once:\n\n  {public_url}/forgotten"
    );
    letter(to, "Wrong codes of your second factor", public_url, &text)
}

/// To somebody in whose name a token was made.
pub(super) fn token_made(to: &str, public_url: &str, name: &str) -> Mail {
    let text = format!(
        "A token for scripts was made by your account at {public_url}: {name}.\n\n\
         If it was not you, choose another password at once, which ends your own tokens, too:\n\n  {public_url}/forgotten\n\n\
         And look which tokens your projects have."
    );
    letter(to, "A token was made", public_url, &text)
}

/// A group that was given to somebody.
pub(super) struct AssignedGroup<'a> {
    pub(super) project_id: i64,
    pub(super) group_id: i64,
    pub(super) project: &'a str,
    pub(super) class: &'a str,
    pub(super) message: &'a str,
    pub(super) culprit: &'a str,
}

/// Characters of an error in a subject.
const TITLE_CHARS_MAX: usize = 120;

/// To somebody to whom a group was given: in the thread of what is told of it besides.
pub(super) fn assigned(to: &str, public_url: &str, group: &AssignedGroup<'_>, by: &str) -> Mail {
    let AssignedGroup { project_id, group_id, project, class, message, culprit } = group;
    let title: String = alert::title(class, message).chars().take(TITLE_CHARS_MAX).collect();
    let text = format!(
        "{by} assigned this to you:\n\n  {class}\n  {message}\n  {culprit}\n\n  {public_url}/projects/{project_id}/groups/{group_id}"
    );
    let thread = Some(format!("group-{project_id}-{group_id}"));
    Mail { thread, ..letter(to, &format!("[{project}] Assigned to you: {title}"), public_url, &text) }
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
