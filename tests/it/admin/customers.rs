//! Customers: found by anything, seen whole; what was retired leads to whoever lives on (identity rules 20 and 24).

use samesake::protocol::admin_role::AdminRole;
use samesake::store::CustomerState;
use serde_json::json;

use super::{ANN, BEN, Office, assert_good, assert_problem, ids};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::identity::{log_in_as, person};
use crate::on_both;
use crate::store::samples::{link, merge};

/// Ann with an account at a provider, a phone number and an app's user ID.
async fn with_ann(env: &Env) -> (Office, String, String) {
    let upstream = Upstream::start().await;
    upstream.add_person("9007199254740993", person(ANN));
    let builder = TestApp::builder(env).client(
        crate::harness::app::web_client("shop", json!({ "subject_type": "pairwise" })),
        Some(crate::harness::app::CLIENT_SECRET),
    );
    let app = builder.connector(upstream.config("google")).start().await;
    let shop = app.relying_party("shop").await;
    let sub =
        log_in_as(&shop, &upstream, "google", "9007199254740993").await.claims["sub"].as_str().unwrap().to_owned();
    let office = Office::of(app).await;
    let token = office.robot(AdminRole::Viewer).await;
    let ann = ids(&office.search(&token, ANN).await)[0].to_owned();
    let customer = ann.parse().unwrap();
    let mut tx = office.app.store.background().begin().await.unwrap();
    for (namespace, external_id) in [("phone", "+4917012345678"), ("app:shop", "user-17")] {
        let mut link = link(namespace, external_id, customer);
        link.verified_at = (namespace == "phone").then_some(link.first_seen);
        assert!(tx.link_insert(&link).await.unwrap());
    }
    tx.commit().await.unwrap();
    (office, ann, sub)
}

on_both! {
    async fn a_customer_is_found_by_anything(env: &Env) {
        let (office, ann, sub) = with_ann(env).await;
        let token = office.robot(AdminRole::Viewer).await;
        for (text, found_by) in [
            (ann.as_str(), json!({ "kind": "customer_id" })),
            (&ann.to_uppercase(), json!({ "kind": "customer_id" })),
            (&sub, json!({ "kind": "subject", "sector": "shop.example" })),
            (ANN, json!({ "kind": "link", "namespace": "email" })),
            (" ANN@Example.com ", json!({ "kind": "link", "namespace": "email" })),
            ("email:ann@example.com", json!({ "kind": "link", "namespace": "email" })),
            ("social:google:9007199254740993", json!({ "kind": "link", "namespace": "social:google" })),
            ("9007199254740993", json!({ "kind": "link", "namespace": "social:google" })),
            ("user-17", json!({ "kind": "link", "namespace": "app:shop" })),
            ("app:shop:user-17", json!({ "kind": "link", "namespace": "app:shop" })),
            ("+49 (170) 1234-5678", json!({ "kind": "link", "namespace": "phone" })),
            ("phone:+49 170 12345678", json!({ "kind": "link", "namespace": "phone" })),
            ("someb", json!({ "kind": "name" })),
            ("SOMEBODY", json!({ "kind": "name" })),
        ] {
            let found = office.search(&token, text).await;
            assert_eq!(ids(&found), [ann.as_str()], "{text}");
            assert_eq!(found.body["items"][0]["found_by"], found_by, "{text}");
            assert!(found.body["next"].is_null(), "{text}");
        }
        for text in ["9007199254740992", "ser-17", "+4917012345679", "omebody", "%", "_", "\u{10ffff}", "'", "google", "email:"] {
            assert_eq!(ids(&office.search(&token, text).await), Vec::<&str>::new(), "{text}");
        }
    }

    async fn a_customer_is_seen_whole(env: &Env) {
        let (office, ann, sub) = with_ann(env).await;
        let token = office.robot(AdminRole::Viewer).await;
        let seen = office.get(&token, &format!("/customers/{ann}")).await;
        assert_good(&seen);
        assert_eq!(seen.headers["etag"], format!("\"{}\"", seen.body["version"]));
        assert_eq!((&seen.body["id"], &seen.body["state"]), (&json!(ann), &json!("active")));
        assert!(seen.body.get("merged_from").is_none());
        let links = seen.body["links"].as_array().unwrap();
        let social = links.iter().find(|link| link["namespace"] == "social:google").unwrap();
        assert_eq!((&social["level"], &social["external_id"]), (&json!("proved"), &json!("9007199254740993")));
        let app = links.iter().find(|link| link["namespace"] == "app:shop").unwrap();
        assert_eq!((&app["level"], &app["live"]), (&json!("asserted"), &json!(true)));
        let name = &seen.body["profile"]["name"];
        assert_eq!(name["value"], "Somebody");
        assert_eq!(name["source"], json!({ "kind": "link", "link": social["id"], "namespace": "social:google" }));
        assert_eq!(seen.body["subjects"][0]["sub"], sub.as_str());
        assert_eq!(seen.body["live_sessions"], 1);
        assert_eq!(seen.body["members"].as_array().unwrap().len(), 1);
        assert!(!seen.text.contains("$argon2"), "no secret is shown");
    }

    async fn credentials_are_named_without_their_secrets(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann Example").await;
        let seen = office.get(&office.robot(AdminRole::Viewer).await, &format!("/customers/{ann}")).await;
        assert_good(&seen);
        assert_eq!(seen.body["credentials"][0]["kind"], "password");
        assert!(!seen.text.contains("argon2") && !seen.text.contains("secret"), "{}", seen.text);
        invariants::check(env).await;
    }

    /// Identity rule 24: a retired ID or subject answers with the living customer, never with nothing.
    async fn what_was_retired_leads_to_whoever_lives_on(env: &Env) {
        let office = Office::start(env).await;
        let shop = office.app.relying_party("shop").await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        for email in [ANN, BEN] {
            let authorization = shop.authorization();
            let callback = office.app.log_in(&Browser::new(), &authorization.url, email).await;
            shop.finish(&authorization, &callback).await;
        }
        merge(env, ann, ben).await;
        let token = office.robot(AdminRole::Viewer).await;
        let (ann, ben) = (ann.to_string(), ben.to_string());
        let seen = office.get(&token, &format!("/customers/{ben}")).await;
        assert_good(&seen);
        assert_eq!((&seen.body["id"], &seen.body["merged_from"]), (&json!(ann), &json!(ben)));
        let members: Vec<_> = seen.body["members"].as_array().unwrap().iter().map(|member| &member["id"]).collect();
        assert_eq!(members, [&json!(ann), &json!(ben)]);
        // The subject of a public sector is the customer ID: by that text Ben is found as both.
        for text in [ben.as_str(), BEN, "Ben"] {
            let found = office.search(&token, text).await;
            assert_eq!(ids(&found), [ann.as_str()], "{text}");
            assert_eq!(found.body["items"][0]["merged_from"], ben.as_str(), "{text}");
        }
        let timeline = office.get(&token, &format!("/customers/{ben}/timeline")).await;
        let actions: Vec<_> = timeline.body["items"].as_array().unwrap().iter().map(|item| &item["action"]).collect();
        assert_eq!(actions.iter().filter(|action| **action == "customer.created").count(), 2, "{actions:?}");
    }

    async fn nobody_is_not_found_and_the_erased_are_gone(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        let token = office.robot(AdminRole::Viewer).await;
        for path in ["019a0000-0000-7000-8000-000000000000", "x", "%00", "..%2f..", &"9".repeat(3000)] {
            assert_problem(&office.get(&token, &format!("/customers/{path}")).await, 404, "not-found");
            assert_problem(&office.get(&token, &format!("/customers/{path}/timeline")).await, 404, "not-found");
        }
        let mut tx = office.app.store.background().begin().await.unwrap();
        tx.customer_state_set(ann, CustomerState::Erased, office.app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_problem(&office.get(&token, &format!("/customers/{ann}")).await, 410, "gone");
    }

    /// Identity rule 21, and RFC 9110 §13.1.1: only as the customer was seen, and for good.
    async fn a_customer_is_erased_as_seen_and_answers_gone(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        let token = office.robot(AdminRole::Owner).await;
        let path = format!("/customers/{ann}");
        let seen = office.get(&token, &path).await;
        let version = seen.headers["etag"].to_str().unwrap().to_owned();
        let erase = |key: &str, version: Option<&str>| {
            let mut request = office.request(reqwest::Method::POST, &format!("{path}/erase")).bearer_auth(&token);
            request = request.header("idempotency-key", key).json(&json!({ "reason": "on request" }));
            if let Some(version) = version {
                request = request.header("if-match", version);
            }
            crate::harness::relying_party::answer(request)
        };
        assert_problem(&erase("k", None).await, 428, "version-required");
        let other = erase("k", Some("\"0\"")).await;
        assert_problem(&other, 412, "version-mismatch");
        assert_eq!(format!("\"{}\"", other.body["version"]), version);
        assert_problem(&erase("k", Some(&format!("W/{version}"))).await, 412, "version-mismatch");
        let erased = erase("k", Some(&version)).await;
        assert_good(&erased);
        assert_eq!(erased.body["members"], json!([ann]));
        assert_eq!(erase("k", Some(&version)).await.body, erased.body, "a repetition is answered as the first");
        assert_eq!(erase("k2", Some("*")).await.body["members"], json!([]));
        assert_problem(&office.get(&token, &path).await, 410, "gone");
        assert_eq!(ids(&office.search(&token, ANN).await), Vec::<&str>::new());
        assert_eq!(ids(&office.search(&token, "Ann").await), Vec::<&str>::new());
        invariants::check(env).await;
    }

    async fn a_timeline_has_what_happened_in_pages(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        let token = office.robot(AdminRole::Viewer).await;
        let path = format!("/customers/{ann}/timeline");
        let all = office.get(&token, &path).await;
        assert_good(&all);
        let actions = |answer: &crate::harness::relying_party::Answer| -> Vec<String> {
            answer.body["items"].as_array().unwrap().iter().map(|item| item["action"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(actions(&all).last().map(String::as_str), Some("customer.created"), "newest first");
        assert!(actions(&all).iter().all(|action| !action.starts_with("admin.")));
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = office.get(&token, &format!("{path}?limit=1{cursor}")).await;
            paged.extend(actions(&page));
            let Some(next) = page.body["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(paged, actions(&all));
    }
}
