//! Rollbar: an item a request at `/api/1/item/`, and deploys at `/api/1/deploy/`.

mod answer;
mod body;
mod deploy;
mod item;
mod request;
mod trace;

pub use answer::{accepted, deploy_updated, deployed, refused};
pub use deploy::{parse_deploy, parse_deploy_update};

use std::borrow::Cow;

use notice::Notice;
use notice::json_tree::Tree;

use crate::json::{read, text_of};
use crate::unmapped::Unmapped;
use crate::{ParseError, Parsed};

/// How a body begins that is a form with the JSON in its only field, for clients that cannot send anything else.
const FORM_START: &str = "payload=";

/// Most items of one request. The only client that ever sent more than one gathers ten.
const ITEMS_MAX: usize = 500;

/// Reads the items of a request, of which all but the oldest clients send one; never none. `peer_ip` is the address that the request
/// came from, for clients that ask to have it filled in.
///
/// What the request says beside its items is kept with the first, and so is an item that is none.
pub fn parse_items(body: &[u8], peer_ip: Option<&str>) -> Result<Vec<Parsed>, ParseError> {
    let mut notes = Vec::new();
    let text = text_of(body, &mut notes);
    let text = match text.strip_prefix(FORM_START) {
        Some(_) => out_of_form(text.as_bytes()),
        None => text,
    };
    let mut tree = read(&text, &mut notes)?;
    let mut of_request = Unmapped::default();
    let mut read = match tree.take("data") {
        Some(data @ Tree::Map(_)) => vec![read_item(data, peer_ip)?],
        Some(Tree::List(items)) => read_list(items, peer_ip, &mut of_request)?,
        _ => return Err(ParseError::MissingKey("data".to_owned())),
    };
    let api_key = tree.take("access_token").and_then(|key| key.scalar().map(str::to_owned));
    if let Tree::Map(rest) = tree {
        rest.into_iter().for_each(|(key, value)| of_request.add(key, value));
    }
    let mut of_request = Some((of_request, notes));
    let finish = |(mut notice, mut unmapped): (Notice, Unmapped<'_>)| {
        if let Some((rest, notes)) = of_request.take() {
            unmapped.append(rest);
            notice.notes.splice(0..0, notes);
        }
        notice.unmapped_json = unmapped.finish(&mut notice.notes);
        Parsed { notice, api_key: api_key.clone(), project_id: None, salvaged: false }
    };
    Ok(read.drain(..).map(finish).collect())
}

fn read_item<'a>(data: Tree<'a>, peer_ip: Option<&str>) -> Result<(Notice, Unmapped<'a>), ParseError> {
    let mut unmapped = Unmapped::default();
    let mut notice = Notice { protocol: "rollbar".to_owned(), ..Notice::default() };
    item::read(data, peer_ip, &mut notice, &mut unmapped)?;
    Ok((notice, unmapped))
}

/// The items of a list that are some, or why the last is none if there is no other.
fn read_list<'a>(
    items: Vec<Tree<'a>>,
    peer_ip: Option<&str>,
    of_request: &mut Unmapped<'a>,
) -> Result<Vec<(Notice, Unmapped<'a>)>, ParseError> {
    if items.len() > ITEMS_MAX {
        return Err(ParseError::Malformed(format!(
            "{} items are too many for one request: {ITEMS_MAX} are taken",
            items.len()
        )));
    }
    let mut read = Vec::with_capacity(items.len());
    let mut refused = ParseError::MissingKey("data".to_owned());
    for (at, item) in items.into_iter().enumerate() {
        match read_item(item.clone(), peer_ip) {
            Ok(item) => read.push(item),
            Err(error) => {
                refused = error;
                of_request.add(format!("data[{at}]"), item);
            }
        }
    }
    if read.is_empty() { Err(refused) } else { Ok(read) }
}

fn out_of_form(form: &[u8]) -> Cow<'static, str> {
    let payload = form_urlencoded::parse(form).next().map(|(_, payload)| payload.into_owned());
    Cow::Owned(payload.unwrap_or_default())
}
