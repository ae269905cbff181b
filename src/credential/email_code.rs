//! Mailed codes: six digits that prove who reads a mailbox.
//!
//! A code is bound to its purpose, the normalized address and the browser flow that asked for it (spec/identity.md
//! rule 10): in any other combination it is wrong. It lives ten minutes, takes five tries counted atomically, and is
//! right once, whatever is asked at the same time. The key-value store holds a MAC of it under our key, so that a
//! copy of the store does not give it away. Whether the address has an account makes no difference here: callers
//! issue a code either way and choose the mail (see `mail::templates`). Limits per address and network are the
//! throttle's; this file bounds one flow.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::clock;
use crate::identity::address::EmailAddress;
use crate::kv::{self, Kv, Op, Reply, When};
use crate::secret::{self, DerivedKey};

/// How long a code may be used.
pub const CODE_LIFETIME: Duration = Duration::from_secs(10 * 60);
/// Tries with one code, the right one included.
pub const MAX_TRIES: u64 = 5;
/// Codes for one purpose, address and flow, the first included.
pub const MAX_CODES: u64 = 4;
/// How long a flow's counts are kept: longer than any flow lives, so that they never start again within one.
const COUNTS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const DIGITS: usize = 6;
const CODES: u32 = 1_000_000;

/// What the proof is for. A code for one purpose is wrong for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Making an account.
    SignUp,
    /// Logging in.
    Login,
    /// Proving an address so that an upstream account may be linked.
    Link,
    /// Choosing a new password.
    Reset,
    /// Moving the account to another address.
    Change,
}

impl Purpose {
    const fn name(self) -> &'static str {
        match self {
            Self::SignUp => "sign-up",
            Self::Login => "login",
            Self::Link => "link",
            Self::Reset => "reset",
            Self::Change => "change",
        }
    }
}

/// What a code is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    pub purpose: Purpose,
    pub address: &'a EmailAddress,
    /// The login flow: known to one browser only. For a link proof it names the upstream account too.
    pub flow: &'a str,
}

/// Six digits. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(Zeroizing<String>);

impl Code {
    fn random() -> Self {
        // The last, incomplete million is not used: every code is as likely as every other.
        const LIMIT: u32 = u32::MAX - u32::MAX % CODES;
        loop {
            let number = u32::from_be_bytes(clock::random());
            if number < LIMIT {
                return Self(Zeroizing::new(format!("{:06}", number % CODES)));
            }
        }
    }

    /// Reads what was typed: six digits of any keyboard, with spaces or hyphens between them as people type them.
    /// Anything else is no code, and costs no try.
    pub fn parse(typed: &str) -> Option<Self> {
        if typed.len() > 64 {
            return None;
        }
        let mut digits = Zeroizing::new(String::with_capacity(typed.len()));
        digits.extend(typed.nfkc().filter(|c| !c.is_whitespace() && *c != '-'));
        let is_code = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        is_code.then_some(Self(digits))
    }

    /// The digits, for the mail.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[code]")
    }
}

/// What asking for a code gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issued {
    /// A new code, to be mailed. Every earlier one of the same binding is void.
    Code(Code),
    /// This flow has had `MAX_CODES`. The customer may start again.
    TooMany,
}

/// What trying a code gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is right, for the first time.
    Right,
    /// It is not, but another try is possible. `tries_left` is at least one.
    Wrong { tries_left: u64 },
    /// There is no code of this binding that could still be used: its time or its tries are up, or it was used.
    /// The customer may ask for another.
    Void,
}

/// What is kept of a code.
#[derive(Serialize, Deserialize)]
struct Challenge {
    mac: String,
    /// The count of tries when the code was made: the five after it are its own. The count itself never goes back,
    /// so each number belongs to one try of one code, however issuing and trying overlap.
    tries_before: u64,
}

/// Makes a code in place of any earlier one of this binding. Two round trips.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn issue(kv: &Kv, key: &DerivedKey, binding: &Binding<'_>) -> kv::Result<Issued> {
    let keys = Keys::of(key, binding);
    let count = Op::Increment { key: keys.codes, ttl: COUNTS_LIFETIME };
    let replies = kv.run(vec![count, Op::Get { key: keys.tries }]).await?;
    let [Reply::Count(codes), Reply::Value(tries)] = replies.as_slice() else {
        return Err(kv::Error::Answer);
    };
    if *codes > MAX_CODES {
        return Ok(Issued::TooMany);
    }
    let code = Code::random();
    let challenge = Challenge { mac: mac(key, binding, &code), tries_before: read_count(tries.as_deref())? };
    let value = kv::to_json(&challenge)?;
    let write = Op::Set { key: keys.challenge, value, ttl: CODE_LIFETIME, when: When::Always };
    kv.run(vec![write]).await?;
    Ok(Issued::Code(code))
}

/// Tries a code. One round trip; a second one if it is right.
///
/// # Errors
/// If the key-value store does not answer. The try may have been counted.
pub async fn check(kv: &Kv, key: &DerivedKey, binding: &Binding<'_>, code: &Code) -> kv::Result<Outcome> {
    let keys = Keys::of(key, binding);
    let count = Op::Increment { key: keys.tries, ttl: COUNTS_LIFETIME };
    let replies = kv.run(vec![count, Op::Get { key: keys.challenge.clone() }]).await?;
    let [Reply::Count(tries), Reply::Value(stored)] = replies.as_slice() else {
        return Err(kv::Error::Answer);
    };
    let Some(challenge) = kv::from_json::<Challenge>(stored.clone())? else {
        return Ok(Outcome::Void);
    };
    let attempt = judge(&challenge, *tries, &mac(key, binding, code));
    if attempt == Outcome::Right {
        // Of all who are right at once, one takes the challenge. If a newer code has come in between, it goes too:
        // the customer is asked for one more rather than let in by a void one.
        let taken = kv.take(&keys.challenge).await?;
        return Ok(if taken == *stored { Outcome::Right } else { Outcome::Void });
    }
    Ok(attempt)
}

fn judge(challenge: &Challenge, tries: u64, mac: &str) -> Outcome {
    // A count that is not above is an earlier code's try, answered late.
    let Some(own @ 1..=MAX_TRIES) = tries.checked_sub(challenge.tries_before) else {
        return Outcome::Void;
    };
    if secret::constant_time_eq(challenge.mac.as_bytes(), mac.as_bytes()) {
        return Outcome::Right;
    }
    match MAX_TRIES - own {
        0 => Outcome::Void,
        tries_left => Outcome::Wrong { tries_left },
    }
}

fn mac(key: &DerivedKey, binding: &Binding<'_>, code: &Code) -> String {
    let address = binding.address.normalized().as_bytes();
    let parts = [b"code", binding.purpose.name().as_bytes(), address, binding.flow.as_bytes(), code.0.as_bytes()];
    secret::base64url(&key.mac(&parts))
}

/// A counter as the store keeps it: decimal text.
fn read_count(value: Option<&[u8]>) -> kv::Result<u64> {
    let Some(value) = value else { return Ok(0) };
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).ok_or(kv::Error::NotACounter)
}

/// The keys of one binding. They name nobody.
struct Keys {
    challenge: String,
    tries: String,
    codes: String,
}

impl Keys {
    fn of(key: &DerivedKey, binding: &Binding<'_>) -> Self {
        let address = binding.address.normalized().as_bytes();
        let mac = key.mac(&[b"key", binding.purpose.name().as_bytes(), address, binding.flow.as_bytes()]);
        let name = secret::base64url(&mac);
        Self {
            challenge: format!("email-code:{name}"),
            tries: format!("email-code-tries:{name}"),
            codes: format!("email-code-count:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for typed in ["012345", " 012345\n", "012 345", "012-345", "0 1 2 3 4 5", "０１２３４５"] {
            assert_eq!(Code::parse(typed).as_ref().map(Code::expose), Some("012345"), "{typed:?}");
        }
        let long = format!("012345{}", " ".repeat(64));
        for typed in ["", "12345", "1234567", "01234a", "+12345", "12.345", "٠١٢٣٤٥", &long] {
            assert_eq!(Code::parse(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn codes_are_six_digits_and_spread_over_the_whole_range() {
        let codes: Vec<u32> = (0..1000)
            .map(|_| {
                let code = Code::random();
                assert_eq!(Code::parse(code.expose()), Some(code.clone()));
                code.expose().parse().unwrap()
            })
            .collect();
        for tenth in 0..10 {
            let range = tenth * 100_000..(tenth + 1) * 100_000;
            assert!(codes.iter().any(|code| range.contains(code)), "no code of a thousand is in {range:?}");
        }
    }

    #[test]
    fn a_code_has_the_five_tries_after_it_was_made() {
        let challenge = Challenge { mac: "right".to_owned(), tries_before: 3 };
        for (tries, typed, expected) in [
            (0, "right", Outcome::Void),
            (3, "right", Outcome::Void),
            (4, "right", Outcome::Right),
            (4, "wrong", Outcome::Wrong { tries_left: 4 }),
            (7, "wrong", Outcome::Wrong { tries_left: 1 }),
            (8, "right", Outcome::Right),
            (8, "wrong", Outcome::Void),
            (9, "right", Outcome::Void),
            (u64::MAX, "right", Outcome::Void),
        ] {
            assert_eq!(judge(&challenge, tries, typed), expected, "{tries} {typed}");
        }
    }

    #[test]
    fn neither_code_nor_keys_print() {
        assert_eq!(format!("{:?}", Issued::Code(Code::random())), "Code([code])");
        let key = crate::secret::MasterKey::generate().derive("email code");
        let address = EmailAddress::parse("alice@example.com").unwrap();
        let keys = Keys::of(&key, &Binding { purpose: Purpose::Login, address: &address, flow: "flow" });
        assert!(!keys.challenge.contains("alice") && !keys.challenge.contains("flow"));
    }
}
