//! E-mail addresses: what counts as one, and when two spellings are the same one (spec/identity.md rules 1 and 4).
//!
//! An address is parsed once, at the edge. Inside, two addresses are equal exactly if their normalized forms are;
//! what the customer typed is kept for display only. Mail goes to the normalized form: a mail proof must reach
//! whoever owns the address that the account is found by, not a look-alike that merely normalizes to it.
//! Dots and plus-parts are part of the address here; folding them is a matter of duplicate search alone.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use url::Host;

/// The longest address in bytes, normalized or as typed (RFC 5321 §4.5.3.1.3, less the angle brackets).
pub const MAX_ADDRESS_BYTES: usize = 254;
/// The longest part before the `@` in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// The longest domain in bytes, as text without the root's dot (RFC 1035 §2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;

/// Mailboxes of a function rather than of a person: RFC 2142, and those that machines send from.
const ROLE_MAILBOXES: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "billing",
    "contact",
    "daemon",
    "do-not-reply",
    "do_not_reply",
    "donotreply",
    "ftp",
    "help",
    "hostmaster",
    "info",
    "mailer-daemon",
    "mail-daemon",
    "marketing",
    "news",
    "no-reply",
    "no_reply",
    "nobody",
    "noc",
    "noreply",
    "null",
    "office",
    "postmaster",
    "root",
    "sales",
    "security",
    "spam",
    "support",
    "sysadmin",
    "usenet",
    "uucp",
    "webmaster",
    "www",
];
/// What people and imports write where an address is demanded and none is meant.
const PLACEHOLDER_MAILBOXES: &[&str] = &["anonymous", "na", "none", "test", "undefined", "unknown"];
/// Domains that can never receive mail, or that take anybody's (RFC 2606 §2, RFC 6761).
const BLOCKED_DOMAINS: &[&str] = &["test.com", "invalid", "localhost", "localdomain"];

/// Why a text is no e-mail address. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing before or after the `@`, or no `@`.
    #[error("an e-mail address has the form name@example.com")]
    Form,
    /// Over one of the length limits.
    #[error("the e-mail address is too long")]
    TooLong,
    /// A character or an order of dots that the part before the `@` may not have. Quoted forms are refused.
    #[error("the part before the @ is not usable")]
    Local,
    /// The domain is no host name with a dot in it. Address literals are refused.
    #[error("the part after the @ is not a domain")]
    Domain,
}

/// One e-mail address, in the form in which it is compared and in the form in which it was typed.
///
/// Serialized as typed, and parsed again when read. `Debug` does not show it: addresses stay out of logs.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress {
    normalized: String,
    display: String,
    /// Where the `@` is in `normalized`.
    at: usize,
}

impl EmailAddress {
    /// Reads what was typed, white space around it aside.
    ///
    /// # Errors
    /// `AddressError` says which part is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let display = text.trim();
        if display.len() > MAX_ADDRESS_BYTES {
            return Err(AddressError::TooLong);
        }
        // Compatibility forms can hide an `@` (U+FF20), so the text is normalized before it is divided.
        let unified: String = display.nfkc().collect();
        let (local, domain) = unified.rsplit_once('@').ok_or(AddressError::Form)?;
        if local.is_empty() || domain.is_empty() {
            return Err(AddressError::Form);
        }
        let local = normalize_local(local)?;
        let domain = normalize_domain(domain)?;
        let at = local.len();
        let normalized = format!("{local}@{domain}");
        if normalized.len() > MAX_ADDRESS_BYTES {
            return Err(AddressError::TooLong);
        }
        Ok(Self { normalized, display: display.to_owned(), at })
    }

    /// The form that is compared, stored as an external ID, and mailed to.
    pub fn normalized(&self) -> &str {
        &self.normalized
    }

    /// As it was typed, for showing it to its owner.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// The normalized part before the `@`.
    pub fn local(&self) -> &str {
        self.normalized.get(..self.at).unwrap_or_default()
    }

    /// The normalized part after the `@`, in ASCII.
    pub fn domain(&self) -> &str {
        self.normalized.get(self.at + 1..).unwrap_or_default()
    }

    /// Whether the address may never become a link: a function's mailbox, a placeholder, a domain without mail.
    pub fn is_blocked(&self) -> bool {
        // A plus-part does not make a role mailbox a person's.
        let mailbox = self.local().split('+').next().unwrap_or_default();
        ROLE_MAILBOXES.contains(&mailbox)
            || PLACEHOLDER_MAILBOXES.contains(&mailbox)
            || mailbox.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-' | b'_'))
            || BLOCKED_DOMAINS.iter().any(|blocked| is_within(self.domain(), blocked))
    }
}

impl PartialEq for EmailAddress {
    fn eq(&self, other: &Self) -> bool {
        self.normalized == other.normalized
    }
}

impl Eq for EmailAddress {}

impl Hash for EmailAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.normalized.hash(state);
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[e-mail address]")
    }
}

impl FromStr for EmailAddress {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.display
    }
}

fn normalize_local(local: &str) -> Result<String, AddressError> {
    // Lower case of a composed letter can be decomposed, so it is composed again: the form must be a fixed point.
    let normalized: String = local.to_lowercase().nfkc().collect();
    if normalized.len() > MAX_LOCAL_BYTES {
        return Err(AddressError::TooLong);
    }
    // RFC 5321 §4.1.2: Dot-string, atoms with single dots between them; RFC 6531 §3.3 widens the atoms.
    let atoms_are_full = normalized.split('.').all(|atom| !atom.is_empty());
    if atoms_are_full && normalized.chars().all(|c| c == '.' || is_atom_character(c)) {
        Ok(normalized)
    } else {
        Err(AddressError::Local)
    }
}

fn normalize_domain(domain: &str) -> Result<String, AddressError> {
    // `Host::parse` reads URLs' hosts and so decodes percent signs; in an address they mean nothing.
    if domain.contains('%') {
        return Err(AddressError::Domain);
    }
    let Ok(Host::Domain(ascii)) = Host::parse(domain) else {
        return Err(AddressError::Domain);
    };
    if ascii.len() > MAX_DOMAIN_BYTES {
        return Err(AddressError::TooLong);
    }
    if ascii.contains('.') && ascii.split('.').all(is_host_label) { Ok(ascii) } else { Err(AddressError::Domain) }
}

fn is_atom_character(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    }
    !c.is_control() && !c.is_whitespace() && !is_invisible(c)
}

/// Characters that show nothing, or turn the direction of what follows: they make two addresses look alike.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{e000}'..='\u{f8ff}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{ffff}'
        | '\u{e0000}'..='\u{10ffff}')
}

fn is_host_label(label: &str) -> bool {
    // RFC 1123 §2.1: letters, digits and inner hyphens.
    !label.is_empty()
        && label.len() <= 63
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_within(domain: &str, parent: &str) -> bool {
    domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(text: &str) -> String {
        EmailAddress::parse(text).map(|address| address.normalized().to_owned()).unwrap_or_else(|e| e.to_string())
    }

    #[test]
    fn spellings_of_one_address_normalize_alike() {
        for (typed, expected) in [
            ("alice@example.com", "alice@example.com"),
            ("  Alice@Example.COM\n", "alice@example.com"),
            ("ALICE+Shop@EXAMPLE.com", "alice+shop@example.com"),
            ("a.l.i.c.e@gmail.com", "a.l.i.c.e@gmail.com"),
            ("ａｌｉｃｅ＠ｅｘａｍｐｌｅ．ｃｏｍ", "alice@example.com"),
            ("alice@bücher.example", "alice@xn--bcher-kva.example"),
            ("alice@XN--BCHER-KVA.example", "alice@xn--bcher-kva.example"),
            ("jo\u{308}rg@example.com", "jörg@example.com"),
            ("JÖRG@example.com", "jörg@example.com"),
            ("ﬁsh@example.com", "fish@example.com"),
            ("\u{212a}ate@example.com", "kate@example.com"),
            ("उपयोगकर्ता@उदाहरण.भारत", "उपयोगकर्ता@xn--p1b6ci4b4b3a.xn--h2brj9c"),
        ] {
            assert_eq!(normalized(typed), expected, "{typed}");
            assert_eq!(normalized(&normalized(typed)), normalized(typed), "{typed}: normalizing is not a fixed point");
        }
        assert_eq!(EmailAddress::parse("Alice@Example.com"), EmailAddress::parse("alice@example.com"));
    }

    #[test]
    fn what_was_typed_is_kept_and_survives_serialization() {
        let address = EmailAddress::parse(" Alice@Bücher.example ").unwrap();
        assert_eq!(address.display(), "Alice@Bücher.example");
        assert_eq!((address.local(), address.domain()), ("alice", "xn--bcher-kva.example"));
        let text = serde_json::to_string(&address).unwrap();
        let again: EmailAddress = serde_json::from_str(&text).unwrap();
        assert_eq!((again.normalized(), again.display()), (address.normalized(), address.display()));
        assert!(serde_json::from_str::<EmailAddress>("\"alice\"").is_err());
    }

    #[test]
    fn what_is_no_address_is_refused_by_part() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_domain = format!("a@{}.com", "b".repeat(64));
        let long = format!("a@{}com", "b.".repeat(126));
        for (text, expected) in [
            ("", AddressError::Form),
            ("alice", AddressError::Form),
            ("@example.com", AddressError::Form),
            ("alice@", AddressError::Form),
            ("alice@@example.com", AddressError::Local),
            ("a lice@example.com", AddressError::Local),
            (".alice@example.com", AddressError::Local),
            ("alice.@example.com", AddressError::Local),
            ("al..ice@example.com", AddressError::Local),
            ("\"alice\"@example.com", AddressError::Local),
            ("alice\r\nBcc: eve@example.com", AddressError::Local),
            ("alice,eve@example.com", AddressError::Local),
            ("<alice@example.com>", AddressError::Local),
            ("ali\u{200b}ce@example.com", AddressError::Local),
            ("\u{202e}ecila@example.com", AddressError::Local),
            ("ali\0ce@example.com", AddressError::Local),
            ("alice@localhost", AddressError::Domain),
            ("alice@example.com.", AddressError::Domain),
            ("alice@.example.com", AddressError::Domain),
            ("alice@-example.com", AddressError::Domain),
            ("alice@exa_mple.com", AddressError::Domain),
            ("alice@exam%70le.com", AddressError::Domain),
            ("alice@127.0.0.1", AddressError::Domain),
            ("alice@0x7f.1", AddressError::Domain),
            ("alice@[127.0.0.1]", AddressError::Domain),
            ("alice@[::1]", AddressError::Domain),
            ("alice@example.com/path", AddressError::Domain),
            ("alice@example.com:25", AddressError::Domain),
            (&long_local, AddressError::TooLong),
            (&long_domain, AddressError::Domain),
            (&long, AddressError::TooLong),
        ] {
            assert_eq!(EmailAddress::parse(text).err(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn role_mailboxes_and_placeholders_are_blocked() {
        for text in [
            "test@test.com",
            "anyone@test.com",
            "NoReply@example.com",
            "postmaster@example.com",
            "info+shop@example.com",
            "unknown@example.com",
            "000000@example.com",
            "alice@mail.invalid",
        ] {
            assert!(EmailAddress::parse(text).unwrap().is_blocked(), "{text}");
        }
        for text in ["alice@example.com", "informatics@example.com", "alice@latest.com", "0815@example.com"] {
            assert!(!EmailAddress::parse(text).unwrap().is_blocked(), "{text}");
        }
    }

    #[test]
    fn an_address_does_not_print() {
        assert_eq!(format!("{:?}", EmailAddress::parse("alice@example.com")), "Ok([e-mail address])");
    }
}
