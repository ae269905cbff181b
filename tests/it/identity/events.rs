//! What is told of a customer: each change once in the audit log and once in the outbox, in order (rules 6 and 45).

use samesake::ids::CustomerId;
use serde_json::json;

use super::{gateway, log_in_as, person};
use crate::harness::upstream::Upstream;
use crate::harness::{Env, invariants};
use crate::on_both;

on_both! {
    /// Rule 6: created, then linked, in one transaction.
    async fn a_first_login_is_told_as_created_and_then_linked(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("ann-1", person("ann@shop.example"));
        let (app, rp) = gateway(env, [upstream.config("google")]).await;
        let tokens = log_in_as(&rp, &upstream, "google", "ann-1").await;
        let customer: CustomerId = tokens.claims["sub"].as_str().unwrap().parse().unwrap();
        let mut tx = app.store.background().begin_read().await.unwrap();
        let events = tx.outbox_after(0, 100).await.unwrap();
        let told: Vec<_> = events.iter().map(|event| (event.event_type.as_str(), event.root_seq)).collect();
        assert_eq!(told, [("customer.created", 1), ("link.added", 2), ("link.added", 3)]);
        assert!(events.iter().all(|event| event.root == customer && event.created_at == events[0].created_at));
        assert!(events.iter().all(|event| event.aggregatetype == "customer"));
        let named = |n: usize| (&events[n].payload["namespace"], &events[n].payload["external_id"]);
        assert_eq!(named(1), (&json!("social:google"), &json!("ann-1")));
        assert_eq!(named(2), (&json!("email"), &json!("ann@shop.example")));
        let row = tx.customer_find(customer).await.unwrap().unwrap();
        assert_eq!((row.version, row.event_seq), (3, 3));
        let audit = tx.audit_of(customer, 10).await.unwrap();
        let mut recorded: Vec<_> = audit.iter().map(|entry| (entry.action.as_str(), entry.actor.as_str())).collect();
        recorded.reverse();
        assert_eq!(
            recorded,
            [("customer.created", "customer"), ("link.added", "customer"), ("link.added", "customer")]
        );
        drop(tx);
        invariants::check(env).await;
    }

    /// A consent is an event, once; the same again is none.
    async fn a_consent_is_told_once(env: &Env) {
        use crate::harness::app::{CLIENT_SECRET, web_client};
        use crate::harness::{Browser, TestApp};
        let client = web_client("guest", json!({"first_party": false}));
        let app = TestApp::builder(env).client(client, Some(CLIENT_SECRET)).start().await;
        let ann = app.customer("ann@shop.example", "Ann").await;
        let guest = app.relying_party("guest").await;
        for asked in [true, false] {
            let browser = Browser::new();
            let authorization = guest.authorization();
            let mut page = app.log_in(&browser, &authorization.url, "ann@shop.example").await;
            assert_eq!(page.url.path() == "/consent", asked, "{}", page.text());
            if asked {
                page = browser.submit(&page, "/consent", &[("decision", "allow")]).await;
            }
            guest.finish(&authorization, &page).await;
        }
        let graph = invariants::check(env).await;
        let expected = ["customer.created", "link.added", "credential.added", "consent.granted"];
        assert_eq!(graph.history(&ann.0.simple().to_string()), expected);
    }

    /// A login that is refused leaves nothing behind, not even in the log.
    async fn what_is_refused_is_not_told(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("unknown", person("ann@shop.example"));
        let (_app, rp) = gateway(env, [upstream.config("google")]).await;
        let browser = crate::harness::Browser::new();
        let page = browser.get(&rp.authorization().url).await;
        let refused = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        assert_eq!(refused.status.as_u16(), 422);
        let graph = invariants::check(env).await;
        assert!(graph.customers.is_empty() && graph.events.is_empty() && graph.links.is_empty());
    }
}
