//! The second factor: time-based one-time passwords (RFC 6238, SHA-1, six digits, 30 seconds), and recovery codes.

use super::digest;
use crate::error::Problem;
use crate::request::random_hex;
use strowger_core::Stamp;
use strowger_store::Secret;
use strowger_store::identity::{SecondFactor, User};
use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, TOTP};

const STEP: u64 = 30;
const RECOVERY_CODES: usize = 10;

/// What a code was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A one-time password of this time step.
    Step(u64),
    /// The recovery code at this place in the list.
    Recovery(usize),
}

fn totp(secret: &Secret) -> Option<TOTP> {
    let bytes = hex::decode(secret.expose()).ok()?;
    Some(TOTP::new_unchecked(Algorithm::SHA1, 6, 1, STEP, bytes))
}

/// What a code is; the step before and the one after count, for clocks that are a little off.
pub(crate) fn check(factor: &SecondFactor, code: &str, now: Stamp) -> Option<Shown> {
    let code: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if code.len() == 6 {
        let totp = totp(&factor.secret)?;
        let step = u64::try_from(now.secs()).ok()? / STEP;
        let fits = |s: &u64| bool::from(totp.generate(s * STEP).as_bytes().ct_eq(code.as_bytes()));
        return (step.saturating_sub(1)..=step + 1).find(fits).map(Shown::Step);
    }
    let shown = hex::encode(digest(&code.to_lowercase()));
    let place = factor.recovery.iter().position(|d| *d == shown);
    place.map(Shown::Recovery)
}

/// A new secret, which is asked for once the user has shown a code of it.
pub(crate) fn begin() -> Result<SecondFactor, Problem> {
    Ok(SecondFactor {
        secret: Secret::new(random_hex::<20>()?),
        confirmed: false,
        recovery: Vec::new(),
    })
}

/// The secret as it is typed into an authenticator (RFC 4648 base 32), and as the URI that it scans.
pub(crate) fn shown(factor: &SecondFactor, user: &User) -> Option<(String, String)> {
    let secret = totp(&factor.secret)?.get_secret_base32();
    let mut label = String::new();
    for b in user.name.bytes() {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            label.push(char::from(b));
        } else {
            label.push_str(&format!("%{b:02X}"));
        }
    }
    let uri = format!("otpauth://totp/Strowger:{label}?secret={secret}&issuer=Strowger");
    Some((secret, uri))
}

/// New recovery codes, and what is stored of them.
pub(crate) fn recovery() -> Result<(Vec<String>, Vec<String>), Problem> {
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| random_hex::<10>())
        .collect::<Result<_, _>>()?;
    let stored = codes.iter().map(|c| hex::encode(digest(c))).collect();
    let shown = codes.iter().map(|c| {
        let groups: Vec<&str> = [&c[..5], &c[5..10], &c[10..15], &c[15..]].to_vec();
        groups.join("-")
    });
    Ok((shown.collect(), stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strowger_core::{TenantId, UserId};
    use strowger_store::identity::Role;

    /// RFC 6238 appendix B: the secret is "12345678901234567890"; its eight digits end in these six.
    #[test]
    fn codes_are_those_of_the_rfc_and_a_step_either_way_counts() {
        let factor = SecondFactor {
            secret: Secret::new(hex::encode("12345678901234567890")),
            confirmed: true,
            recovery: Vec::new(),
        };
        for (at, code, step) in [
            (59, "287082", 1),
            (1_111_111_109, "081804", 37_037_036),
            (2_000_000_000, "279037", 66_666_666),
        ] {
            for off in [-30, 0, 30] {
                let shown = check(&factor, code, Stamp((at + off) * 1000));
                assert_eq!(shown, Some(Shown::Step(step)), "{code} {off}");
            }
            assert_eq!(check(&factor, code, Stamp((at + 90) * 1000)), None);
        }
        assert_eq!(check(&factor, "", Stamp(0)), None);
        let user = User::new(UserId(1), TenantId(1), "li@a.example", Role::Agent);
        let (secret, uri) = shown(&factor, &user).unwrap();
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(
            uri.starts_with("otpauth://totp/Strowger:li%40a.example?secret=GEZD"),
            "{uri}"
        );
    }

    #[test]
    fn recovery_codes_are_found_as_they_are_typed() {
        let (codes, stored) = recovery().unwrap();
        let factor = SecondFactor {
            recovery: stored,
            ..begin().unwrap()
        };
        assert_eq!(codes.len(), 10);
        assert_eq!(check(&factor, &codes[3], Stamp(0)), Some(Shown::Recovery(3)));
        let typed = codes[4].to_uppercase().replace('-', " ");
        assert_eq!(check(&factor, &typed, Stamp(0)), Some(Shown::Recovery(4)));
        assert_eq!(check(&factor, "00000-00000-00000-00000", Stamp(0)), None);
    }
}
