//! Links: where each came from, what it last brought, and whose it is (rules 1, 3, 5).

use serde_json::json;

use super::{gateway, log_in_as, person};
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Env, invariants};
use crate::on_both;

on_both! {
    /// Rule 5.
    async fn a_link_knows_its_source_its_proof_and_its_times(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        upstream.add_person("ann-1", json!({"email": "Ann@shop.example", "email_verified": true, "name": "Ann"}));
        let (app, rp) = gateway(env, [upstream.config("google")]).await;
        let began = app.clock.now();
        log_in_as(&rp, &upstream, "google", "ann-1").await;
        let mut tx = app.store.background().begin_read().await.unwrap();
        let social = tx.links_find("social:google", "ann-1").await.unwrap().remove(0);
        let email = tx.links_find("email", "ann@shop.example").await.unwrap().remove(0);
        drop(tx);
        assert_eq!((social.source.as_str(), social.proof.as_deref()), ("connector:google", Some("oidc")));
        assert_eq!((email.source.as_str(), email.proof.as_deref()), ("connector:google", Some("connector:google")));
        assert_eq!(email.display.as_deref(), Some("Ann@shop.example"));
        for link in [&social, &email] {
            assert!(link.first_seen >= began && link.first_seen == link.last_seen);
            assert_eq!(link.verified_at, Some(link.first_seen));
        }
        assert_eq!((&social.profile["name"], &social.profile["email"]), (&json!("Ann"), &json!("Ann@shop.example")));
        // Each value of the customer's profile names the link it came from.
        let customer = app.store.background().begin_read().await.unwrap().customer_find(social.customer).await.unwrap();
        let profile = customer.unwrap().profile;
        for name in ["name", "email", "email_verified"] {
            assert_eq!(profile[name]["from"], social.id.to_string(), "{name}");
        }

        app.clock.advance(std::time::Duration::from_secs(7 * 24 * 3600));
        upstream.add_person("ann-1", json!({"name": "Anna"}));
        log_in_as(&rp, &upstream, "google", "ann-1").await;
        let again = app.store.background().begin_read().await.unwrap().links_find("social:google", "ann-1").await.unwrap();
        assert_eq!(again[0].first_seen, social.first_seen);
        assert!(again[0].last_seen > social.last_seen);
        assert_eq!(again[0].profile["name"], "Anna");
    }

    /// Rule 3: what the provider is called, and under which address, does not matter; the configured ID does.
    async fn the_key_of_a_link_is_the_configured_id_and_not_the_issuer(env: &Env) {
        let (old, new) = (Upstream::start_at(env.clock.clone(), Algorithm::Es256).await, Upstream::start_at(env.clock.clone(), Algorithm::Es256).await);
        old.add_person("ann-1", person("ann@shop.example"));
        new.add_person("ann-1", person("ann@new.example"));
        let (app, rp) = gateway(env, [old.config("google")]).await;
        let before = log_in_as(&rp, &old, "google", "ann-1").await;
        drop(app);
        // The provider has moved to another issuer and calls itself something else.
        let mut moved = new.config("google");
        moved.name = "Alphabet".to_owned();
        let (_app, rp) = gateway(env, [moved]).await;
        let after = log_in_as(&rp, &new, "google", "ann-1").await;
        assert_eq!(after.claims["sub"], before.claims["sub"]);
        assert_eq!(invariants::check(env).await.customers.len(), 1);
    }

    /// Rule 1: what one customer may have stays within the limits, however often they come back and whatever the
    /// provider says then.
    async fn returning_adds_no_links(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        upstream.add_person("ann-1", person("ann@shop.example"));
        let (app, rp) = gateway(env, [upstream.config("google")]).await;
        for number in 0..8 {
            upstream.add_person("ann-1", person(&format!("ann{number}@shop.example")));
            log_in_as(&rp, &upstream, "google", "ann-1").await;
            app.clock.advance(std::time::Duration::from_secs(3600));
        }
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.links.len(), graph.events.len()), (1, 2, 3));
    }
}
