//! The decision as a table: which facts lead to which step.

use super::*;
use crate::protocol::authorization::{Prompt, ResponseMode, ReturnTo};

fn request(prompt: &str, max_age: Option<u64>) -> AuthorizationRequest {
    AuthorizationRequest {
        client_id: "shop".into(),
        redirect_uri_sent: None,
        return_to: ReturnTo {
            redirect_uri: "https://shop.example/cb".parse().unwrap(),
            response_mode: ResponseMode::Query,
            state: None,
        },
        scope: Scope::parse("openid email"),
        nonce: None,
        code_challenge: None,
        prompt: Prompt::parse(prompt).unwrap(),
        max_age,
        login_hint: None,
        id_token_hint: None,
        resources: vec![],
        acr_values: vec![],
        essential_levels: vec![],
        pushed_as: None,
    }
}

const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

fn customer(n: u128) -> CustomerId {
    CustomerId(uuid::Uuid::from_u128(n))
}

/// Ann's (customer 1), so many seconds old.
fn session_of(age: u64, acr: Option<&str>) -> SessionFacts<'_> {
    SessionFacts { customer: customer(1), auth_time: NOW - Duration::from_secs(age), acr }
}

/// `age`: how many seconds ago ann (customer 1) authenticated; the request began 10 seconds ago.
fn step(prompt: &str, max_age: Option<u64>, age: Option<u64>, hinted: Hinted, consent: Consent<'_>) -> Step {
    let request = request(prompt, max_age);
    let session = age.map(|age| session_of(age, None));
    next_step(&Facts { hinted, consent, ..facts_of(&request, session) })
}

/// Of a request that began 10 seconds ago, without a hint and with nothing to consent to.
fn facts_of<'a>(request: &'a AuthorizationRequest, session: Option<SessionFacts<'a>>) -> Facts<'a> {
    Facts {
        request,
        began_at: NOW - Duration::from_secs(10),
        now: NOW,
        session,
        hinted: Hinted::Nobody,
        consent: Consent::NotNeeded,
        progress: Progress::default(),
    }
}

#[test]
fn the_next_step_follows_from_prompt_age_hint_and_consent() {
    use Consent::{Given, NotNeeded};
    use Hinted::{Customer, Nobody, Unusable};
    let all = Scope::parse("openid email profile");
    let few = Scope::parse("openid");
    let login_required = Step::Refuse(ErrorCode::LoginRequired);
    let ann = customer(1);
    let bob = customer(2);
    let table = [
        ("", None, None, Nobody, NotNeeded, Step::Authenticate(None)),
        ("none", None, None, Nobody, NotNeeded, login_required),
        ("create", None, None, Nobody, NotNeeded, Step::SignUp),
        ("", None, Some(500), Nobody, NotNeeded, Step::Issue),
        ("none", None, Some(500), Nobody, NotNeeded, Step::Issue),
        ("login", None, Some(500), Nobody, NotNeeded, Step::Authenticate(None)),
        ("login", None, Some(5), Nobody, NotNeeded, Step::Issue),
        ("", Some(600), Some(500), Nobody, NotNeeded, Step::Issue),
        ("", Some(400), Some(500), Nobody, NotNeeded, Step::Authenticate(Some(ann))),
        ("none", Some(400), Some(500), Nobody, NotNeeded, login_required),
        ("", Some(0), Some(5), Nobody, NotNeeded, Step::Issue),
        ("select_account", None, Some(500), Nobody, NotNeeded, Step::SelectAccount),
        ("select_account", None, Some(5), Nobody, NotNeeded, Step::Issue),
        ("", None, Some(500), Customer(ann), NotNeeded, Step::Issue),
        ("", None, Some(500), Customer(bob), NotNeeded, Step::Authenticate(Some(bob))),
        ("none", None, Some(500), Customer(bob), NotNeeded, login_required),
        ("", None, Some(5), Customer(bob), NotNeeded, login_required),
        ("none", None, Some(500), Unusable, NotNeeded, login_required),
        ("", None, Some(500), Unusable, NotNeeded, Step::Authenticate(None)),
        ("", None, Some(500), Nobody, Given(None), Step::AskConsent),
        ("", None, Some(500), Nobody, Given(Some(&few)), Step::AskConsent),
        ("", None, Some(500), Nobody, Given(Some(&all)), Step::Issue),
        ("none", None, Some(500), Nobody, Given(Some(&few)), Step::Refuse(ErrorCode::ConsentRequired)),
        ("consent", None, Some(500), Nobody, Given(Some(&all)), Step::AskConsent),
        ("consent", None, Some(500), Nobody, NotNeeded, Step::AskConsent),
    ];
    for (prompt, max_age, age, hinted, consent, expected) in table {
        let got = step(prompt, max_age, age, hinted, consent);
        assert_eq!(got, expected, "prompt {prompt:?} max_age {max_age:?} age {age:?} {hinted:?} {consent:?}");
    }
}

/// Protocol rule 7: a wish for a level is worth one login, and never an error.
#[test]
fn a_level_that_was_not_reached_asks_for_one_login() {
    for (prompt, wanted, age, acr, expected) in [
        ("", "gold silver", 500, None, Step::Authenticate(Some(customer(1)))),
        ("", "gold silver", 500, Some("bronze"), Step::Authenticate(Some(customer(1)))),
        ("", "gold silver", 500, Some("silver"), Step::Issue),
        ("", "gold silver", 5, None, Step::Issue),
        ("none", "gold", 500, None, Step::Issue),
        ("", "", 500, None, Step::Issue),
    ] {
        let acr_values = wanted.split_whitespace().map(str::to_owned).collect();
        let request = AuthorizationRequest { acr_values, ..request(prompt, None) };
        let session = Some(session_of(age, acr));
        assert_eq!(next_step(&facts_of(&request, session)), expected, "{prompt} {wanted} {age} {acr:?}");
    }
}

/// Protocol rule 7: a level that is a must asks for one login, and that login reaches it or has failed.
#[test]
fn an_essential_level_is_reached_or_refused() {
    for (prompt, age, acr, expected) in [
        ("", 500, None, Step::Authenticate(Some(customer(1)))),
        ("", 500, Some("silver"), Step::Authenticate(Some(customer(1)))),
        ("", 500, Some("gold"), Step::Issue),
        ("", 5, Some("gold"), Step::Issue),
        ("", 5, Some("silver"), Step::Refuse(ErrorCode::UnmetAuthenticationRequirements)),
        ("none", 500, Some("silver"), Step::Refuse(ErrorCode::LoginRequired)),
        ("none", 500, Some("gold"), Step::Issue),
    ] {
        let essential_levels = vec!["gold".to_owned()];
        let request = AuthorizationRequest { essential_levels, ..request(prompt, None) };
        let session = Some(session_of(age, acr));
        assert_eq!(next_step(&facts_of(&request, session)), expected, "{prompt} {age} {acr:?}");
    }
}
