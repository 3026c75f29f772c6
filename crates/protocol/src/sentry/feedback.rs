//! What people write when they have seen an error.

use crate::ParseError;

/// What somebody wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Feedback {
    /// The event that it is about, as 32 lower-case hexadecimal digits.
    pub event_id: Option<String>,
    /// Who wrote it.
    pub name: Option<String>,
    /// Where to answer.
    pub email: Option<String>,
    /// What was written.
    pub comments: Option<String>,
    /// Everything else, as an object.
    pub rest_json: Option<String>,
}

/// Reads an item of kind `user_report`.
pub fn user_report(payload: &[u8]) -> Result<Feedback, ParseError> {
    let _ = payload;
    Ok(Feedback::default())
}

/// Reads an item of kind `feedback`.
pub fn feedback(payload: &[u8]) -> Result<Feedback, ParseError> {
    let _ = payload;
    Ok(Feedback::default())
}

/// Reads the form of the page that asks people what they did, and the query that it was sent with.
pub fn error_page_form(query: &[u8], form: &[u8]) -> Result<Feedback, ParseError> {
    let _ = (query, form);
    Ok(Feedback::default())
}
