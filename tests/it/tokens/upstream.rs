//! Providers' tokens that are kept: given to back ends that may have them, renewed once, gone with their link.

use std::time::Duration;

use futures::future::join_all;
use samesake::store::{LoginNeeded, UpstreamTokenRow};
use serde_json::{Value, json};

use super::{ACCESS_TOKEN, EXCHANGE, provider_with_ann, refusal, text};
use crate::harness::app::{Builder, CLIENT_SECRET, web_client};
use crate::harness::relying_party::{Answer, Tokens};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants, until};
use crate::identity::log_in_as;
use crate::{on_both, on_servers};

/// A gateway that keeps Ann's tokens, and the client `desk` that may have them.
pub fn keeping<'e>(env: &'e Env, google: &Upstream) -> Builder<'e> {
    google.give_refresh_tokens();
    let mut config = google.config("google");
    config.store_tokens = true;
    let desk = json!({
        "grant_types": ["authorization_code", "refresh_token", EXCHANGE], "upstream_tokens": ["google"],
    });
    TestApp::builder(env).web_client("shop").client(web_client("desk", desk), Some(CLIENT_SECRET)).connector(config)
}

/// Asks for the provider's token, and answers whatever comes.
pub async fn ask(party: &RelyingParty, access_token: &str, connector: &str) -> Answer {
    party
        .token(&[
            ("grant_type", EXCHANGE),
            ("subject_token", access_token),
            ("subject_token_type", ACCESS_TOKEN),
            ("requested_token_type", ACCESS_TOKEN),
            ("connector", connector),
        ])
        .await
}

/// Ann's access token here, got through the provider.
pub async fn log_in(party: &RelyingParty, google: &Upstream) -> Tokens {
    log_in_as(party, google, "google", "ann-1").await
}

/// The row of Ann's tokens.
pub async fn row(app: &TestApp) -> Option<UpstreamTokenRow> {
    let mut tx = app.store.background().begin_read().await.unwrap();
    let ann = tx.link_resolve("social:google", "ann-1").await.unwrap()?;
    tx.upstream_tokens_of(ann, "social:google").await.unwrap().into_iter().next()
}

on_both! {
    async fn a_back_end_gets_its_customers_token_of_the_provider(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        let tokens = log_in(&desk, &google).await;
        let answer = ask(&desk, &tokens.access_token, "google").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["cache-control"], "no-store");
        let names: Vec<&String> = answer.body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["access_token", "expires_in", "issued_token_type", "scope", "token_type"]);
        assert_eq!(answer.body["issued_token_type"], ACCESS_TOKEN);
        assert_eq!(answer.body["scope"], "openid email profile");
        assert!((200..=300).contains(&answer.body["expires_in"].as_u64().unwrap()));
        let token = text(&answer.body["access_token"]);
        assert_eq!(google.access_token_of(&token).as_deref(), Some("ann-1"));
        assert_eq!(text(&ask(&desk, &tokens.access_token, "google").await.body["access_token"]), token);
        assert_eq!(google.refreshes(), 0);
        // At rest it is sealed, and nothing of it stands in the row.
        let row = row(&app).await.unwrap();
        let stored = format!("{row:?}");
        assert!(!stored.contains(&token) && !stored.contains(&google.last_refresh_token()));
        let opened = samesake::secret::from_base64url(&row.access).unwrap();
        assert!(!opened.windows(token.len()).any(|part| part == token.as_bytes()));
        invariants::check(env).await;
    }

    async fn nothing_is_kept_unless_the_connector_is_told_to(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).configure(|config| config.connectors[0].store_tokens = false).start().await;
        let desk = app.relying_party("desk").await;
        log_in(&desk, &google).await;
        assert_eq!(row(&app).await, None);
        assert!(!desk.metadata["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE)));
    }

    /// The provider rotates: each answer's refresh token is the next one's.
    async fn a_token_that_has_expired_is_renewed_with_the_newest_refresh_token(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        let mut tokens = log_in(&desk, &google).await;
        let mut given = vec![text(&ask(&desk, &tokens.access_token, "google").await.body["access_token"])];
        for renewals in 1..=3 {
            env.clock.advance(Duration::from_secs(250));
            tokens = desk.token_response(desk.refresh(tokens.refresh_token.as_deref().unwrap()).await).await;
            let answer = ask(&desk, &tokens.access_token, "google").await;
            assert_eq!(answer.body["scope"], "openid mail.read", "{}", answer.text);
            assert_eq!(google.refreshes(), renewals);
            given.push(text(&answer.body["access_token"]));
        }
        given.sort();
        given.dedup();
        assert_eq!(given.len(), 4);
        let row = row(&app).await.unwrap();
        assert_eq!((row.lease_until, row.asked_at, row.login_needed), (None, None, None));
    }

    async fn a_provider_that_refuses_means_a_new_login(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        let tokens = log_in(&desk, &google).await;
        google.withdraw();
        env.clock.advance(Duration::from_secs(400));
        for _ in 0..2 {
            let answer = ask(&desk, &tokens.access_token, "google").await;
            let words = "the customer has to sign in with this connector again";
            assert_eq!(refusal(&answer), (400, "interaction_required", words));
        }
        assert_eq!(google.refreshes(), 1, "a refusal is not asked for twice");
        let refused = row(&app).await.unwrap();
        assert_eq!((refused.login_needed, refused.refresh), (Some(LoginNeeded::Refused), None));
        let again = log_in(&desk, &google).await;
        assert_eq!(ask(&desk, &again.access_token, "google").await.status, 200);
        assert_eq!(row(&app).await.unwrap().login_needed, None);
    }

    /// Whether the provider took the token is open then: it is tried again, and what became of it is said.
    async fn a_lost_reply_is_noted_and_never_taken_for_a_refusal_alone(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        let tokens = log_in(&desk, &google).await;
        env.clock.advance(Duration::from_secs(400));
        google.lose_next_reply();
        let answer = ask(&desk, &tokens.access_token, "google").await;
        assert_eq!((answer.status.as_u16(), answer.error()), (503, "temporarily_unavailable"));
        let unanswered = row(&app).await.unwrap();
        assert_eq!((unanswered.asked_at, unanswered.lease_until), (Some(unanswered.asked_at.unwrap()), None));
        assert!(unanswered.refresh.is_some(), "what we have is kept");
        assert_eq!(ask(&desk, &tokens.access_token, "google").await.error(), "interaction_required");
        assert_eq!(row(&app).await.unwrap().login_needed, Some(LoginNeeded::ReplyLost));
    }

    /// Identity 19: what came with an account goes with it.
    async fn tokens_go_with_their_link(env: &Env) {
        let google = provider_with_ann(env).await;
        let github = provider_with_ann(env).await;
        github.add_person("hub-1", json!({"name": "Ann"}));
        github.choose("hub-1");
        let app = keeping(env, &google).connector(github.config("github")).start().await;
        let desk = app.relying_party("desk").await;
        let browser = Browser::new();
        let page = browser.get(app.url("/account")).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        let page = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        let kept = row(&app).await.unwrap();
        browser.submit(&page, "/account/disconnect", &[("link", &kept.link.0.to_string())]).await;
        let other = log_in_as(&desk, &github, "github", "hub-1").await;
        let answer = ask(&desk, &other.access_token, "google").await;
        let words = "the customer has no token of this connector";
        assert_eq!(refusal(&answer), (400, "invalid_target", words));
        invariants::check(env).await;
    }

    /// While somebody is asked to prove that an account is theirs, its tokens wait, sealed, in the login flow.
    async fn tokens_of_an_account_that_is_linked_later_are_kept(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        app.customer("ann@shop.example", "Ann").await;
        let desk = app.relying_party("desk").await;
        let (browser, authorization) = (Browser::new(), desk.authorization());
        let page = browser.get(&authorization.url).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        let page = browser.submit(&page, "/link/send", &[]).await;
        until("the code", async || !app.app.mailer.sent().is_empty()).await;
        let code = app.mailed_code("ann@shop.example").await;
        let callback = browser.submit(&page, "/link/code", &[("code", &code)]).await;
        let tokens = desk.finish(&authorization, &callback).await;
        let answer = ask(&desk, &tokens.access_token, "google").await;
        assert_eq!(google.access_token_of(&text(&answer.body["access_token"])).as_deref(), Some("ann-1"));
        invariants::check(env).await;
    }

    /// Some providers give a refresh token at the first consent only.
    async fn a_login_without_a_refresh_token_keeps_the_one_there_is(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        log_in(&desk, &google).await;
        let before = row(&app).await.unwrap();
        google.stop_giving_refresh_tokens();
        let tokens = log_in(&desk, &google).await;
        let after = row(&app).await.unwrap();
        assert_eq!(after.refresh, before.refresh);
        assert_ne!(after.access, before.access);
        env.clock.advance(Duration::from_secs(400));
        assert_eq!(ask(&desk, &tokens.access_token, "google").await.status, 200);
    }
}

on_servers! {
    async fn a_token_that_is_kept_costs_two_statements_and_one_round_trip(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        let tokens = log_in(&desk, &google).await;
        ask(&desk, &tokens.access_token, "google").await;
        let cost = || [app.store.statements(), app.kv.round_trips(), app.app.provider.keys.signatures()];
        let before = cost();
        assert_eq!(ask(&desk, &tokens.access_token, "google").await.status, 200);
        let after = cost();
        assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [2, 1, 0]);
    }

    async fn twenty_who_ask_at_two_replicas_renew_once(env: &Env) {
        let google = provider_with_ann(env).await;
        let first = keeping(env, &google).start().await;
        let second = first.replica(env).await;
        let desks = [first.relying_party("desk").await, first.relying_party("desk").await.via(&second.address)];
        let tokens = log_in(&desks[0], &google).await;
        env.clock.advance(Duration::from_secs(400));
        let answers = join_all((0..20).map(|n| ask(&desks[n % 2], &tokens.access_token, "google"))).await;
        let mut given: Vec<Value> = answers.iter().map(|answer| answer.body["access_token"].clone()).collect();
        assert!(answers.iter().all(|answer| answer.status == 200), "{}", answers[0].text);
        given.dedup();
        assert_eq!((given.len(), google.refreshes()), (1, 1));
        invariants::check(env).await;
    }
}
