//! Who is vouched for (rules 7, 12 and 19): as they are now, and no longer than their session lives.

use std::time::Duration;

use samesake::events::{self, Actor, Event};
use samesake::ids::CustomerId;
use samesake::session::{self, SidRecord};
use samesake::store::{CustomerState, Store};
use serde_json::json;

use super::{ANN, BOB, arrive, asked, at_the_app, claims, level, sid, start, start_url, with_shop};
use crate::contention::{clear, obstruct};
use crate::harness::{Browser, Env, until};
use crate::{on_both, on_servers};

/// Something happens to the customer, on whichever replica.
async fn happen(store: &Store, customer: CustomerId, state: CustomerState, now: samesake::clock::Timestamp) {
    let mut tx = store.background().begin().await.unwrap();
    let event = Event::CredentialAdded { kind: "password" };
    events::record(&mut tx, customer, Actor::System, event, now).await.unwrap();
    tx.customer_state_set(customer, state, now).await.unwrap();
    tx.commit().await.unwrap();
}

on_both! {
    async fn logging_out_ends_it_everywhere(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
        let page = browser.get(app.url("/logout")).await;
        let page = browser.submit(&page, "/logout/confirm", &[]).await;
        assert_eq!(page.header("clear-site-data"), Some("\"cache\""));
        assert_eq!(level(&asked(&app, &browser, "shop").await), "anonymous");
    }

    /// By whoever, from wherever: the next look-up knows it.
    async fn a_terminated_session_is_not_vouched_for(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let (browser, other) = (Browser::new(), Browser::new());
        arrive(&app, &browser, "shop", ANN).await;
        arrive(&app, &other, "shop", ANN).await;
        session::end(&env.kv().await, &sid(&browser)).await.unwrap();
        assert_eq!(level(&asked(&app, &browser, "shop").await), "anonymous");
        assert_eq!(level(&asked(&app, &other, "shop").await), "authenticated", "the other browser is not touched");
    }

    async fn a_session_that_idled_out_is_not_vouched_for(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        app.clock.advance(app.app.config.session.idle - Duration::from_secs(60));
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
        app.clock.advance(app.app.config.session.idle + Duration::from_secs(60));
        assert_eq!(level(&asked(&app, &browser, "shop").await), "anonymous");
    }

    /// Using an app behind forward-auth is using the session.
    async fn a_session_in_use_at_an_app_does_not_idle_out(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let (idle, kv) = (app.app.config.session.idle, env.kv().await);
        for url in [at_the_app(&app, "/forward-auth/shop"), app.url("/forward-auth/shop")] {
            let browser = Browser::new();
            arrive(&app, &browser, "shop", ANN).await;
            let key = session::sid_key(sid(&browser).as_str());
            for _ in 0..3 {
                app.clock.advance(idle / 2);
                assert_eq!(level(&browser.get_one(&url).await), "authenticated");
                let kept_until = app.clock.now() + idle - Duration::from_secs(60);
                until("the session to be kept", async || {
                    let entry = kv.get_json::<SidRecord>(&key).await.unwrap();
                    entry.is_some_and(|entry| entry.expires_at > kept_until)
                })
                .await;
            }
            let page = browser.get(app.url("/")).await;
            assert!(page.contains(ANN), "at the gateway too: {}", page.text());
        }
    }

    /// Not even by a browser that goes on asking.
    async fn no_use_outlasts_the_absolute_end(env: &Env) {
        let builder = with_shop(env, json!({})).configure(|config| config.session.absolute = config.session.idle * 2);
        let app = start(builder).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let kv = env.kv().await;
        let key = session::sid_key(sid(&browser).as_str());
        let first = kv.get_json::<SidRecord>(&key).await.unwrap().unwrap().expires_at;
        app.clock.advance(app.app.config.session.idle * 3 / 4);
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
        until("the session to be kept", async || {
            kv.get_json::<SidRecord>(&key).await.unwrap().is_some_and(|entry| entry.expires_at > first)
        })
        .await;
        app.clock.advance(app.app.config.session.idle * 3 / 4);
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
        app.clock.advance(app.app.config.session.idle / 2);
        assert_eq!(level(&asked(&app, &browser, "shop").await), "anonymous");
    }

    /// A browser has at most one owner.
    async fn whoever_logs_in_next_is_not_taken_for_the_one_before(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let ann = claims(&app, &asked(&app, &browser, "shop").await).await.1;
        let page = browser.get(app.url("/logout")).await;
        browser.submit(&page, "/logout/confirm", &[]).await;
        arrive(&app, &browser, "shop", BOB).await;
        let bob = claims(&app, &asked(&app, &browser, "shop").await).await.1;
        assert_eq!(bob["level"], "authenticated");
        assert_ne!(bob["sub"], ann["sub"]);
    }

    async fn a_change_of_the_customer_shows_in_the_statements(env: &Env) {
        let app = with_shop(env, json!({})).start().await;
        let customer = app.customer(ANN, "Ann Example").await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let before = claims(&app, &asked(&app, &browser, "shop").await).await.1;
        happen(&app.store, customer, CustomerState::Active, app.clock.now()).await;
        let version = before["version"].as_i64().unwrap() + 1;
        until("the new version", async || {
            claims(&app, &asked(&app, &browser, "shop").await).await.1["version"] == version
        })
        .await;
        let after = claims(&app, &asked(&app, &browser, "shop").await).await.1;
        assert_eq!((&after["sub"], &after["sid"]), (&before["sub"], &before["sid"]));
    }

    async fn a_blocked_customer_is_not_vouched_for(env: &Env) {
        let app = with_shop(env, json!({})).start().await;
        let customer = app.customer(ANN, "Ann Example").await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        happen(&app.store, customer, CustomerState::Blocked, app.clock.now()).await;
        until("anonymous", async || level(&asked(&app, &browser, "shop").await) == "anonymous").await;
        // Nor does the session that is still there bring another ticket.
        let page = browser.get(start_url(&app, "shop", at_the_app(&app, "/").as_str())).await;
        assert_eq!(page.url.path(), "/login");
    }
}

on_servers! {
    /// A destination meets a customer for the first time while somebody else changes who the customer is.
    async fn a_first_meeting_in_whose_way_somebody_stood_is_vouched_for(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        obstruct(env, "subjects", 3).await;
        arrive(&app, &browser, "shop", ANN).await;
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
        clear(env).await;
    }

    async fn every_replica_knows_of_the_end_at_once(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let replica = app.replica(env).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let at_app = at_the_app(&app, "/");
        let elsewhere = browser.clone().via(&at_app, &replica.address);
        assert_eq!(level(&asked(&app, &elsewhere, "shop").await), "authenticated");
        let page = browser.get(app.url("/logout")).await;
        browser.submit(&page, "/logout/confirm", &[]).await;
        assert_eq!(level(&asked(&app, &elsewhere, "shop").await), "anonymous");
    }

    async fn every_replica_hears_of_a_change(env: &Env) {
        let app = with_shop(env, json!({})).start().await;
        let replica = app.replica(env).await;
        let customer = app.customer(ANN, "Ann Example").await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let at_app = at_the_app(&app, "/");
        let elsewhere = browser.clone().via(&at_app, &replica.address);
        let before = claims(&app, &asked(&app, &elsewhere, "shop").await).await.1;
        happen(&app.store, customer, CustomerState::Active, app.clock.now()).await;
        let version = before["version"].as_i64().unwrap() + 1;
        until("the new version at the other replica", async || {
            claims(&app, &asked(&app, &elsewhere, "shop").await).await.1["version"] == version
        })
        .await;
    }
}
