//! Native apps sign their customers in with the ID token of a provider's SDK.

use std::time::Duration;

use futures::future::join_all;
use samesake::session::{self, FOR_EVER, Of};
use samesake::store::CustomerState;
use serde_json::{Value, json};

use super::{
    ACCESS_TOKEN, EXCHANGE, ID_TOKEN, bring, hashed, nonce, provider_with_ann, refusal, sign_in, text, with_apps,
    with_native_apps,
};
use crate::contention::{clear, obstruct};
use crate::harness::app::{CLIENT_SECRET, web_client};
use crate::harness::upstream::{Algorithm, Key, keys};
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::identity::log_in_as;
use crate::{on_both, on_servers};

const NOT_ACCEPTABLE: (u16, &str, &str) = (400, "invalid_request", "subject_token is not acceptable");

on_both! {
    async fn an_app_signs_its_customer_in_and_the_browser_finds_the_same(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        let nonce = nonce(&party).await;
        let token = google.native_token("ann-1", json!({"nonce": nonce, "azp": "android.example.app"}));
        let answer = bring(&party, "google", &token, &nonce, &[]).await;
        assert!(answer.headers.get("set-cookie").is_none(), "no browser is signed in");
        assert_eq!(answer.body["issued_token_type"], ACCESS_TOKEN);
        let tokens = party.token_response(answer).await;
        assert_eq!((&tokens.claims["nonce"], &tokens.claims["amr"]), (&json!(nonce), &json!(["pin"])));
        let access = party.jwt(&tokens.access_token).await.1;
        assert_eq!(access["sid"], tokens.claims["sid"], "it is bound to a session (protocol 19)");
        let userinfo = party.userinfo(&tokens.access_token).await.body;
        assert_eq!((&userinfo["email"], &userinfo["name"]), (&json!("ann@shop.example"), &json!("Ann Example")));
        let graph = invariants::check(env).await;
        let ann = graph.live("social:google", "ann-1")[0].root.clone();
        assert_eq!(graph.history(&ann), ["customer.created", "link.added", "link.added"], "as the browser does it");
        // In the browser, and in the app once more: the same customer, and nothing new.
        let shop = app.relying_party("shop").await;
        let same = log_in_as(&shop, &google, "google", "ann-1").await;
        assert_eq!(same.claims["sub"], tokens.claims["sub"]);
        let again = party.token_response(sign_in(&party, &google, "google", "ann-1").await).await;
        assert_eq!(again.claims["sub"], tokens.claims["sub"]);
        assert_ne!(again.claims["sid"], tokens.claims["sid"]);
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
    }

    /// An SDK's ID token may say less than the connector asks for: userinfo says the rest, of the same subject only.
    async fn userinfo_is_asked_for_what_the_token_lacks(env: &Env) {
        let google = provider_with_ann(env).await;
        google.add_person("eve-2", json!({"name": "Eve"}));
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        let less = |nonce: &str| {
            google.native_token("ann-1", json!({"nonce": nonce, "email": null, "email_verified": null, "name": null}))
        };
        // Another subject's access token tells nothing, and signs nobody in.
        let ours = nonce(&party).await;
        let of_eve = google.give_access_token("eve-2");
        let answer = bring(&party, "google", &less(&ours), &ours, &[("upstream_access_token", &of_eve)]).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        let ours = nonce(&party).await;
        let of_ann = google.give_access_token("ann-1");
        let answer = bring(&party, "google", &less(&ours), &ours, &[("upstream_access_token", &of_ann)]).await;
        let tokens = party.token_response(answer).await;
        let userinfo = party.userinfo(&tokens.access_token).await.body;
        assert_eq!((&userinfo["email"], &userinfo["name"]), (&json!("ann@shop.example"), &json!("Ann Example")));
        assert_eq!(invariants::check(env).await.live("email", "ann@shop.example").len(), 1);
    }

    /// What stands in a token in clear is no secret: only its hash proves that the app made it.
    async fn an_app_may_bring_its_own_nonce_if_the_token_holds_its_hash(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        for (raw, claim, good) in [
            ("0123456789abcdef-1", hashed("0123456789abcdef-1"), true),
            ("0123456789abcdef-2", "0123456789abcdef-2".to_owned(), false),
            ("0123456789abcdef-3", hashed("0123456789abcdef-1"), false),
            ("too short", hashed("too short"), false),
        ] {
            let token = google.native_token("ann-1", json!({"nonce": claim}));
            let answer = bring(&party, "google", &token, raw, &[]).await;
            assert_eq!(answer.status == 200, good, "{raw}: {}", answer.text);
        }
        // One of ours may be hashed as well, by an SDK that does that.
        let ours = nonce(&party).await;
        let token = google.native_token("ann-1", json!({"nonce": hashed(&ours)}));
        assert_eq!(bring(&party, "google", &token, &ours, &[]).await.status, 200);
    }

    async fn a_nonce_is_one_clients_and_good_for_ten_minutes(env: &Env) {
        let google = provider_with_ann(env).await;
        let other = json!({"grant_types": [EXCHANGE]});
        let builder = with_apps(env).client(web_client("other", other), Some(CLIENT_SECRET));
        let app = builder.connector(with_native_apps(&google, "google")).start().await;
        let (party, other) = (app.relying_party("app").await, app.relying_party("other").await);
        let foreign = nonce(&other).await;
        let token = google.native_token("ann-1", json!({"nonce": foreign}));
        assert_eq!(refusal(&bring(&party, "google", &token, &foreign, &[]).await), NOT_ACCEPTABLE);
        let old = nonce(&party).await;
        env.clock.advance(Duration::from_secs(601));
        let token = google.native_token("ann-1", json!({"nonce": old}));
        assert_eq!(refusal(&bring(&party, "google", &token, &old, &[]).await), NOT_ACCEPTABLE);
        assert!(invariants::check(env).await.customers.is_empty());
    }

    async fn a_token_that_is_not_quite_right_signs_nobody_in(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        let now = env.clock.now().seconds();
        let web = google.config("google").client_id;
        for wrong in [
            json!({"aud": "com.evil.app"}),
            json!({"aud": web}),
            json!({"aud": ["com.example.app", "com.evil.app"]}),
            json!({"aud": null}),
            json!({"azp": "com.evil.app"}),
            json!({"iss": "https://evil.example"}),
            json!({"iss": null}),
            json!({"exp": now - 120}),
            json!({"exp": null}),
            json!({"iat": now - 800}),
            json!({"iat": now + 600}),
            json!({"iat": null}),
            json!({"nbf": now + 600}),
            json!({"nonce": null}),
            json!({"nonce": "another"}),
            json!({"sub": ""}),
            json!({"sub": "x".repeat(256)}),
            json!({"sub": 7}),
        ] {
            let nonce = nonce(&party).await;
            let mut claims = json!({ "nonce": nonce });
            claims.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
            let answer = bring(&party, "google", &google.native_token("ann-1", claims), &nonce, &[]).await;
            assert_eq!(refusal(&answer), NOT_ACCEPTABLE, "{wrong}");
        }
        let nonce = nonce(&party).await;
        let good = google.native_token("ann-1", json!({"nonce": nonce}));
        let (input, signature) = good.rsplit_once('.').unwrap();
        let claims: Value = serde_json::from_slice(
            &samesake::secret::from_base64url(good.split('.').nth(1).unwrap()).unwrap()
        ).unwrap();
        let stranger = Key::generate(Algorithm::Rs256, "upstream-1");
        for forged in [
            format!("{input}."),
            format!("{input}.{}", signature.chars().rev().collect::<String>()),
            stranger.sign(&stranger.header(), &claims),
            keys::signing_input(&json!({"alg": "none"}), &claims) + ".",
            keys::sign_hs256(b"whatever", Some("upstream-1"), &claims),
            "not a token".to_owned(),
            "x".repeat(20_000),
        ] {
            let answer = bring(&party, "google", &forged, &nonce, &[]).await;
            assert_eq!(refusal(&answer), NOT_ACCEPTABLE, "{forged:.60}");
        }
        assert!(invariants::check(env).await.customers.is_empty());
        // None of it has used the nonce up.
        assert_eq!(bring(&party, "google", &good, &nonce, &[]).await.status, 200);
        assert_eq!(refusal(&bring(&party, "google", &good, &nonce, &[]).await), NOT_ACCEPTABLE, "once only");
    }

    /// Whoever may not, or asks for what there is not, is told by the error's name.
    async fn only_own_apps_that_may_exchange_sign_in_this_way(env: &Env) {
        let (google, plain) = (provider_with_ann(env).await, provider_with_ann(env).await);
        let third = json!({"grant_types": [EXCHANGE], "first_party": false});
        let builder = with_apps(env).client(web_client("third", third), Some(CLIENT_SECRET));
        let builder = builder.connector(with_native_apps(&google, "google")).connector(plain.config("plain"));
        let app = builder.start().await;
        let party = app.relying_party("app").await;
        let token = google.native_token("ann-1", json!({"nonce": hashed("0123456789abcdef")}));
        for (client, changes, error) in [
            ("shop", vec![], "unauthorized_client"),
            ("third", vec![], "unauthorized_client"),
            ("app", vec![("connector", "plain")], "invalid_request"),
            ("app", vec![("connector", "nobody")], "invalid_request"),
            ("app", vec![("connector", "")], "invalid_request"),
            ("app", vec![("nonce", "")], "invalid_request"),
            ("app", vec![("subject_token", "")], "invalid_request"),
            ("app", vec![("subject_token_type", "")], "invalid_request"),
            ("app", vec![("subject_token_type", "urn:ietf:params:oauth:token-type:saml2")], "invalid_request"),
            ("app", vec![("requested_token_type", ID_TOKEN)], "invalid_request"),
            ("app", vec![("actor_token", "x"), ("actor_token_type", ACCESS_TOKEN)], "invalid_request"),
            ("app", vec![("audience", "x")], "invalid_request"),
            ("app", vec![("resource", "https://api.example")], "invalid_target"),
            ("app", vec![("scope", "phone")], "invalid_scope"),
        ] {
            let party = app.relying_party(client).await;
            let answer = bring(&party, "google", &token, "0123456789abcdef", &changes).await;
            crate::oidc::assert_token_error(&answer, 400, error);
        }
        assert!(invariants::check(env).await.customers.is_empty());
        assert_eq!(bring(&party, "google", &token, "0123456789abcdef", &[]).await.status, 200);
        let refused = app.relying_party("shop").await.post("native_nonce_endpoint", &[]).await;
        assert_eq!(refused.error(), "unauthorized_client");
    }

    /// Rule 26 of the protocol: nothing works unadvertised, nothing is advertised that does not work.
    async fn the_grant_is_advertised_exactly_where_it_leads_anywhere(env: &Env) {
        let google = provider_with_ann(env).await;
        let with = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let metadata = with.relying_party("app").await.metadata;
        assert!(metadata["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE)));
        assert!(metadata["native_nonce_endpoint"].is_string());
        let without = with_apps(env).connector(google.config("google")).start().await;
        let party = without.relying_party("app").await;
        assert!(!party.metadata["grant_types_supported"].as_array().unwrap().contains(&json!(EXCHANGE)));
        assert!(party.metadata["native_nonce_endpoint"].is_null());
        let token = google.native_token("ann-1", json!({"nonce": hashed("0123456789abcdef")}));
        let answer = bring(&party, "google", &token, "0123456789abcdef", &[]).await;
        assert_eq!(answer.error(), "unsupported_grant_type");
        // The address is known from elsewhere; it gives nothing.
        let mut party = party;
        party.metadata["native_nonce_endpoint"] = json!(without.url("/native-nonce"));
        assert_eq!(party.post("native_nonce_endpoint", &[]).await.error(), "unsupported_grant_type");
    }

    /// Rule 8: an address never decides alone. The app is told to open the browser, where there are pages to ask on.
    async fn an_address_of_a_customer_needs_the_browser(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        app.customer("ann@shop.example", "Ann").await;
        let party = app.relying_party("app").await;
        let answer = sign_in(&party, &google, "google", "ann-1").await;
        let words = "a customer with this address exists: sign in with the browser to connect the account";
        assert_eq!(refusal(&answer), (400, "interaction_required", words));
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("social:google", "ann-1").len()), (1, 0));
    }

    async fn a_blocked_customer_gets_nothing(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        let tokens = party.token_response(sign_in(&party, &google, "google", "ann-1").await).await;
        let ann = tokens.claims["sub"].as_str().unwrap().parse().unwrap();
        let mut tx = app.store.background().begin().await.unwrap();
        tx.customer_state_set(ann, CustomerState::Blocked, env.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let answer = sign_in(&party, &google, "google", "ann-1").await;
        assert_eq!(refusal(&answer), (400, "invalid_grant", "the customer may not sign in"));
    }

    /// The session has no browser, and is one all the same: it ends with the account it came by (identity 19).
    async fn disconnecting_the_account_ends_what_the_app_has(env: &Env) {
        let (google, github) = (provider_with_ann(env).await, provider_with_ann(env).await);
        github.add_person("hub-1", json!({"name": "Ann"}));
        github.choose("hub-1");
        let builder = with_apps(env).connector(with_native_apps(&google, "google")).connector(github.config("github"));
        let app = builder.start().await;
        let party = app.relying_party("app").await;
        let tokens = party.token_response(sign_in(&party, &google, "google", "ann-1").await).await;
        let refresh = tokens.refresh_token.clone().unwrap();
        let answer = party.refresh(&refresh).await;
        let renewed = party.token_response(answer).await;
        assert_eq!(party.userinfo(&renewed.access_token).await.status, 200);
        let browser = Browser::new();
        let page = browser.get(app.url("/account")).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        let page = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        let graph = invariants::check(env).await;
        let link = uuid::Uuid::parse_str(&graph.live("social:google", "ann-1")[0].id).unwrap().to_string();
        browser.submit(&page, "/account/disconnect", &[("link", &link)]).await;
        assert_eq!(party.userinfo(&renewed.access_token).await.status, 401);
        let refused = party.refresh(renewed.refresh_token.as_deref().unwrap()).await;
        assert_eq!(refused.error(), "invalid_grant");
        invariants::check(env).await;
    }

    async fn what_was_not_asked_for_is_not_given(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        let exchange = async |scope| {
            let nonce = nonce(&party).await;
            let token = google.native_token("ann-1", json!({"nonce": nonce}));
            bring(&party, "google", &token, &nonce, &[("scope", scope)]).await.body
        };
        let narrow = exchange("email").await;
        assert_eq!((&narrow["scope"], &narrow["id_token"]), (&json!("email"), &Value::Null));
        assert_eq!(exchange("").await["scope"], "openid profile email", "what outlives the session is asked for");
        let offline = exchange("openid offline_access nonsense").await;
        assert_eq!(offline["scope"], "openid offline_access");
        let access = party.jwt(&text(&offline["access_token"])).await.1;
        assert!(access["sid"].is_null(), "it outlives its session");
    }
}

on_servers! {
    async fn a_nonce_is_good_still_after_a_try_that_did_not_come_through(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        let nonce = nonce(&party).await;
        let token = google.native_token("ann-1", json!({"nonce": nonce}));
        obstruct(env, "grants", 1_000_000).await;
        let unavailable = bring(&party, "google", &token, &nonce, &[]).await;
        assert_eq!((unavailable.status.as_u16(), unavailable.error()), (503, "temporarily_unavailable"));
        clear(env).await;
        let ann = invariants::check(env).await.live("social:google", "ann-1")[0].root.parse().unwrap();
        let (kv, of) = (env.kv().await, Of::Customer(ann));
        assert_eq!(session::sids_of(&kv, &of, FOR_EVER).await.unwrap(), [], "nobody has anything of it");
        party.token_response(bring(&party, "google", &token, &nonce, &[]).await).await;
        assert_eq!(session::sids_of(&kv, &of, FOR_EVER).await.unwrap().len(), 1);
        assert_eq!(refusal(&bring(&party, "google", &token, &nonce, &[]).await), NOT_ACCEPTABLE);
    }

    async fn of_one_token_brought_twenty_times_at_two_replicas_one_counts(env: &Env) {
        let google = provider_with_ann(env).await;
        let first = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let second = first.replica(env).await;
        let parties = [first.relying_party("app").await, first.relying_party("app").await.via(&second.address)];
        let nonce = nonce(&parties[0]).await;
        let token = google.native_token("ann-1", json!({"nonce": nonce}));
        let answers = join_all((0..20).map(|n| bring(&parties[n % 2], "google", &token, &nonce, &[]))).await;
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(good, 1);
        assert!(answers.iter().filter(|answer| answer.status != 200).all(|answer| refusal(answer) == NOT_ACCEPTABLE));
    }

    async fn a_known_customers_sign_in_costs_three_statements_and_two_round_trips(env: &Env) {
        let google = provider_with_ann(env).await;
        let app = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        sign_in(&party, &google, "google", "ann-1").await;
        let nonce = nonce(&party).await;
        let token = google.native_token("ann-1", json!({"nonce": nonce}));
        let cost = || [app.store.statements(), app.kv.round_trips(), app.app.provider.keys.signatures()];
        let before = cost();
        assert_eq!(bring(&party, "google", &token, &nonce, &[]).await.status, 200);
        let after = cost();
        assert_eq!([after[0] - before[0], after[1] - before[1], after[2] - before[2]], [3, 2, 2]);
    }

    /// Rule 7 by the app's way.
    async fn twenty_first_sign_ins_by_apps_at_once_make_one_customer(env: &Env) {
        let google = provider_with_ann(env).await;
        let app: TestApp = with_apps(env).connector(with_native_apps(&google, "google")).start().await;
        let party = app.relying_party("app").await;
        let answers = join_all((0..20).map(|_| sign_in(&party, &google, "google", "ann-1"))).await;
        assert!(answers.iter().all(|answer| answer.status == 200));
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("social:google", "ann-1").len()), (1, 1));
    }
}
