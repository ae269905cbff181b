//! Who does not get a provider's token.

use samesake::identity::merge::{self, Terms};
use serde_json::json;

use super::upstream::{ask, keeping, log_in};
use super::{EXCHANGE, provider_with_ann, refusal};
use crate::harness::app::{CLIENT_SECRET, web_client};
use crate::harness::relying_party::Tokens;
use crate::harness::{Browser, Env, invariants};
use crate::identity::log_in_as;
use crate::identity::merge::{by_operator, done, join_keys};
use crate::on_both;

const NO: (u16, &str, &str) = (400, "invalid_target", "this client may not have tokens of this connector");
const BAD: (u16, &str, &str) = (400, "invalid_request", "subject_token is invalid, expired or revoked");

on_both! {
    async fn only_a_client_that_may_have_them_gets_tokens_of_its_own_customers(env: &Env) {
        let google = provider_with_ann(env).await;
        let second = google.config("second");
        let grants = json!(["authorization_code", EXCHANGE]);
        let other = json!({"grant_types": grants, "upstream_tokens": ["google"]});
        let without = json!({"grant_types": grants});
        let public = json!({
            "grant_types": grants, "upstream_tokens": ["google"], "token_endpoint_auth_method": "none",
        });
        let app = keeping(env, &google)
            .connector(second)
            .client(web_client("other", other), Some(CLIENT_SECRET))
            .client(web_client("without", without), Some(CLIENT_SECRET))
            .client(web_client("public", public), None)
            .start()
            .await;
        let desk = app.relying_party("desk").await;
        let tokens = log_in(&desk, &google).await;
        for client in ["without", "public"] {
            let party = app.relying_party(client).await;
            let own = log_in(&party, &google).await;
            assert_eq!(refusal(&ask(&party, &own.access_token, "google").await), NO, "{client}");
        }
        for connector in ["second", "nobody"] {
            assert_eq!(refusal(&ask(&desk, &tokens.access_token, connector).await), NO, "{connector}");
        }
        let shop = app.relying_party("shop").await;
        assert_eq!(ask(&shop, &tokens.access_token, "google").await.error(), "unauthorized_client");
        // Another client's token, an ID token, a provider's token, and none at all.
        let stranger = app.relying_party("other").await;
        let upstream = ask(&desk, &tokens.access_token, "google").await.body["access_token"].as_str().unwrap().to_owned();
        for (party, token) in [
            (&stranger, tokens.access_token.as_str()),
            (&desk, &tokens.id_token),
            (&desk, &upstream),
            (&desk, "nonsense"),
        ] {
            assert_eq!(refusal(&ask(party, token, "google").await), BAD);
        }
        assert_eq!(ask(&desk, &tokens.access_token, "google").await.status, 200);
    }

    /// Identity rule 25: an admin's merge joins no keys, and what a provider gave is one. Who proves both has both.
    async fn a_merge_by_an_admin_gives_no_side_the_tokens_of_the_other(env: &Env) {
        let google = provider_with_ann(env).await;
        google.add_person("bob-1", json!({"name": "Bob"}));
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        let (ann, bob) = (log_in(&desk, &google).await, log_in_as(&desk, &google, "google", "bob-1").await);
        let store = app.store.background();
        let mut tx = store.begin_read().await.unwrap();
        let mut ids = Vec::new();
        for subject in ["ann-1", "bob-1"] {
            ids.push(tx.link_resolve("social:google", subject).await.unwrap().unwrap());
        }
        drop(tx);
        let whose = async |tokens: &Tokens| {
            let answer = ask(&desk, &tokens.access_token, "google").await;
            answer.body["access_token"].as_str().and_then(|token| google.access_token_of(token))
        };
        let (anns, bobs) = (Some("ann-1".to_owned()), Some("bob-1".to_owned()));
        let (config, now) = (&app.app.config.merge, app.clock.now());
        let outcome = merge::execute(&store, config, &by_operator(ids[0], ids[1]), Terms::default(), now).await;
        done(outcome.unwrap());
        assert_eq!((whose(&ann).await, whose(&bob).await), (anns, bobs.clone()), "the last login was Bob's");
        // Where Ann has none, there is none.
        let mut tx = store.begin().await.unwrap();
        let link = tx.link_login("social:google", "ann-1").await.unwrap().unwrap().link;
        tx.upstream_tokens_delete(link).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((whose(&ann).await, whose(&bob).await), (None, bobs.clone()));
        join_keys(&store, ids[1], ids[0], now).await;
        assert_eq!((whose(&ann).await, whose(&bob).await), (bobs.clone(), bobs));
        invariants::check(env).await;
    }

    async fn after_the_end_of_the_session_there_is_nothing(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = keeping(env, &google).start().await;
        let desk = app.relying_party("desk").await;
        let (browser, authorization) = (Browser::new(), desk.authorization_with(&[("scope", "openid")]));
        let page = browser.get(&authorization.url).await;
        let callback = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        let tokens = desk.finish(&authorization, &callback).await;
        assert_eq!(ask(&desk, &tokens.access_token, "google").await.status, 200);
        browser.get(desk.end_session(&[("id_token_hint", &tokens.id_token)])).await;
        assert_eq!(refusal(&ask(&desk, &tokens.access_token, "google").await), BAD);
    }
}
