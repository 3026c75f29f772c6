//! Names in addresses.

use crate::StoreError;

/// Most characters of a slug.
const CHARS_MAX: usize = 64;
/// Slugs that are tried for one name.
const CANDIDATES: u32 = 50;

/// What stands in addresses must be plain.
pub(crate) fn check(slug: &str) -> Result<(), StoreError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if slug.is_empty() || slug.len() > CHARS_MAX || !slug.chars().all(is_plain) {
        return Err(StoreError::Invalid(format!(
            "slug `{slug}` is not valid: it takes 1 to {CHARS_MAX} of a-z, 0-9 and -"
        )));
    }
    Ok(())
}

/// The slug that a name suggests; empty where none of its letters can be in one.
pub(crate) fn of(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    words.join("-").chars().take(CHARS_MAX).collect()
}

/// Slugs for a name, the best first: the one that it suggests, then the same with numbers.
pub(crate) fn candidates(name: &str, otherwise: &str) -> impl Iterator<Item = String> + use<> {
    let slug = of(name);
    let slug = if slug.is_empty() { otherwise.to_owned() } else { slug };
    (1..=CANDIDATES).map(move |n| match n {
        1 => slug.clone(),
        n => {
            let number = format!("-{n}");
            format!("{}{number}", slug.chars().take(CHARS_MAX - number.len()).collect::<String>())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_made_of_the_name() {
        assert_eq!(of("The Shop (EU)"), "the-shop-eu");
        assert_eq!(of("…"), "");
    }

    #[test]
    fn every_candidate_is_a_slug() {
        for name in ["Shop", "…", &"long".repeat(40)] {
            assert!(candidates(name, "project").all(|slug| check(&slug).is_ok()), "{name}");
        }
        assert_eq!(candidates("Shop", "").nth(1).as_deref(), Some("shop-2"));
    }
}
