//! What an admin does to single links of a customer by the API (identity rules 1, 5, 18 to 20, 42).

use std::time::Duration;

use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::relying_party::Answer;
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::store::samples::link;
use crate::{on_both, on_servers};

/// Ann, who signs in with an account at a provider that vouches for her address.
async fn ann_of_google(env: &Env) -> (Upstream, Office, Browser, String) {
    let upstream = Upstream::start().await;
    upstream.add_person("ann-1", json!({"email": "ann@shop.example", "email_verified": true, "name": "Ann"}));
    let builder = TestApp::builder(env).web_client("shop").connector(upstream.config("google"));
    let office = Office::of(builder.start().await).await;
    let browser = Browser::new();
    let page = browser.get(office.app.url("/account")).await;
    let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
    assert_eq!(page.url.path(), "/account", "{}", page.text());
    let token = office.robot(AdminRole::Viewer).await;
    let resolved = office.get(&token, "/links?namespace=social:google&external_id=ann-1").await;
    let customer = resolved.body["customer"].as_str().unwrap().to_owned();
    (upstream, office, browser, customer)
}

/// A customer's link of a namespace, with the customer's version.
async fn find(office: &Office, customer: &str, namespace: &str) -> (Value, String) {
    let token = office.robot(AdminRole::Viewer).await;
    let links = office.get(&token, &format!("/customers/{customer}/links")).await;
    let link = links.body["items"].as_array().unwrap().iter().find(|link| link["namespace"] == namespace).cloned();
    let link = link.unwrap_or_else(|| panic!("{namespace}: {}", links.text));
    let seen = office.get(&token, &format!("/customers/{customer}/links/{}", link["id"].as_str().unwrap())).await;
    assert_good(&seen);
    assert_eq!(seen.body, link);
    (link, seen.headers["etag"].to_str().unwrap().to_owned())
}

async fn add(
    office: &Office,
    token: &str,
    customer: CustomerId,
    key: &str,
    namespace: &str,
    external_id: &str,
) -> Answer {
    let body = json!({ "namespace": namespace, "external_id": external_id, "reason": "from the loyalty desk" });
    office.post(token, &format!("/customers/{customer}/links"), key, &body).await
}

on_both! {
    /// Rules 18 and 19: even the last way in, for a reason; what came through it ends, and the customer is told.
    async fn an_admin_disconnects_the_last_way_in_by_the_api(env: &Env) {
        let (_upstream, office, browser, customer) = ann_of_google(env).await;
        let (link, version) = find(&office, &customer, "social:google").await;
        let path = format!("/customers/{customer}/links/{}/remove", link["id"].as_str().unwrap());
        let token = office.robot(AdminRole::Support).await;
        let body = json!({ "reason": "hijacked, case 4711" });
        assert_problem(&office.post_as(&token, &path, "k", "\"0\"", &body).await, 412, "version-mismatch");
        assert_eq!(browser.get(office.app.url("/account")).await.url.path(), "/account");
        let removed = office.post_as(&token, &path, "k", &version, &body).await;
        assert_good(&removed);
        assert_eq!((&removed.body["live"], &removed.body["repeated"]), (&json!(false), &json!(false)));
        assert_eq!(browser.get(office.app.url("/account")).await.url.path(), "/login", "its session has ended");
        assert!(office.app.mail_to("ann@shop.example").await.subject.contains("was disconnected from your account"));
        assert_eq!(office.post_as(&token, &path, "k", &version, &body).await.body, removed.body, "a repetition");
        let again = office.post(&token, &path, "k2", &body).await;
        assert_eq!(again.body["repeated"], true);
        let graph = invariants::check(env).await;
        assert!(graph.live("social:google", "ann-1").is_empty());
        assert!(graph.live("email", "ann@shop.example").is_empty(), "it was the only proof of the address");
        let forced: Vec<_> = graph.events.iter().filter(|event| event.kind == "link.forced_off").collect();
        assert_eq!((forced.len(), &forced[0].payload["reason"]), (1, &body["reason"]));
    }

    /// What a provider spoke against says so, and logs in again when an admin says so.
    async fn an_admin_enables_a_disabled_link_by_the_api(env: &Env) {
        let (upstream, office, _, customer) = ann_of_google(env).await;
        let event = upstream.security_event("account-disabled", "ann-1", json!({"reason": "hijacking"}), json!({}));
        let sent = crate::harness::browser::http_client().post(office.app.url("/connectors/google/events"));
        let sent = sent.header("content-type", "application/secevent+jwt").body(event).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 404, "this provider has no events here");
        let mut tx = office.app.store.background().begin().await.unwrap();
        let happened = samesake::protocol::security_event::AccountEvent {
            subject: Some("ann-1".to_owned()),
            happened: samesake::protocol::security_event::Happened::Disabled(
                samesake::protocol::security_event::Cause::Hijacking,
            ),
        };
        let now = office.app.clock.now();
        samesake::identity::receive::account_event(&mut tx, "google", &happened, now, now).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let (link, version) = find(&office, &customer, "social:google").await;
        assert_eq!(link["disabled"]["reason"], "hijacking");
        let token = office.robot(AdminRole::Support).await;
        let seen = office.get(&token, &format!("/customers/{customer}")).await;
        assert_eq!((&seen.body["flags"][0]["kind"], &seen.body["flags"][0]["link"]), (&json!("hijacking"), &link["id"]));
        let path = format!("/customers/{customer}/links/{}/enable", link["id"].as_str().unwrap());
        let body = json!({ "reason": "Google confirmed" });
        let enabled = office.post_as(&token, &path, "k", &version, &body).await;
        assert_good(&enabled);
        assert_eq!(enabled.body["repeated"], false);
        assert_eq!(office.post(&token, &path, "k2", &body).await.body["repeated"], true);
        let (link, _) = find(&office, &customer, "social:google").await;
        assert_eq!(link.get("disabled"), None);
        let nobody = format!("/customers/{customer}/links/019a0000-0000-7000-8000-000000000000");
        assert_problem(&office.post(&token, &format!("{nobody}/enable"), "k3", &body).await, 404, "not-found");
        assert_problem(&office.post(&token, &format!("{nobody}/remove"), "k4", &body).await, 404, "not-found");
        assert_problem(&office.get(&token, &nobody).await, 404, "not-found");
        invariants::check(env).await;
    }

    /// Rules 1 and 20: the company says whose an ID of its own is; it then resolves, as asserted, and logs nobody in.
    async fn an_id_of_an_app_or_a_system_is_asserted_and_taken_back(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let token = office.robot(AdminRole::Merger).await;
        let added = add(&office, &token, ann, "k", "ext:crm", "4711").await;
        assert_good(&added);
        assert_eq!((&added.body["live"], &added.body["repeated"]), (&json!(true), &json!(false)));
        assert_eq!(add(&office, &token, ann, "k", "ext:crm", "4711").await.body, added.body, "a repetition");
        assert_eq!(add(&office, &token, ann, "k2", "ext:crm", "4711").await.body["repeated"], true);
        let resolved = office.get(&token, "/links?namespace=ext:crm&external_id=4711").await;
        assert_eq!((&resolved.body["customer"], &resolved.body["link"]["level"]), (&json!(ann), &json!("asserted")));
        assert_eq!(resolved.body["link"]["source"], "admin");
        let taken = add(&office, &token, ben, "k3", "ext:crm", "4711").await;
        assert_problem(&taken, 409, "refused");
        assert_eq!(taken.body["customer"], json!(ann), "an admin may know whose it is");
        for (key, namespace, external_id) in [
            ("b1", "email", "x@example.com"), ("b2", "social:google", "1"), ("b3", "phone", "+4930123456"), ("b4", "nonsense", "1"),
            ("b5", "app:", "1"), ("b6", "app:a b", "1"), ("b7", "app:shop", "0000"), ("b8", "app:shop", "unknown"),
            ("b9", "app:shop", ""), ("b10", "app:shop", "a\nb"),
        ] {
            assert_problem(&add(&office, &token, ben, key, namespace, external_id).await, 422, "invalid-content");
        }
        let long = "x".repeat(256);
        assert_problem(&add(&office, &token, ben, "b12", "app:shop", &long).await, 422, "invalid-content");
        for number in 0..3 {
            assert_good(&add(&office, &token, ben, &format!("f{number}"), "app:shop", &format!("u{number}")).await);
        }
        assert_problem(&add(&office, &token, ben, "f3", "app:shop", "u3").await, 409, "refused");
        let nobody = "019a0000-0000-7000-8000-000000000000".parse().unwrap();
        assert_problem(&add(&office, &token, nobody, "n", "app:shop", "u9").await, 404, "not-found");

        let link = added.body["link"].as_str().unwrap();
        let path = format!("/customers/{ann}/links/{link}/remove");
        assert_good(&office.post(&token, &path, "r", &json!({ "reason": "typed wrongly" })).await);
        assert_problem(&office.get(&token, "/links?namespace=ext:crm&external_id=4711").await, 404, "not-found");
        assert_good(&add(&office, &token, ben, "k4", "ext:crm", "4711").await);
        let of_ann = office.get(&token, &format!("/customers/{ann}/links")).await;
        let ended: Vec<_> = of_ann.body["items"].as_array().unwrap().iter().filter(|link| link["live"] == false).collect();
        assert_eq!((ended.len(), &ended[0]["namespace"]), (1, &json!("ext:crm")), "what ended is still shown");
        let graph = invariants::check(env).await;
        let reasons: Vec<_> = graph.events.iter().filter(|event| event.kind == "link.vouched").collect();
        assert_eq!((reasons.len(), &reasons[0].payload["reason"]), (5, &json!("from the loyalty desk")));
    }

    /// An address is the customer's own to remove, and only whoever has the role changes anything.
    async fn what_is_not_the_companys_to_change_is_refused(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        let (email, _) = find(&office, &ann.to_string(), "email").await;
        let path = format!("/customers/{ann}/links/{}/remove", email["id"].as_str().unwrap());
        let (support, viewer) = (office.robot(AdminRole::Support).await, office.robot(AdminRole::Viewer).await);
        let body = json!({ "reason": "x" });
        assert_problem(&office.post(&support, &path, "k", &body).await, 409, "refused");
        assert_problem(&office.post(&viewer, &path, "k", &body).await, 403, "role-too-low");
        assert_problem(&add(&office, &support, ann, "k2", "ext:crm", "1").await, 403, "role-too-low");
        let ben = office.app.customer(BEN, "Ben").await;
        let of_another = format!("/customers/{ben}/links/{}/remove", email["id"].as_str().unwrap());
        assert_problem(&office.post(&support, &of_another, "k3", &body).await, 404, "not-found");
        office.admin("cleo@example.com", AdminRole::Support).await;
        let cleo = office.sign_in(&Browser::new(), "cleo@example.com").await.access_token;
        office.app.clock.advance(Duration::from_secs(31 * 60));
        let late = office.post(&cleo, &path, "k4", &body).await;
        assert!([401, 403].contains(&late.status.as_u16()), "{}", late.text);
    }

    /// Rule 1: a number may be somebody else's after half a year.
    async fn an_old_proof_of_a_number_is_shown_as_stale(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        let now = office.app.clock.now();
        let day = Duration::from_secs(24 * 60 * 60);
        let mut tx = office.app.store.background().begin().await.unwrap();
        for (number, days) in [("+4930111111", 179), ("+4930222222", 181)] {
            let mut link = link("phone", number, ann);
            link.verified_at = Some(now - day * days);
            assert!(tx.link_insert(&link).await.unwrap());
        }
        tx.commit().await.unwrap();
        let token = office.robot(AdminRole::Viewer).await;
        let links = office.get(&token, &format!("/customers/{ann}/links")).await;
        let level = |number: &str| {
            let found = links.body["items"].as_array().unwrap().iter().find(|link| link["external_id"] == number);
            found.unwrap()["level"].clone()
        };
        assert_eq!((level("+4930111111"), level("+4930222222")), (json!("proved"), json!("stale")));
    }

    /// The list goes on where it was.
    async fn a_customers_links_come_in_pages(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        let token = office.robot(AdminRole::Merger).await;
        for number in 0..3 {
            assert_good(&add(&office, &token, ann, &format!("k{number}"), "app:shop", &format!("u{number}")).await);
        }
        let (mut seen, mut path) = (Vec::new(), format!("/customers/{ann}/links?limit=2"));
        loop {
            let page = office.get(&token, &path).await;
            assert_good(&page);
            seen.extend(page.body["items"].as_array().unwrap().iter().map(|link| link["external_id"].clone()));
            let Some(next) = page.body["next"].as_str() else { break };
            path = format!("/customers/{ann}/links?limit=2&cursor={next}");
        }
        assert_eq!(seen, [json!(ANN), json!("u0"), json!("u1"), json!("u2")]);
    }
}

on_servers! {
    /// Rule 42: of two customers for one ID the database lets one have it.
    async fn an_id_that_two_admins_assert_at_once_is_one_customers(env: &Env) {
        let office = Office::start(env).await;
        let replica = office.app.replica(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let token = office.robot(AdminRole::Merger).await;
        let requests = (0..10).map(|number| {
            let (at, customer) = if number % 2 == 0 { (&office.app, ann) } else { (&replica, ben) };
            let url = at.url(&format!("/api/v1/customers/{customer}/links"));
            let sent = crate::harness::browser::http_client().post(url).bearer_auth(&token);
            let sent = sent.header("idempotency-key", format!("k{number}"));
            let body = json!({ "namespace": "ext:crm", "external_id": "4711", "reason": "x" });
            crate::harness::relying_party::answer(sent.json(&body))
        });
        let answers = futures::future::join_all(requests).await;
        let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).map(|answer| &answer.body["customer"]).collect();
        assert!(!good.is_empty(), "somebody has it");
        assert!(good.iter().all(|customer| *customer == good[0]));
        assert!(answers.iter().all(|answer| [200, 409].contains(&answer.status.as_u16())));
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("ext:crm", "4711").len(), 1);
        assert_eq!(graph.events.iter().filter(|event| event.kind == "link.vouched").count(), 1);
    }
}
