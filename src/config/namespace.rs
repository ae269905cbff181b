//! `[namespaces]`: what each namespace of the ID mapping table declares.
//!
//! Identity specification, rule 1. `config/default.toml` declares every kind; a table of one namespace, such as
//! `[namespaces."ext:crm"]`, changes what is said of `"ext:*"` for that one. What the safety of logins hangs on is fixed
//! for its kind and refused here. What the declarations mean is in `identity`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::forms;
use super::problem::Problems;
use super::section::Named;
use crate::clock::Timestamp;

const DAY: Duration = Duration::from_secs(86_400);
/// More live links of one namespace than this nobody has.
const MOST_LIVE: u32 = 200;
/// The longest name of a namespace in bytes.
const MAX_NAME: usize = 80;

/// How two spellings of one external ID are known to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalizer {
    /// Byte for byte.
    Exact,
    /// Upper and lower case are one.
    LowerCase,
    /// Upper and lower case are one, and white space, hyphens, dots and slashes are left out: numbers that people copy
    /// from a card.
    Compact,
    /// As an e-mail address.
    Email,
    /// As a phone number (E.164).
    Phone,
}

impl Normalizer {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::LowerCase => "lower_case",
            Self::Compact => "compact",
            Self::Email => "email",
            Self::Phone => "phone",
        }
    }
}

/// What holds for the links of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// At most one live row per external ID. Of a browser: of all who used it, one is its current owner.
    pub exclusive: bool,
    /// The external ID never comes to mean another person.
    pub immutable: bool,
    /// Proving it logs a customer in.
    pub login: bool,
    /// It is evidence of who is the same person.
    pub matches: bool,
    /// How many may be live on one customer.
    pub live: u32,
    /// How many may begin on one customer in seven days, those that ended again among them.
    pub new_per_week: u32,
    /// Whose word counts when identifiers disagree about who somebody is: the highest.
    pub priority: u32,
    pub normalizer: Normalizer,
    /// How long a proof proves; `None`: for ever.
    pub proof_lifetime: Option<Duration>,
}

impl Policy {
    /// Whether a proof of that time still proves.
    pub fn is_fresh(&self, verified_at: Timestamp, now: Timestamp) -> bool {
        self.proof_lifetime.is_none_or(|lifetime| now.since(verified_at) <= lifetime)
    }
}

/// Of a namespace that nobody declared: nothing is allowed.
const UNDECLARED: Policy = Policy {
    exclusive: true,
    immutable: false,
    login: false,
    matches: false,
    live: 0,
    new_per_week: 0,
    priority: 0,
    normalizer: Normalizer::Exact,
    proof_lifetime: Some(Duration::ZERO),
};

/// One table of the section; what is absent is as in the table of the kind.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Declared {
    pub exclusive: Option<bool>,
    pub immutable: Option<bool>,
    pub login: Option<bool>,
    pub matches: Option<bool>,
    pub live: Option<u32>,
    pub new_per_week: Option<u32>,
    pub priority: Option<u32>,
    pub normalizer: Option<Normalizer>,
    #[serde(deserialize_with = "forms::optional_duration")]
    pub proof_lifetime: Option<Duration>,
    /// Values that never become links, beside those that stand for nobody anywhere.
    pub blocked: Vec<String>,
    /// Of phone numbers that are written without one, such as "49".
    pub country_code: Option<String>,
    /// What such numbers begin with inside their country, such as "0".
    pub trunk_prefix: Option<String>,
}

/// A kind of namespace: how it is named, and what nobody may declare otherwise.
struct Kind {
    pattern: &'static str,
    fixed: &'static [(&'static str, &'static str)],
    /// What can be said of this kind only.
    own: &'static [&'static str],
}

const KINDS: [Kind; 7] = [
    Kind {
        pattern: "social:*",
        fixed: &[
            ("exclusive", "true"),
            ("immutable", "true"),
            ("login", "true"),
            ("normalizer", "exact"),
            ("proof_lifetime", ""),
        ],
        own: &[],
    },
    Kind {
        pattern: "email",
        fixed: &[
            ("exclusive", "true"),
            ("immutable", "false"),
            ("login", "true"),
            ("normalizer", "email"),
            ("proof_lifetime", ""),
        ],
        own: &[],
    },
    Kind {
        pattern: "unproved_email",
        fixed: &[
            ("exclusive", "false"),
            ("immutable", "false"),
            ("login", "false"),
            ("priority", "0"),
            ("normalizer", "email"),
            ("proof_lifetime", ""),
        ],
        own: &[],
    },
    Kind {
        pattern: "phone",
        // No page takes a number yet; a switch that does nothing would be worse than none.
        fixed: &[("exclusive", "true"), ("immutable", "false"), ("login", "false"), ("normalizer", "phone")],
        own: &["country_code", "trunk_prefix"],
    },
    Kind { pattern: "app:*", fixed: &[("login", "false")], own: &[] },
    Kind { pattern: "ext:*", fixed: &[("login", "false")], own: &[] },
    Kind {
        pattern: "visitor:*",
        fixed: &[
            ("exclusive", "false"),
            ("immutable", "false"),
            ("login", "false"),
            ("matches", "false"),
            ("proof_lifetime", ""),
        ],
        own: &[],
    },
];

/// The `[namespaces]` section. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub struct NamespacesConfig(Arc<BTreeMap<String, Declared>>);

impl NamespacesConfig {
    pub(super) fn new(tables: Vec<Named<Declared>>) -> Self {
        let name = |key: &str| key.strip_prefix("namespaces.").unwrap_or(key).to_owned();
        Self(Arc::new(tables.into_iter().map(|(key, declared)| (name(&key), declared)).collect()))
    }

    /// The same with one more declaration.
    #[must_use]
    pub fn with(&self, namespace: &str, change: impl FnOnce(&mut Declared)) -> Self {
        let mut tables = BTreeMap::clone(&self.0);
        change(tables.entry(namespace.to_owned()).or_default());
        Self(Arc::new(tables))
    }

    /// What a namespace, such as `ext:crm`, declares.
    pub fn policy(&self, namespace: &str) -> Policy {
        let mut tables = self.tables(namespace).peekable();
        if tables.peek().is_none() {
            return UNDECLARED;
        }
        let base = Policy { proof_lifetime: None, ..UNDECLARED };
        tables.fold(base, |policy, declared| declared.laid_on(policy))
    }

    /// Whether a value was declared to stand for nobody. It is in its normal form. Of addresses also `mailbox@` and
    /// `@domain` can be declared.
    pub fn blocks(&self, namespace: &str, value: &str) -> bool {
        let (mailbox, domain) = value.rsplit_once('@').unwrap_or(("", ""));
        let is_it = |blocked: &String| match (blocked.strip_suffix('@'), blocked.strip_prefix('@')) {
            (Some(name), _) => !mailbox.is_empty() && name.eq_ignore_ascii_case(mailbox),
            (_, Some(parent)) => is_within(domain, &parent.to_ascii_lowercase()),
            _ => blocked.eq_ignore_ascii_case(value),
        };
        self.tables(namespace).any(|declared| declared.blocked.iter().any(is_it))
    }

    /// The country whose numbers are written without a country code, and what they begin with there.
    pub fn national_numbers(&self) -> Option<(&str, &str)> {
        let declared = self.0.get("phone")?;
        Some((declared.country_code.as_deref()?, declared.trunk_prefix.as_deref().unwrap_or_default()))
    }

    /// The declarations that hold for a namespace: of its kind, then its own.
    fn tables(&self, namespace: &str) -> impl Iterator<Item = &Declared> {
        let kind = kind_of(namespace).filter(|kind| kind.pattern != namespace);
        let own = kind_of(namespace).and_then(|_| self.0.get(namespace));
        kind.and_then(|kind| self.0.get(kind.pattern)).into_iter().chain(own)
    }

    /// `connectors` are the IDs of those that are configured.
    pub(super) fn check(&self, connectors: &[&str], problems: &mut Problems) {
        for (name, declared) in self.0.iter() {
            let key = format!("namespaces.{name}");
            let Some(kind) = kind_of(name) else {
                let patterns: Vec<&str> = KINDS.iter().map(|kind| kind.pattern).collect();
                let expected =
                    format!("one of {}, or one namespace of those, such as \"ext:crm\"", patterns.join(", "));
                problems.add(key, "is no namespace", expected);
                continue;
            };
            if let Some(id) = name.strip_prefix("social:").filter(|id| *id != "*" && !connectors.contains(id)) {
                problems.add(&key, format!("`{id}` is no connector"), "\"social:\" and the ID of a connector");
            }
            declared.check(&key, kind, problems);
        }
    }
}

impl Declared {
    fn laid_on(&self, policy: Policy) -> Policy {
        Policy {
            exclusive: self.exclusive.unwrap_or(policy.exclusive),
            immutable: self.immutable.unwrap_or(policy.immutable),
            login: self.login.unwrap_or(policy.login),
            matches: self.matches.unwrap_or(policy.matches),
            live: self.live.unwrap_or(policy.live),
            new_per_week: self.new_per_week.unwrap_or(policy.new_per_week),
            priority: self.priority.unwrap_or(policy.priority),
            normalizer: self.normalizer.unwrap_or(policy.normalizer),
            proof_lifetime: self.proof_lifetime.or(policy.proof_lifetime),
        }
    }

    fn check(&self, key: &str, kind: &Kind, problems: &mut Problems) {
        for (name, fixed) in kind.fixed {
            if let Some(said) = self.text(name).filter(|said| said != fixed) {
                let expected =
                    if fixed.is_empty() { "no such key here".to_owned() } else { format!("{name} = {fixed}") };
                let problem = format!("`{said}` is not possible: it is fixed for {}", kind.pattern);
                problems.add(format!("{key}.{name}"), problem, expected);
            }
        }
        for name in ["country_code", "trunk_prefix"] {
            if self.text(name).is_some() && !kind.own.contains(&name) {
                problems.add(format!("{key}.{name}"), "says nothing of this namespace", "it in [namespaces.phone]");
            }
        }
        if matches!(self.normalizer, Some(Normalizer::Email | Normalizer::Phone)) && !kind.is_of_channel() {
            let said = self.text("normalizer").unwrap_or_default();
            let problem = format!("`{said}` is not for this namespace");
            problems.add(format!("{key}.normalizer"), problem, "exact, lower_case or compact");
        }
        self.check_ranges(key, problems);
    }

    fn check_ranges(&self, key: &str, problems: &mut Problems) {
        let numbers = [
            ("live", self.live, 1..=MOST_LIVE),
            ("new_per_week", self.new_per_week, 1..=10_000),
            ("priority", self.priority, 0..=100),
        ];
        for (name, value, range) in numbers {
            if let Some(value) = value.filter(|value| !range.contains(value)) {
                let expected = format!("{} to {}", range.start(), range.end());
                problems.add(format!("{key}.{name}"), format!("{value} is out of range"), expected);
            }
        }
        if let Some(lifetime) = self.proof_lifetime {
            forms::check_range(problems, &format!("{key}.proof_lifetime"), lifetime, DAY..=3650 * DAY);
        }
        for (index, value) in self.blocked.iter().enumerate() {
            if value.trim().is_empty() || value.len() > 255 {
                let expected = "a value, or of addresses also \"mailbox@\" or \"@domain\"";
                problems.add(format!("{key}.blocked[{index}]"), "is empty or longer than 255 bytes", expected);
            }
        }
        let digits = |text: &str, most: usize| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
        if let Some(code) = self.country_code.as_ref()
            && (code.is_empty() || code.starts_with('0') || !digits(code, 3))
        {
            let problem = format!("`{code}` is no country code");
            problems.add(format!("{key}.country_code"), problem, "its digits without a plus, such as \"49\"");
        }
        if let Some(prefix) = self.trunk_prefix.as_ref().filter(|prefix| !digits(prefix, 3)) {
            let problem = format!("`{prefix}` is no prefix");
            problems.add(format!("{key}.trunk_prefix"), problem, "up to three digits, such as \"0\", or \"\"");
        }
    }

    /// The value of a key that was set, as it is written.
    fn text(&self, key: &str) -> Option<String> {
        match key {
            "exclusive" => self.exclusive.map(|value| value.to_string()),
            "immutable" => self.immutable.map(|value| value.to_string()),
            "login" => self.login.map(|value| value.to_string()),
            "matches" => self.matches.map(|value| value.to_string()),
            "priority" => self.priority.map(|value| value.to_string()),
            "normalizer" => self.normalizer.map(|value| value.as_str().to_owned()),
            "proof_lifetime" => self.proof_lifetime.map(forms::format_duration),
            "country_code" => self.country_code.clone(),
            "trunk_prefix" => self.trunk_prefix.clone(),
            _ => None,
        }
    }
}

impl Kind {
    /// Whether its IDs are addresses of one sort.
    fn is_of_channel(&self) -> bool {
        self.fixed.iter().any(|(key, value)| *key == "normalizer" && *value != "exact")
    }
}

fn kind_of(namespace: &str) -> Option<&'static Kind> {
    let is_name = |name: &str| {
        name == "*" || (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'*'))
    };
    let fits = |kind: &&Kind| match kind.pattern.strip_suffix('*') {
        Some(beginning) => namespace.strip_prefix(beginning).is_some_and(is_name),
        None => namespace == kind.pattern,
    };
    KINDS.iter().find(fits).filter(|_| namespace.len() <= MAX_NAME)
}

fn is_within(domain: &str, parent: &str) -> bool {
    !parent.is_empty() && domain.strip_suffix(parent).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
