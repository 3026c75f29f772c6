//! Checking passwords, which is slow on purpose, without letting that slow down anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use tokio::sync::Semaphore;

/// Passwords that are checked at a time: each takes 19 MiB and a core for tens of milliseconds.
const AT_A_TIME: usize = 1;
/// People who may wait for that; the next is told to come back.
const WAITING_MAX: usize = 32;
/// Longer passwords are wrong without being hashed.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// What is checked when there is no such account, so that it takes as long: the hash of something random, with the
/// same parameters as real ones.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXRoaW5ncmFuZG9t$tR3MfI9B2kEFVAhzyhgNmoKFm7UOoZSxXDc+F1oXJLA";

/// Checks passwords, one at a time. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// Too many people are signing in at once.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Busy;

impl Passwords {
    pub(crate) fn new() -> Passwords {
        Passwords { places: Arc::new(Semaphore::new(AT_A_TIME)), waiting: Arc::default() }
    }

    /// Whether the password belongs to the hash. Takes as long when there is none.
    pub(crate) async fn is_right(&self, password: String, hash: Option<String>) -> Result<bool, Busy> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING_MAX {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let checked = tokio::task::spawn_blocking(move || {
            let _place = place;
            let is_somebody = hash.is_some();
            let hash = hash.as_deref().unwrap_or(NOBODY);
            let password = if password.len() > PASSWORD_BYTES_MAX { "" } else { &password };
            let is_equal = PasswordHash::new(hash)
                .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
            is_equal && is_somebody && !password.is_empty()
        });
        Ok(checked.await.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
    use argon2::password_hash::PasswordHasher;

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
