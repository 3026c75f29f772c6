//! Rollbar: one item a request, at `/api/1/item/`.

mod answer;
mod body;
mod item;
mod request;
mod trace;

pub use answer::{accepted, refused};

use std::borrow::Cow;

use notice::Notice;
use notice::json_tree::Tree;

use crate::json::{read, text_of};
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// How a body begins that is a form with the JSON in its only field, for clients that cannot send anything else.
const FORM_START: &str = "payload=";

/// Reads an item.
pub fn parse_item(body: &[u8]) -> Result<Parsed, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(body, &mut notes);
    let text = match text.strip_prefix(FORM_START) {
        Some(_) => out_of_form(text.as_bytes()),
        None => text,
    };
    let mut tree = read(&text, &mut notes)?;
    let Some(data) = tree.take("data").filter(|data| matches!(data, Tree::Map(_))) else {
        return Err(ParseError::MissingKey("data".to_owned()));
    };
    let mut unmapped = Unmapped::default();
    let mut notice = Notice { protocol: "rollbar".to_owned(), ..Notice::default() };
    item::read(data, &mut notice, &mut unmapped)?;

    let api_key = tree.take("access_token").and_then(|key| key.scalar().map(str::to_owned));
    if let Tree::Map(rest) = tree {
        rest.into_iter().for_each(|(key, value)| unmapped.add(key, value));
    }
    notice.unmapped_json = unmapped.finish(&mut notes);
    notice.notes = notes;
    Ok(Parsed { notice, api_key, project_id: None, salvaged: false })
}

fn out_of_form(form: &[u8]) -> Cow<'static, str> {
    let payload = form_urlencoded::parse(form).next().map(|(_, payload)| payload.into_owned());
    Cow::Owned(payload.unwrap_or_default())
}
