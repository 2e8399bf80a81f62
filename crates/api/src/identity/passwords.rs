//! Passwords: Argon2id with the parameters that OWASP recommends (19 MiB, two passes, one lane), as PHC strings.

use crate::Api;
use crate::error::{Code, Problem};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use strowger_store::Secret;

/// A hash that no password has, so that a name that does not exist takes as long as one that does.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$c3Ryb3dnZXItbm9ib2R5$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn argon() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

fn failed(e: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Internal, format!("the password could not be worked on: {e}"))
}

/// Runs on a blocking thread; a bounded number at a time.
async fn work<T: Send + 'static>(api: &Api, run: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let turn = api.identity.hashing.clone().acquire_owned().await.map_err(failed)?;
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        run()
    });
    done.await.map_err(failed)
}

/// The stored form of a new password, after checking that it is no bad one.
pub(crate) async fn hash(api: &Api, member: &str, password: &str, name: &str) -> Result<Secret, Problem> {
    let length = password.chars().count();
    if !(10..=128).contains(&length) || password.chars().any(char::is_control) {
        return Err(Problem::parameter(member, format!("{member} has 10 to 128 characters")));
    }
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    let named = password.to_lowercase().contains(&name.to_lowercase());
    if different.len() < 5 || named {
        return Err(Problem::parameter(
            member,
            format!("{member} has at least five different characters, and not the login name in it"),
        ));
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(failed)?;
    let password = password.to_owned();
    let made = work(api, move || {
        let salt = SaltString::encode_b64(&salt)?;
        argon().hash_password(password.as_bytes(), &salt).map(|h| h.to_string())
    });
    made.await?.map(Secret::new).map_err(failed)
}

/// True if this is the password. Without a stored one it takes as long and is false.
pub(crate) async fn fits(api: &Api, stored: Option<&Secret>, password: &str) -> Result<bool, Problem> {
    let hash = stored.map_or(NOBODYS, Secret::expose).to_owned();
    let known = stored.is_some();
    let password = password.to_owned();
    // Longer than any that is taken: not worth the time.
    if password.len() > 1024 {
        return Ok(false);
    }
    work(api, move || {
        let parsed = PasswordHash::new(&hash);
        let fits = parsed.is_ok_and(|h| argon().verify_password(password.as_bytes(), &h).is_ok());
        fits && known
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nobody_is_one_that_can_be_worked_on() {
        let hash = PasswordHash::new(NOBODYS).unwrap();
        assert_eq!(
            argon().verify_password(b"x", &hash),
            Err(argon2::password_hash::Error::Password)
        );
    }
}
