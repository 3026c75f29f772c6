//! Forms for people who are not signed in: bound to the browser that they were shown to.

use axum::http::HeaderMap;
use axum_extra::extract::SignedCookieJar;

use crate::cookies::{self, Keys, VISIT};

/// A browser, whoever sits before it.
pub(crate) struct Visit {
    nonce: String,
    jar: SignedCookieJar,
}

impl Visit {
    /// The visit that a request belongs to, or a new one.
    pub(crate) fn of(keys: &Keys, headers: &HeaderMap) -> Visit {
        let nonce = keys.read(headers, VISIT).unwrap_or_else(cookies::nonce);
        Visit { nonce, jar: keys.jar(headers) }
    }

    /// What a form carries to prove that it was shown here.
    pub(crate) fn form_token(&self, keys: &Keys) -> String {
        keys.form_token(&self.nonce)
    }

    /// The cookies with which a form is shown.
    pub(crate) fn cookies(self, keys: &Keys) -> SignedCookieJar {
        self.jar.add(keys.visit(self.nonce))
    }
}

/// Whether a form was shown to the browser that sends it.
pub(crate) fn owns(keys: &Keys, headers: &HeaderMap, form_token: &str) -> bool {
    keys.read(headers, VISIT).is_some_and(|nonce| keys.is_form_token(&nonce, form_token))
}
