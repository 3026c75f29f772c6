//! Messages of errors.

use notice::Error;

/// `Shop::Declined: card declined` → `card declined`, because the class has a field of its own.
pub(crate) fn without_class(error: &mut Error) {
    let (Some(class), Some(message)) = (error.class.as_deref(), &mut error.message) else { return };
    if class.is_empty() {
        return;
    }
    if let Some(rest) = message.strip_prefix(class).and_then(|rest| rest.strip_prefix(": ")) {
        *message = rest.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_comes_off_the_message_once() {
        for (wire, expected) in [
            ("Shop::Declined: no", "no"),
            ("Shop::Declined: Shop::Declined: no", "Shop::Declined: no"),
            ("Shop::Declined", "Shop::Declined"),
            ("Shop::DeclinedTwice: no", "Shop::DeclinedTwice: no"),
        ] {
            let mut error =
                Error { class: Some("Shop::Declined".into()), message: Some(wire.into()), ..Error::default() };
            without_class(&mut error);
            assert_eq!(error.message.as_deref(), Some(expected));
        }
    }
}
