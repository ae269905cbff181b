//! Namespaces of the ID mapping table and what each declares (spec/identity.md rule 1).

use std::fmt;

/// The namespace of a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Namespace {
    /// A connector's subjects, by the configured connector ID, never by the issuer's spelling.
    Social(String),
    /// A proved e-mail address in its normal form.
    Email,
    /// An e-mail address somebody claimed: a hint, never a way in.
    UnprovedEmail,
    /// A proved phone number (E.164).
    Phone,
    /// An app's own user IDs.
    App(String),
    /// Another system's IDs, such as a loyalty program.
    External(String),
    /// A browser, per sector.
    Visitor(String),
}

/// What holds for every link of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// At most one live row per external ID.
    pub exclusive: bool,
    /// The external ID never comes to mean another person.
    pub immutable: bool,
    /// Proving it logs a customer in.
    pub login: bool,
    /// How many may be live on one customer.
    pub live: u32,
}

impl Namespace {
    /// The rules of this namespace.
    pub const fn policy(&self) -> Policy {
        match self {
            Self::Social(_) => Policy { exclusive: true, immutable: true, login: true, live: 5 },
            Self::Email => Policy { exclusive: true, immutable: false, login: true, live: 5 },
            Self::UnprovedEmail => Policy { exclusive: false, immutable: false, login: false, live: 5 },
            Self::Phone => Policy { exclusive: true, immutable: false, login: false, live: 3 },
            Self::App(_) | Self::External(_) => Policy { exclusive: true, immutable: true, login: false, live: 3 },
            Self::Visitor(_) => Policy { exclusive: false, immutable: false, login: false, live: 50 },
        }
    }

    /// Reads the text form.
    pub fn parse(text: &str) -> Option<Self> {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        match text.split_once(':') {
            None => match text {
                "email" => Some(Self::Email),
                "unproved_email" => Some(Self::UnprovedEmail),
                "phone" => Some(Self::Phone),
                _ => None,
            },
            Some(("social", name)) => named(name).map(Self::Social),
            Some(("app", name)) => named(name).map(Self::App),
            Some(("ext", name)) => named(name).map(Self::External),
            Some(("visitor", name)) => named(name).map(Self::Visitor),
            Some(_) => None,
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Social(name) => write!(f, "social:{name}"),
            Self::Email => f.write_str("email"),
            Self::UnprovedEmail => f.write_str("unproved_email"),
            Self::Phone => f.write_str("phone"),
            Self::App(name) => write!(f, "app:{name}"),
            Self::External(name) => write!(f, "ext:{name}"),
            Self::Visitor(name) => write!(f, "visitor:{name}"),
        }
    }
}

/// Values that stand for nobody and never become links, whatever the source.
pub fn is_blocked(external_id: &str) -> bool {
    const WORDS: [&str; 9] = ["unknown", "null", "none", "n/a", "undefined", "anonymous", "guest", "test", "nan"];
    let value = external_id.trim();
    value.is_empty()
        || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word))
        || value.bytes().all(|b| matches!(b, b'0' | b'-'))
        || value.bytes().any(|b| b.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_read_back_and_unknown_ones_are_refused() {
        for text in ["social:google", "email", "unproved_email", "phone", "app:shop", "ext:crm", "visitor:shop"] {
            assert_eq!(Namespace::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "social", "social:", "other:x", "mail"] {
            assert_eq!(Namespace::parse(text), None, "{text}");
        }
    }

    #[test]
    fn values_that_stand_for_nobody_are_blocked() {
        for value in ["", "0", "00000000-0000-0000-0000-000000000000", "Unknown", " null ", "a\nb"] {
            assert!(is_blocked(value), "{value:?}");
        }
        for value in ["1", "10", "ann", "unknown-17"] {
            assert!(!is_blocked(value), "{value:?}");
        }
    }
}
