//! Checking and hashing passwords, which is slow on purpose, without letting that slow down anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

/// Passwords that are checked or hashed at a time: each takes 19 MiB and a core for tens of milliseconds.
const AT_A_TIME: usize = 1;
/// People who may wait for that; the next is told to come back.
const WAITING_MAX: usize = 32;
/// Longer passwords are wrong without being hashed.
const PASSWORD_BYTES_MAX: usize = 1_024;
/// Shorter ones are guessed too soon.
pub(crate) const PASSWORD_CHARS_MIN: usize = 10;

/// What is checked when there is no such account, so that it takes as long: the hash of something random, with the
/// same parameters as real ones.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXRoaW5ncmFuZG9t$tR3MfI9B2kEFVAhzyhgNmoKFm7UOoZSxXDc+F1oXJLA";

/// Checks and hashes passwords, one at a time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// Too many people are signing in at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// Why a password is not taken as a new one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It has too few characters or too many bytes.
    BadLength,
    /// Too many people are signing in at once.
    Busy,
}

impl NotTaken {
    /// For the person.
    pub(crate) fn told(&self) -> String {
        match self {
            NotTaken::BadLength => {
                format!(
                    "A password has at least {PASSWORD_CHARS_MIN} characters, and at most {PASSWORD_BYTES_MAX} bytes."
                )
            }
            NotTaken::Busy => "Many people are signing in at this moment. Please try again.".to_owned(),
        }
    }
}

impl Passwords {
    pub(crate) fn new() -> Passwords {
        Passwords { places: Arc::new(Semaphore::new(AT_A_TIME)), waiting: Arc::default() }
    }

    /// Whether the password belongs to the hash. Takes as long when there is none.
    pub(crate) async fn is_right(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        let is_right = self.in_turn(move || {
            let is_somebody = hash.is_some();
            let hash = hash.as_deref().unwrap_or(NOBODY);
            let password = if password.len() > PASSWORD_BYTES_MAX { "" } else { &password };
            let is_equal = PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
            is_equal && is_somebody && !password.is_empty()
        });
        Ok(is_right.await?.unwrap_or(false))
    }

    /// The hash of a new password, argon2id as a PHC string with a salt of its own.
    pub(crate) async fn hash(&self, password: String) -> Result<String, NotTaken> {
        if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
            return Err(NotTaken::BadLength);
        }
        let hashed =
            self.in_turn(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()));
        match hashed.await {
            Ok(Some(Ok(hash))) => Ok(hash),
            // Without memory for it there is none for others either.
            Ok(_) | Err(Busy) => Err(NotTaken::Busy),
        }
    }

    /// Does something slow when its turn has come; nothing comes of it when it panics.
    async fn in_turn<T: Send + 'static>(&self, slow: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>, Busy> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            slow()
        });
        Ok(done.await.ok())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let passwords = Passwords::new();
        let hash = Argon2::default().hash_password(b"correct horse").unwrap().to_string();
        assert_eq!(passwords.is_right("correct horse".into(), Some(hash.clone())).await, Ok(true));
        assert_eq!(passwords.is_right("correct hors".into(), Some(hash)).await, Ok(false));
        assert_eq!(passwords.is_right("correct horse".into(), None).await, Ok(false));
        assert_eq!(passwords.is_right(String::new(), None).await, Ok(false));
    }

    #[tokio::test]
    async fn a_new_password_is_the_right_one_afterwards() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert_eq!(passwords.is_right("correct horse".into(), Some(hash)).await, Ok(true));
        assert_eq!(passwords.hash("too short".into()).await, Err(NotTaken::BadLength));
        assert_eq!(passwords.hash("x".repeat(PASSWORD_BYTES_MAX + 1)).await, Err(NotTaken::BadLength));
    }

    #[test]
    fn nobodys_hash_is_one_and_costs_what_others_cost() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let real = Argon2::default().hash_password(b"x").unwrap();
        assert_eq!(nobody.params.to_string(), real.params.to_string());
        assert_eq!(nobody.algorithm.to_string(), "argon2id");
        assert!(nobody.hash.is_some_and(|hash| hash.as_bytes().len() == 32));
    }

    #[tokio::test]
    async fn a_full_waiting_list_is_busy() {
        let passwords = Passwords::new();
        passwords.waiting.store(WAITING_MAX, Ordering::Relaxed);
        assert_eq!(passwords.is_right("x".into(), None).await, Err(Busy));
    }
}
