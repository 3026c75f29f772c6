//! Where compiled code lay in memory: what there is to tell a frame by that has an address and no name.

use std::cell::OnceCell;

use serde::Deserialize;
use serde_json::Value;

/// Most images that are looked at. A program has hundreds.
const IMAGES_MAX: usize = 2_000;

/// Longest name of an image, in bytes.
const NAME_BYTES_MAX: usize = 128;

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
        let image = images.iter().find(|image| (image.from..image.to).contains(&address))?;
        Some(place(&image.name, address - image.from))
    }
}

/// `Shop+0x1a2b`
pub(super) fn place(image: &str, offset: u64) -> String {
    let name = image.rsplit(['/', '\\']).next().unwrap_or(image);
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}+{offset:#x}", &name[..end])
}

/// An address or a size: a number, or text that is hexadecimal behind `0x`.
pub(super) fn address(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn read(json: &str) -> Vec<Image> {
    let told: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
    let image = |value| {
        let told = Told::deserialize(value).ok()?;
        let from = number(told.image_addr.as_ref()?)?;
        let to = from.checked_add(number(told.image_size.as_ref()?)?)?;
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
