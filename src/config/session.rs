//! `[session]` and `[tokens]`: how long things live.
//!
//! Lifetimes only; what ends a session or a token earlier is decided where it is used. RFC 9700 §2.2, §4.14.

use std::time::Duration;

use serde::Deserialize;

use super::forms;
use super::problem::Problems;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// The `[session]` section: the SSO session of one browser.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionConfig {
    /// Ends after this time without a request.
    #[serde(deserialize_with = "forms::duration")]
    pub idle: Duration,
    /// Ends this long after the login, however busy it is.
    #[serde(deserialize_with = "forms::duration")]
    pub absolute: Duration,
}

/// The `[tokens]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensConfig {
    /// Authorization code.
    #[serde(deserialize_with = "forms::duration")]
    pub code: Duration,
    #[serde(deserialize_with = "forms::duration")]
    pub access_token: Duration,
    #[serde(deserialize_with = "forms::duration")]
    pub id_token: Duration,
    /// A refresh-token family ends when none of its tokens was used for this time.
    #[serde(deserialize_with = "forms::duration")]
    pub refresh_idle: Duration,
    /// A refresh-token family ends this long after the login.
    #[serde(deserialize_with = "forms::duration")]
    pub refresh_absolute: Duration,
    /// For this long after a rotation the old token gets the same successor once more, for the sake of lost replies.
    #[serde(deserialize_with = "forms::duration")]
    pub refresh_grace: Duration,
    /// The signed identity handed to destinations.
    #[serde(deserialize_with = "forms::duration")]
    pub signed_identity: Duration,
}

impl SessionConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        forms::check_range(problems, "session.idle", self.idle, MINUTE..=90 * DAY);
        forms::check_range(problems, "session.absolute", self.absolute, MINUTE..=365 * DAY);
        if self.idle > self.absolute {
            problems.add("session.idle", "is longer than session.absolute", "at most session.absolute");
        }
    }
}

impl TokensConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        // RFC 6749 §4.1.2: ten minutes at most; a minute is enough for one redirect.
        forms::check_range(problems, "tokens.code", self.code, SECOND..=10 * MINUTE);
        forms::check_range(problems, "tokens.access_token", self.access_token, SECOND..=DAY);
        forms::check_range(problems, "tokens.id_token", self.id_token, SECOND..=DAY);
        forms::check_range(problems, "tokens.refresh_idle", self.refresh_idle, SECOND..=400 * DAY);
        forms::check_range(problems, "tokens.refresh_absolute", self.refresh_absolute, SECOND..=800 * DAY);
        forms::check_range(problems, "tokens.refresh_grace", self.refresh_grace, Duration::ZERO..=5 * MINUTE);
        forms::check_range(problems, "tokens.signed_identity", self.signed_identity, SECOND..=5 * MINUTE);
        if self.refresh_idle > self.refresh_absolute {
            problems.add(
                "tokens.refresh_idle",
                "is longer than tokens.refresh_absolute",
                "at most tokens.refresh_absolute",
            );
        }
    }
}

/// The `[keys]` section: signing keys.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysConfig {
    /// How long others may cache our JWKS; a key is published at least this long before it signs.
    #[serde(deserialize_with = "forms::duration")]
    pub jwks_max_age: Duration,
    /// Age of the signing keys at which a rotation is due.
    #[serde(deserialize_with = "forms::duration")]
    pub rotate_after: Duration,
}

impl KeysConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        forms::check_range(problems, "keys.jwks_max_age", self.jwks_max_age, SECOND..=7 * DAY);
        forms::check_range(problems, "keys.rotate_after", self.rotate_after, HOUR..=800 * DAY);
        if self.rotate_after <= self.jwks_max_age {
            let expected = "longer than keys.jwks_max_age, such as \"90d\"";
            problems.add("keys.rotate_after", "is not longer than keys.jwks_max_age", expected);
        }
    }
}
