//! Frames of compiled code: addresses around the names of functions, and in their place.

use notice::Frame;

/// Longest name of an image, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Takes out of the function what is different in each build and run: `0x00000001000a4c44 -[Cart charge:] + 172` → `-[Cart charge:]`
pub(crate) fn take_out(frame: &mut Frame) {
    let Some((address, symbol)) = frame.function.as_deref().and_then(|function| function.split_once(' ')) else {
        return;
    };
    let digits = address.strip_prefix("0x").unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        frame.function = Some(without_offset(symbol.trim_start()).to_owned());
    }
}

/// `-[Cart charge:] + 172` → `-[Cart charge:]`
pub(crate) fn without_offset(symbol: &str) -> &str {
    match symbol.rsplit_once(" + ") {
        Some((name, offset)) if offset.bytes().all(|digit| digit.is_ascii_digit()) => name.trim(),
        _ => symbol.trim(),
    }
}

/// `Shop+0x1a2b`
pub(crate) fn place(image: &str, offset: u64) -> String {
    let name = image.rsplit(['/', '\\']).next().unwrap_or(image);
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}+{offset:#x}", &name[..end])
}

/// An address or a size: a number, or text that is hexadecimal behind `0x`.
pub(crate) fn address(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
