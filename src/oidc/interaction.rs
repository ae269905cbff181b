//! What must still happen before an authorization request can be answered: one pure decision.
//!
//! Inputs are facts; the answer names the next step. Pages and redirects are others' business.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::protocol::ErrorCode;
use crate::protocol::authorization::AuthorizationRequest;
use crate::protocol::scope::Scope;

/// How long a person may take for what follows the login, such as reading the consent page.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What is known when the decision is made.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub request: &'a AuthorizationRequest,
    /// When the request came in; an authentication after it satisfies `prompt=login`.
    pub began_at: Timestamp,
    pub now: Timestamp,
    pub session: Option<SessionFacts<'a>>,
    /// Whom an `id_token_hint` names: nobody asked for, or somebody in particular.
    pub hinted: Hinted,
    pub consent: Consent<'a>,
    pub progress: Progress,
}

/// The live SSO session of this browser.
#[derive(Clone, Copy, Debug)]
pub struct SessionFacts<'a> {
    pub customer: CustomerId,
    pub auth_time: Timestamp,
    /// The level it reached, if any.
    pub acr: Option<&'a str>,
}

/// The customer an `id_token_hint` names, as the session that sees them has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hinted {
    Nobody,
    Customer(CustomerId),
    /// The hint is not one of our ID tokens, or names nobody we know.
    Unusable,
}

/// What the customer agreed to for this client.
#[derive(Clone, Copy, Debug)]
pub enum Consent<'a> {
    /// The company's own app: nothing to ask.
    NotNeeded,
    /// Granted before; `None` if never.
    Given(Option<&'a Scope>),
}

/// What the person already did in this flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Progress {
    pub account_selected: bool,
    pub consented: bool,
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Log in; `Some` if it must be this customer again.
    Authenticate(Option<CustomerId>),
    SignUp,
    SelectAccount,
    AskConsent,
    Issue,
    /// For `prompt=none`, for a hint that cannot be honored, and for a level that the login has not reached.
    Refuse(ErrorCode),
}

/// Decides the next step. The order is the order of OpenID Connect Core §3.1.2.3.
pub fn next_step(facts: &Facts<'_>) -> Step {
    let prompt = facts.request.prompt;
    let Some(session) = facts.session else {
        return match () {
            () if prompt.none => Step::Refuse(ErrorCode::LoginRequired),
            () if prompt.create => Step::SignUp,
            () => Step::Authenticate(None),
        };
    };
    let authenticated_here = session.auth_time >= facts.began_at;
    if let Some(step) = hint_step(facts, session, authenticated_here) {
        return step;
    }
    if prompt.login && !authenticated_here {
        return Step::Authenticate(None);
    }
    if prompt.create && !authenticated_here {
        return Step::SignUp;
    }
    if is_too_old(facts, session, authenticated_here.then_some(PATIENCE)) {
        return if prompt.none {
            Step::Refuse(ErrorCode::LoginRequired)
        } else {
            Step::Authenticate(Some(session.customer))
        };
    }
    if lacks_essential_level(facts, session) {
        return match () {
            () if prompt.none => Step::Refuse(ErrorCode::LoginRequired),
            // OpenID Connect Core §5.5.1.1: a failed authentication attempt.
            () if authenticated_here => Step::Refuse(ErrorCode::UnmetAuthenticationRequirements),
            () => Step::Authenticate(Some(session.customer)),
        };
    }
    if wants_another_level(facts, session) && !authenticated_here && !prompt.none {
        return Step::Authenticate(Some(session.customer));
    }
    if prompt.select_account && !authenticated_here && !facts.progress.account_selected {
        return Step::SelectAccount;
    }
    consent_step(facts)
}

/// OpenID Connect Core §3.1.2.1: a hint of another customer is not silently accepted.
fn hint_step(facts: &Facts<'_>, session: SessionFacts<'_>, authenticated_here: bool) -> Option<Step> {
    let prompt_none = facts.request.prompt.none;
    match facts.hinted {
        Hinted::Nobody => None,
        Hinted::Customer(customer) if customer == session.customer => None,
        Hinted::Customer(_) | Hinted::Unusable if prompt_none => Some(Step::Refuse(ErrorCode::LoginRequired)),
        // Somebody else logged in on purpose although the app named a customer: tell the app.
        Hinted::Customer(_) if authenticated_here => Some(Step::Refuse(ErrorCode::LoginRequired)),
        Hinted::Customer(customer) => Some(Step::Authenticate(Some(customer))),
        Hinted::Unusable if authenticated_here => None,
        Hinted::Unusable => Some(Step::Authenticate(None)),
    }
}

/// Whether the app would like a level that this session has not reached. It is asked for once: whatever the login in this
/// flow reached is what the app is told (OpenID Connect Core §3.1.2.1: `acr_values` is a voluntary claim).
fn wants_another_level(facts: &Facts<'_>, session: SessionFacts<'_>) -> bool {
    let wanted = &facts.request.acr_values;
    !wanted.is_empty() && !wanted.iter().any(|level| session.acr == Some(level.as_str()))
}

/// Whether the app must have a level that this session has not reached.
fn lacks_essential_level(facts: &Facts<'_>, session: SessionFacts<'_>) -> bool {
    let essential = &facts.request.essential_levels;
    !essential.is_empty() && !essential.iter().any(|level| session.acr == Some(level.as_str()))
}

/// `patience`: an authentication in this very flow is as good as fresh for so long, whatever was asked. Otherwise a
/// `max_age` of no time could not be met; and a flow left lying open does not make an old login a fresh one.
fn is_too_old(facts: &Facts<'_>, session: SessionFacts<'_>, patience: Option<Duration>) -> bool {
    let age = facts.now.since(session.auth_time);
    facts.request.max_age.is_some_and(|max_age| age > Duration::from_secs(max_age).max(patience.unwrap_or_default()))
}

fn consent_step(facts: &Facts<'_>) -> Step {
    let missing = match facts.consent {
        Consent::NotNeeded => false,
        Consent::Given(given) => !given.is_some_and(|given| facts.request.scope.is_within(given)),
    };
    let asked_for = facts.request.prompt.consent && !facts.progress.consented;
    match () {
        () if missing && facts.request.prompt.none => Step::Refuse(ErrorCode::ConsentRequired),
        () if missing || asked_for => Step::AskConsent,
        () => Step::Issue,
    }
}

#[cfg(test)]
mod tests;
