//! The signed identity: a short-lived JWT that says who this probably or surely is (spec/handoff.md rules 6, 7, 12).
//!
//! A statement is reused under (session, audience, customer version, level) until half of its life has passed.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::sync::Cache;
use serde::Serialize;

use super::Destination;
use crate::clock::Timestamp;
use crate::ids::{CustomerId, Sid};
use crate::keys::{self, KeyRing};
use crate::secret::{self, DerivedKey};
use crate::session::Authentication;

/// How surely the person is known. It rises only by proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Anonymous,
    /// A weak proof: one side of a merge that has not been proved to be the whole customer.
    Identified,
    Authenticated,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Identified => "identified",
            Self::Authenticated => "authenticated",
        }
    }
}

/// A person with a live SSO session, as one destination may know them.
#[derive(Clone, Debug)]
pub struct Person {
    pub customer: CustomerId,
    /// The destination's own subject.
    pub sub: String,
    pub sid: Sid,
    pub version: i64,
    pub authentication: Authentication,
    /// Whether they have proved to be the whole customer, and not one side of a merge only (spec/identity.md rule 25).
    pub whole: bool,
    /// Subjects retired here in the last 30 days: the history of those belongs to this one.
    pub merged_from: Vec<String>,
}

impl Person {
    const fn level(&self) -> Level {
        if self.whole { Level::Authenticated } else { Level::Identified }
    }

    /// The authentication, where it proves the whole customer.
    fn proved(&self) -> Option<&Authentication> {
        self.whole.then_some(&self.authentication)
    }
}

/// The claims. No `sub` where nobody is known: a constant one would join all strangers into one person.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    iat: i64,
    exp: i64,
    jti: String,
    level: Level,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    amr: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<CustomerId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ambiguous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    merged_from: Option<&'a [String]>,
}

/// A signed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    pub jwt: Arc<str>,
    pub level: Level,
}

/// Session with the time of its last authentication (the same session outlives a repeated one), destination, version.
type CacheKey = (Option<(Sid, Timestamp)>, String, i64);

/// More of an upstream's `amr` than this is left out: a statement stays within 1.5 KB.
const MAX_AMR: usize = 64;
/// More subjects retired by merges are left out.
const MAX_MERGED_FROM: usize = 8;

/// Makes statements and keeps the recent ones.
#[derive(Clone)]
pub struct Statements {
    issuer: String,
    keys: KeyRing,
    lifetime: Duration,
    /// Makes the session identifier of each audience.
    sid_key: DerivedKey,
    recent: Arc<Cache<CacheKey, (Arc<str>, Timestamp)>>,
}

impl Statements {
    /// `lifetime` is how long a statement is good for.
    pub fn new(issuer: String, keys: KeyRing, lifetime: Duration, sid_key: DerivedKey) -> Self {
        Self { issuer, keys, lifetime, sid_key, recent: Arc::new(Cache::new(10_000)) }
    }

    /// A statement about `person`, or about nobody known, for one destination.
    ///
    /// # Errors
    /// If there is no key to sign with.
    pub fn statement(
        &self,
        destination: &Destination,
        person: Option<&Person>,
        now: Timestamp,
    ) -> Result<Statement, keys::Error> {
        let level = person.map_or(Level::Anonymous, Person::level);
        let version = person.map_or(0, |person| person.version);
        let session = person.map(|person| (person.sid.clone(), person.authentication.auth_time));
        let key = (session, destination.id.clone(), version);
        if let Some((jwt, made_at)) = self.recent.get(&key)
            && now >= made_at
            && now.since(made_at) < self.lifetime / 2
        {
            return Ok(Statement { jwt, level });
        }
        let claims = self.claims(destination, person, level, now);
        let jwt: Arc<str> = self.keys.sign(destination.algorithm, "identity+jwt", &claims)?.into();
        self.recent.insert(key, (jwt.clone(), now));
        Ok(Statement { jwt, level })
    }

    /// Makes every statement anew from here on: the keys have changed.
    pub fn forget(&self) {
        self.recent.clear();
    }

    fn claims<'a>(
        &'a self,
        destination: &'a Destination,
        person: Option<&'a Person>,
        level: Level,
        now: Timestamp,
    ) -> Claims<'a> {
        let proved = person.and_then(Person::proved);
        Claims {
            iss: &self.issuer,
            aud: &destination.id,
            sub: person.map(|person| person.sub.as_str()),
            iat: now.seconds(),
            exp: (now + self.lifetime).seconds(),
            jti: secret::base64url(&crate::clock::random::<16>()),
            level,
            acr: proved.and_then(|authentication| authentication.acr.as_deref()),
            amr: proved.map(|authentication| bounded(&authentication.amr)).filter(|amr| !amr.is_empty()),
            auth_time: proved.map(|authentication| authentication.auth_time.seconds()),
            sid: person.map(|person| self.audience_sid(destination, &person.sid)),
            version: person.map(|person| person.version),
            customer_id: person.filter(|_| destination.internal).map(|person| person.customer),
            ambiguous: person.filter(|person| !person.whole).map(|_| true),
            merged_from: person.map(|person| first_few(&person.merged_from)).filter(|subs| !subs.is_empty()),
        }
    }

    /// Two destinations cannot join their data by the session.
    fn audience_sid(&self, destination: &Destination, sid: &Sid) -> String {
        let mac = self.sid_key.mac(&[destination.id.as_bytes(), sid.as_str().as_bytes()]);
        secret::base64url(mac.get(..16).unwrap_or_default())
    }
}

/// As many as leave the statement within 1.5 KB.
fn first_few(subs: &[String]) -> &[String] {
    subs.get(..subs.len().min(MAX_MERGED_FROM)).unwrap_or_default()
}

/// The first values that fit.
fn bounded(amr: &[String]) -> &[String] {
    let mut length = 0;
    let fits = |value: &&String| {
        length += value.len() + 3;
        length <= MAX_AMR
    };
    amr.get(..amr.iter().take_while(fits).count()).unwrap_or_default()
}
