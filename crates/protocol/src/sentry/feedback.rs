//! What people write when they have seen an error.

use std::borrow::Cow;

use notice::json_tree::Tree;

use super::event_id::event_id;
use crate::ParseError;
use crate::json::{part, read, set, text_of};

/// Most fields of a form that are looked at.
const FORM_FIELDS_MAX: usize = 100;

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

impl Feedback {
    /// Sets the field of this name. Says whether the value needs no other place.
    fn set(&mut self, name: &str, value: &Tree<'_>) -> bool {
        match name {
            "event_id" | "eventId" | "associated_event_id" if self.event_id.is_none() => {
                self.event_id = value.scalar().and_then(event_id);
                self.event_id.is_some()
            }
            "name" => set(&mut self.name, value),
            "email" | "contact_email" => set(&mut self.email, value),
            "comments" | "message" => set(&mut self.comments, value),
            _ => false,
        }
    }
}

/// Reads an item of kind `user_report`.
pub fn user_report(payload: &[u8]) -> Result<Feedback, ParseError> {
    let text = text_of(payload, &mut Vec::new());
    let Tree::Map(mut entries) = read(&text, &mut Vec::new())? else { return Err(ParseError::Empty) };
    let mut feedback = Feedback::default();
    entries.retain(|(key, value)| !feedback.set(key, value));
    feedback.rest_json = part(Some(Tree::Map(entries)));
    Ok(feedback)
}

/// Reads an item of kind `feedback`: an event with what was written among its contexts. Its own id stays with the rest.
pub fn feedback(payload: &[u8]) -> Result<Feedback, ParseError> {
    let text = text_of(payload, &mut Vec::new());
    let mut tree = read(&text, &mut Vec::new())?;
    let mut feedback = Feedback::default();
    if let Tree::Map(entries) = &mut tree
        && let Some((_, Tree::Map(contexts))) = entries.iter_mut().find(|(key, _)| key == "contexts")
        && let Some((_, Tree::Map(written))) = contexts.iter_mut().find(|(key, _)| key == "feedback")
    {
        written.retain(|(key, value)| !feedback.set(key, value));
    }
    feedback.rest_json = part(Some(tree));
    Ok(feedback)
}

/// Reads the form of the page that asks people what they did, and the query that it was sent with. Where it goes, the `dsn`, is no part of it.
pub fn error_page_form(query: &[u8], form: &[u8]) -> Feedback {
    let mut feedback = Feedback::default();
    let mut rest = Vec::new();
    let fields = form_urlencoded::parse(form).chain(form_urlencoded::parse(query));
    for (key, value) in fields.take(FORM_FIELDS_MAX) {
        let value = Tree::Text(Cow::Owned(value.into_owned()));
        if key != "dsn" && !feedback.set(&key, &value) {
            rest.push((key, value));
        }
    }
    feedback.rest_json = part(Some(Tree::map(rest)));
    feedback
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(event_id: Option<&str>, rest: Option<&str>) -> Feedback {
        let text = |text: &str| Some(text.to_owned());
        Feedback {
            event_id: event_id.map(str::to_owned),
            name: text("Zoë"),
            email: text("zoe@shop.example"),
            comments: text("It froze & I left"),
            rest_json: rest.map(str::to_owned),
        }
    }

    const ID: Option<&str> = Some("8d1c2cbc5e4e4fac89924a67464ceb58");

    #[test]
    fn a_report_is_read() {
        let payload = r#"{"event_id":"8D1C2CBC-5E4E-4FAC-8992-4A67464CEB58","name":"Zoë","email":"zoe@shop.example","comments":"It froze & I left","x":[1]}"#;
        assert_eq!(user_report(payload.as_bytes()), Ok(written(ID, Some(r#"{"x":[1]}"#))));
    }

    #[test]
    fn feedback_is_read_from_the_contexts() {
        let payload = r#"{"event_id":"00000000000000000000000000000001","contexts":{"feedback":{"contact_email":"zoe@shop.example","name":"Zoë",
            "message":"It froze & I left","associated_event_id":"8d1c2cbc5e4e4fac89924a67464ceb58","source":"widget"},"os":{"name":"Linux"}}}"#;
        let rest = r#"{"event_id":"00000000000000000000000000000001","contexts":{"feedback":{"source":"widget"},"os":{"name":"Linux"}}}"#;
        assert_eq!(feedback(payload.as_bytes()), Ok(written(ID, Some(rest))));
    }

    #[test]
    fn the_form_is_read_with_its_query() {
        let read = error_page_form(
            b"dsn=https%3A%2F%2Fk%40errors.example%2F1&eventId=8d1c2cbc5e4e4fac89924a67464ceb58",
            "name=Zo%C3%AB&email=zoe%40shop.example&comments=It+froze+%26+I+left".as_bytes(),
        );
        assert_eq!(read, written(ID, None));
    }

    #[test]
    fn an_id_that_is_none_is_kept_beside() {
        let read = user_report(br#"{"event_id":"7","name":null,"comments":{"a":1}}"#).expect("is read");
        assert_eq!(
            read,
            Feedback { rest_json: Some(r#"{"event_id":"7","comments":{"a":1}}"#.to_owned()), ..Feedback::default() }
        );
        for payload in ["", "[]", "x"] {
            assert!(user_report(payload.as_bytes()).is_err());
            assert!(feedback(payload.as_bytes()).is_err());
        }
        assert_eq!(error_page_form(b"", b""), Feedback::default());
    }
}
