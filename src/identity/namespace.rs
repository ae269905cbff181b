//! Namespaces of the ID mapping table (spec/identity.md rule 1): their names, and how what each declares is applied.
//!
//! What is declared is in `config`; here is what it means for one external ID: its normal form, whether it stands for
//! nobody, whether its proof still proves.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use super::address::{AddressError, EmailAddress};
use super::phone::{Country, PhoneError, PhoneNumber};
use crate::clock::Timestamp;
use crate::config::{Config, NamespacesConfig, Normalizer, Policy};
use crate::store::Link;

/// The longest external ID in bytes.
const MAX_ID: usize = 255;

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

/// By what links are judged: what the namespaces declare, and the time at which proofs age and weeks are counted.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    pub namespaces: &'a NamespacesConfig,
    pub now: Timestamp,
}

impl<'a> Rules<'a> {
    /// Those of an installation, now.
    pub fn of(config: &'a Config, now: Timestamp) -> Self {
        Self { namespaces: &config.namespaces, now }
    }

    /// What a namespace declares.
    pub fn policy(&self, namespace: &Namespace) -> Policy {
        self.namespaces.policy(&namespace.to_string())
    }

    /// Whether the proof of a link is too old to prove anything.
    pub fn is_stale(&self, link: &Link) -> bool {
        is_stale(self.namespaces.policy(&link.namespace), link.verified_at, self.now)
    }
}

/// Whether a proof of that time is too old under a policy. What nothing ever proved is not stale.
pub fn is_stale(policy: Policy, verified_at: Option<Timestamp>, now: Timestamp) -> bool {
    verified_at.is_some_and(|at| !policy.is_fresh(at, now))
}

/// Why a value is not the external ID of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It stands for nobody.
    #[error("this value stands for nobody")]
    Blocked,
    /// It is empty, too long, or holds control characters.
    #[error("an ID has 1 to 255 bytes and no control characters")]
    Form,
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    Phone(#[from] PhoneError),
}

impl Namespace {
    /// Whether a live external ID of a namespace of this kind is one customer's by nature. Of apps and other systems
    /// the configuration may say otherwise.
    pub const fn is_exclusive(&self) -> bool {
        !matches!(self, Self::UnprovedEmail | Self::Visitor(_))
    }

    /// The form in which an external ID is compared and stored.
    ///
    /// # Errors
    /// What is wrong with it. A blocked value has a form, and is refused by [`Namespace::identifier`] only.
    pub fn normal(&self, text: &str, declared: &NamespacesConfig) -> Result<String, Unfit> {
        let normal = match declared.policy(&self.to_string()).normalizer {
            Normalizer::Exact => text.to_owned(),
            Normalizer::LowerCase => folded(text),
            Normalizer::Compact => compact(text),
            Normalizer::Email => EmailAddress::parse(text)?.normalized().to_owned(),
            Normalizer::Phone => PhoneNumber::parse(text, home(declared))?.e164().to_owned(),
        };
        let is_sound = (1..=MAX_ID).contains(&normal.len()) && !normal.chars().any(char::is_control);
        if is_sound { Ok(normal) } else { Err(Unfit::Form) }
    }

    /// Every form in which a text may be stored here, for finding what somebody knows by another spelling.
    pub fn spellings(&self, text: &str) -> Vec<String> {
        let mut spellings = match self {
            Self::Email | Self::UnprovedEmail => {
                vec![EmailAddress::parse(text).map_or_else(|_| text.to_owned(), |it| it.normalized().to_owned())]
            }
            Self::Phone => {
                vec![PhoneNumber::parse(text, None).map_or_else(|_| text.to_owned(), |it| it.e164().to_owned())]
            }
            Self::Social(_) => vec![text.to_owned()],
            Self::App(_) | Self::External(_) | Self::Visitor(_) => vec![text.to_owned(), folded(text), compact(text)],
        };
        spellings.dedup();
        spellings
    }

    /// The normal form of an external ID that may become a link.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn identifier(&self, text: &str, declared: &NamespacesConfig) -> Result<String, Unfit> {
        let normal = self.normal(text, declared)?;
        if self.blocks(&normal, declared) { Err(Unfit::Blocked) } else { Ok(normal) }
    }

    /// Whether a value in its normal form stands for nobody: by itself, or because the configuration says so. Such a
    /// value never becomes a link, whatever the source.
    pub fn blocks(&self, normal: &str, declared: &NamespacesConfig) -> bool {
        let of_itself = match self {
            Self::Email | Self::UnprovedEmail => {
                // What is blocked as a proved address is no hint either.
                declared.blocks("email", normal)
                    || EmailAddress::parse(normal).is_ok_and(|address| address.is_blocked())
            }
            Self::Phone => PhoneNumber::parse(normal, None).is_ok_and(|number| number.is_blocked()),
            _ => false,
        };
        of_itself || stands_for_nobody(normal) || declared.blocks(&self.to_string(), normal)
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

/// Whether an address may never become a link, whatever the source.
pub fn blocks_address(address: &EmailAddress, declared: &NamespacesConfig) -> bool {
    Namespace::Email.blocks(address.normalized(), declared)
}

/// The country of phone numbers that name none.
fn home(declared: &NamespacesConfig) -> Option<Country<'_>> {
    declared.national_numbers().map(|(code, trunk_prefix)| Country { code, trunk_prefix })
}

fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase().nfkc().collect::<String>().trim().to_owned()
}

fn compact(text: &str) -> String {
    let is_part = |c: &char| !(c.is_whitespace() || matches!(c, '-' | '.' | '/' | '\u{2010}'..='\u{2015}'));
    folded(text).chars().filter(is_part).collect()
}

/// What people and systems write where an ID is demanded and there is none.
fn stands_for_nobody(external_id: &str) -> bool {
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

    fn declared() -> NamespacesConfig {
        Config::load(None, Vec::new()).unwrap().namespaces
    }

    fn read(text: &str, declared: &NamespacesConfig) -> Result<String, Unfit> {
        let (namespace, external_id) = text.split_once('=').unwrap();
        Namespace::parse(namespace).unwrap().identifier(external_id, declared)
    }

    #[test]
    fn what_is_fixed_by_nature_is_what_the_defaults_say() {
        for text in ["social:google", "email", "unproved_email", "phone", "app:shop", "ext:crm"] {
            let namespace = Namespace::parse(text).unwrap();
            assert_eq!(namespace.is_exclusive(), declared().policy(text).exclusive, "{text}");
        }
    }

    #[test]
    fn values_that_stand_for_nobody_are_blocked() {
        let declared = declared();
        for value in ["0", "00000000-0000-0000-0000-000000000000", "Unknown", " null "] {
            assert_eq!(read(&format!("app:shop={value}"), &declared), Err(Unfit::Blocked), "{value:?}");
        }
        for text in
            ["email=test@test.com", "email=info@shop.example", "unproved_email=noreply@x.example", "phone=+49000000"]
        {
            assert_eq!(read(text, &declared), Err(Unfit::Blocked), "{text:?}");
        }
        for value in ["1", "10", "ann", "unknown-17"] {
            assert_eq!(read(&format!("app:shop={value}"), &declared).as_deref(), Ok(value));
        }
        for text in ["app:shop=", "app:shop=a\nb", &format!("ext:crm={}", "x".repeat(256))] {
            assert_eq!(read(text, &declared), Err(Unfit::Form), "{text:?}");
        }
    }

    #[test]
    fn the_configuration_blocks_more_values() {
        let declared = declared()
            .with("ext:*", |all| all.blocked.push("9999".to_owned()))
            .with("ext:crm", |crm| crm.blocked.push("demo".to_owned()))
            .with("email", |email| email.blocked.extend(["@mailinator.com", "kasse@"].map(str::to_owned)));
        for text in [
            "ext:crm=9999",
            "ext:crm=Demo",
            "email=ann@mailinator.com",
            "email=ann@eu.mailinator.com",
            "unproved_email=ann@mailinator.com",
            "email=Kasse@shop.example",
        ] {
            assert_eq!(read(text, &declared), Err(Unfit::Blocked), "{text}");
        }
        for text in ["ext:loyalty=demo", "app:shop=9999", "email=ann@notmailinator.com", "email=kassel@shop.example"] {
            assert!(read(text, &declared).is_ok(), "{text}");
        }
    }

    #[test]
    fn spellings_are_one_as_the_namespace_declares() {
        let declared = declared()
            .with("ext:loyalty", |card| card.normalizer = Some(Normalizer::Compact))
            .with("app:forum", |forum| forum.normalizer = Some(Normalizer::LowerCase))
            .with("phone", |phone| phone.country_code = Some("34".to_owned()));
        for (text, expected) in [
            ("ext:loyalty= 12-34 56/AB.c", "123456abc"),
            ("ext:crm= 12-34 56", " 12-34 56"),
            ("app:forum=ÄnnA", "änna"),
            ("app:shop=ÄnnA", "ÄnnA"),
            ("email=Ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
            ("phone=912 345 678", "+34912345678"),
            ("social:google=AbC ", "AbC "),
        ] {
            assert_eq!(read(text, &declared).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_proof_ages_where_the_namespace_says_so() {
        let declared = declared();
        let day = |day: i64| Timestamp::from_seconds(day * 86_400);
        for (namespace, now, stale) in [("phone", 180, false), ("phone", 181, true), ("email", 3650, false)] {
            let rules = Rules { namespaces: &declared, now: day(now) };
            let policy = rules.policy(&Namespace::parse(namespace).unwrap());
            assert_eq!(is_stale(policy, Some(day(0)), rules.now), stale, "{namespace} after {now} days");
            assert!(!is_stale(policy, None, rules.now));
        }
    }
}
