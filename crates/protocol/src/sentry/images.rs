//! Where compiled code lay in memory: what there is to tell a frame by that has an address and no name.

use std::cell::OnceCell;

use serde::Deserialize;
use serde_json::Value;

use crate::frame_address::{address, place};

/// Most images that are looked at. A program has hundreds.
const IMAGES_MAX: usize = 2_000;

/// The images of an event, read when the first frame needs them.
#[derive(Default)]
pub(super) struct Images {
    json: Option<String>,
    read: OnceCell<Vec<Image>>,
}

/// From where to where it lay, and what it is.
struct Image {
    from: u64,
    to: u64,
    name: String,
}

#[derive(Deserialize)]
struct Told {
    image_addr: Option<Value>,
    image_size: Option<Value>,
    code_file: Option<String>,
    debug_file: Option<String>,
    name: Option<String>,
}

impl Images {
    /// Of the JSON that the event's `debug_meta` has.
    pub(super) fn new(json: Option<String>) -> Images {
        Images { json, read: OnceCell::new() }
    }

    /// The JSON that they were made of.
    pub(super) fn into_json(self) -> Option<String> {
        self.json
    }

    /// The image that has the address, and how far into it that is: the same whenever the program runs.
    pub(super) fn place(&self, address: u64) -> Option<String> {
        let images = self.read.get_or_init(|| self.json.as_deref().map(read).unwrap_or_default());
        let there = images.iter().filter(|image| (image.from..image.to).contains(&address));
        let image = there.max_by_key(|image| image.from)?;
        Some(place(&image.name, address - image.from))
    }
}

fn read(json: &str) -> Vec<Image> {
    let told: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    let image = |value| {
        let told = Told::deserialize(value).ok()?;
        let from = number(told.image_addr.as_ref()?)?;
        // Dart's client says no size: then it ends where the next one begins.
        let to = match told.image_size {
            Some(size) => from.checked_add(number(&size)?)?,
            None => u64::MAX,
        };
        let name = told.code_file.or(told.debug_file).or(told.name)?;
        Some(Image { from, to, name })
    };
    told.into_iter().take(IMAGES_MAX).filter_map(image).collect()
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => address(text),
        other => other.as_u64(),
    }
}
