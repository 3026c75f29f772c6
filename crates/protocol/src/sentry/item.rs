//! One item of an envelope.

use notice::json_tree::Tree;

use crate::ParseError;
use crate::json::{read, set, text_of};

/// What an item is, as its head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemHead {
    /// `event`, `attachment`, `client_report`, … or one that nobody knows yet.
    pub kind: String,
    /// How many bytes the payload has; without it, it ends with its line.
    pub length: Option<u64>,
    /// The media type of the payload.
    pub content_type: Option<String>,
    /// The name of a file that is attached.
    pub filename: Option<String>,
    /// What an attachment is: `event.attachment`, `event.minidump`, …
    pub attachment_type: Option<String>,
    /// How many things are in a container.
    pub item_count: Option<u64>,
}

/// An item, with as much of its payload as was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub head: ItemHead,
    /// The payload, or its beginning.
    pub payload: Vec<u8>,
    /// How many bytes the payload really has.
    pub payload_bytes: u64,
}

impl Item {
    /// Whether all of the payload is here.
    pub fn is_whole(&self) -> bool {
        self.payload.len() as u64 == self.payload_bytes
    }
}

impl ItemHead {
    /// Reads the line of a head.
    pub(super) fn read(line: &[u8]) -> Result<ItemHead, ParseError> {
        let broken = |what: String| ParseError::Malformed(format!("the head of an item of the envelope {what}"));
        let text = text_of(line, &mut Vec::new());
        let tree = read(&text, &mut Vec::new()).map_err(|error| broken(format!("was not understood: {error}")))?;
        let mut kind = None;
        let mut head = ItemHead::default();
        let Tree::Map(entries) = tree else { return Err(ParseError::Empty) };
        for (key, value) in entries {
            match &*key {
                "type" => set(&mut kind, &value),
                "content_type" => set(&mut head.content_type, &value),
                "filename" => set(&mut head.filename, &value),
                "attachment_type" => set(&mut head.attachment_type, &value),
                "item_count" => {
                    head.item_count = value.scalar().and_then(|count| count.parse().ok());
                    true
                }
                "length" if value != Tree::Null => {
                    let length = value.scalar().and_then(|length| length.parse().ok());
                    head.length =
                        Some(length.ok_or_else(|| broken("has a `length` that is no number of bytes".into()))?);
                    true
                }
                _ => true,
            };
        }
        head.kind = kind.ok_or_else(|| broken("has no `type`".into()))?;
        Ok(head)
    }
}
