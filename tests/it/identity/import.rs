//! Which claims of a provider become the customer's own: at the first login, at later ones, and where the customer has
//! said something else (rules 5 and 13).

use std::time::Duration;

use samesake::config::ConnectorConfig;
use samesake::identity::unlinking::{self, Authority, Unlinked, Ways};
use samesake::ids::LinkId;
use serde_json::{Value, json};

use super::{gateway, log_in_and_prove, log_in_as};
use crate::harness::invariants::{CustomerRow, Graph};
use crate::harness::relying_party::{Authorization, Tokens};
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, RelyingParty, TestApp, invariants};
use crate::{on_both, on_servers};

const ANN: &str = "ann@shop.example";

/// A provider at which Ann is called so, on the clock of the test.
async fn provider(env: &Env, name: &str) -> Upstream {
    let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    says(&upstream, json!({"name": name}));
    upstream
}

/// What it says of Ann from now on, beside her address.
fn says(upstream: &Upstream, more: Value) {
    let mut claims = json!({"email": ANN, "email_verified": true});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    upstream.add_person("ann-1", claims);
}

/// The provider as a connector with this `[connectors.import]`.
fn connector(upstream: &Upstream, id: &str, import: Value) -> ConnectorConfig {
    ConnectorConfig { import: serde_json::from_value(import).unwrap(), ..upstream.config(id) }
}

async fn userinfo(rp: &RelyingParty, tokens: &Tokens) -> Value {
    rp.userinfo(&tokens.access_token).await.body
}

/// The one customer there is.
fn only(graph: &Graph) -> (&str, &CustomerRow) {
    assert_eq!(graph.customers.len(), 1);
    let (id, row) = graph.customers.first_key_value().unwrap();
    (id, row)
}

/// The fields that each `profile.updated` names, in order.
fn updates(graph: &Graph) -> Vec<&Value> {
    graph.events.iter().filter(|event| event.kind == "profile.updated").map(|event| &event.payload["fields"]).collect()
}

/// Goes through the provider, from a new login to wherever that leads.
async fn arrive(rp: &RelyingParty, browser: &Browser, connector: &str) -> (Authorization, Page) {
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    (authorization, browser.submit(&page, "/login/social", &[("connector", connector)]).await)
}

/// The profile that is kept beside the link.
async fn kept_with_link(app: &TestApp) -> Value {
    let mut tx = app.store.background().begin_read().await.unwrap();
    tx.links_find("social:google", "ann-1").await.unwrap()[0].profile.clone()
}

on_both! {
    /// Disconnected and connected again, an account renews what it brought before: it is no other source.
    async fn an_account_that_comes_back_is_the_same_source(env: &Env) {
        let google = provider(env, "Ann").await;
        let import = json!({"name": {"action": "force", "on_conflict": "fail"}});
        let (app, rp) = gateway(env, [connector(&google, "google", import)]).await;
        let browser = Browser::new();
        let (authorization, page) = arrive(&rp, &browser, "google").await;
        rp.finish(&authorization, &page).await;
        let graph = invariants::check(env).await;
        let customer: samesake::ids::CustomerId = only(&graph).0.parse().unwrap();
        let link = uuid::Uuid::parse_str(&graph.live("social:google", "ann-1")[0].id).unwrap();
        let mut tx = app.store.background().begin().await.unwrap();
        let admin = Authority::Admin { name: "test", reason: "a test" };
        let ways = Ways::offered(&app.app.config);
        let gone = unlinking::remove(&mut tx, customer, LinkId(link), &ways, admin, app.clock.now()).await.unwrap();
        assert!(matches!(gone, Unlinked::Removed(_)));
        tx.commit().await.unwrap();
        says(&google, json!({"name": "Ann Lee"}));
        let mut claim_of = None;
        for _ in 0..2 {
            let page = browser.get(app.url("/account")).await;
            let page = browser.submit(&page, "/account/connect", &[("connector", "google")]).await;
            assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
            let graph = invariants::check(env).await;
            let name = &only(&graph).1.profile["name"];
            let link = graph.live("social:google", "ann-1")[0];
            let from = name["from"].as_str().unwrap().replace('-', "");
            assert_eq!((&name["value"], from), (&json!("Ann Lee"), link.id.clone()));
            claim_of = Some(updates(&graph).len());
        }
        assert_eq!(claim_of, Some(1), "renewed once");
    }

    /// By default: what the customer has wins, and the provider's later news are its own business.
    async fn a_suggestion_fills_a_gap_once_and_the_customers_own_value_wins(env: &Env) {
        let google = provider(env, "Ann at Google").await;
        let (app, rp) = gateway(env, [google.config("google")]).await;
        app.customer(ANN, "Ann herself").await;
        says(&google, json!({"name": "Ann at Google", "locale": "en", "picture": "https://p.example/1.png"}));
        let tokens = log_in_and_prove(&app, &rp, &google, "google", "ann-1", ANN).await;
        let said = userinfo(&rp, &tokens).await;
        assert_eq!((&said["name"], &said["locale"]), (&json!("Ann herself"), &json!("en")));
        let graph = invariants::check(env).await;
        assert_eq!(updates(&graph), [&json!(["picture", "locale"])]);
        let (id, row) = only(&graph);
        assert_eq!(graph.history(id).last(), Some(&"profile.updated"));
        assert_eq!((&row.profile["name"]["from"], row.profile["picture"]["from"].is_string()), (&json!(null), true));

        says(&google, json!({"name": "Another", "locale": "fr", "picture": "https://p.example/2.png"}));
        let tokens = log_in_as(&rp, &google, "google", "ann-1").await;
        let said = userinfo(&rp, &tokens).await;
        assert_eq!((&said["name"], &said["locale"]), (&json!("Ann herself"), &json!("en")));
        assert_eq!(updates(&invariants::check(env).await).len(), 1, "a return changes nothing and is no event");
    }

    async fn a_forced_claim_follows_the_provider_and_tells_of_each_change_once(env: &Env) {
        let google = provider(env, "Ann").await;
        let import = json!({"name": "force", "locale": {"action": "force", "on_conflict": "fail"}});
        let (_app, rp) = gateway(env, [connector(&google, "google", import)]).await;
        log_in_as(&rp, &google, "google", "ann-1").await;
        let version = only(&invariants::check(env).await).1.version;
        says(&google, json!({"name": "Ann Lee", "locale": "en"}));
        for _ in 0..2 {
            let tokens = log_in_as(&rp, &google, "google", "ann-1").await;
            let said = userinfo(&rp, &tokens).await;
            assert_eq!((&said["name"], &said["locale"]), (&json!("Ann Lee"), &json!("en")));
            let graph = invariants::check(env).await;
            assert_eq!(updates(&graph), [&json!(["name", "locale"])], "once");
            assert_eq!(only(&graph).1.version, version + 1, "a visible change");
            assert!(graph.events.iter().all(|event| !event.payload.to_string().contains("Lee")), "names, not values");
        }
        // What it no longer says stays.
        says(&google, json!({}));
        let tokens = log_in_as(&rp, &google, "google", "ann-1").await;
        assert_eq!(userinfo(&rp, &tokens).await["name"], "Ann Lee");
        assert_eq!(updates(&invariants::check(env).await).len(), 1);
    }

    async fn without_update_only_the_first_login_counts(env: &Env) {
        let google = provider(env, "Ann").await;
        let (_app, rp) = gateway(env, [connector(&google, "google", json!({"update": "never", "name": "force"}))]).await;
        log_in_as(&rp, &google, "google", "ann-1").await;
        says(&google, json!({"name": "Ann Lee"}));
        let tokens = log_in_as(&rp, &google, "google", "ann-1").await;
        assert_eq!(userinfo(&rp, &tokens).await["name"], "Ann");
        assert!(updates(&invariants::check(env).await).is_empty());
    }

    /// A customer who calls herself Ann, and a provider that insists on Anna.
    async fn a_conflict_ends_as_the_configuration_says(env: &Env) {
        for (on_conflict, name, beside, changes) in [
            ("set", "Ann", json!(null), 0),
            ("add", "Ann", json!("Anna"), 1),
            ("replace", "Anna", json!(null), 1),
        ] {
            let google = provider(env, "Anna").await;
            let email = format!("{on_conflict}@shop.example");
            google.add_person(on_conflict, json!({"email": email, "email_verified": true, "name": "Anna"}));
            let import = json!({"name": {"action": "force", "on_conflict": on_conflict}});
            let (app, rp) = gateway(env, [connector(&google, on_conflict, import)]).await;
            let id = app.customer(&email, "Ann").await.0.simple().to_string();
            for again in [false, true] {
                let tokens = log_in_and_prove(&app, &rp, &google, on_conflict, on_conflict, &email).await;
                assert_eq!(userinfo(&rp, &tokens).await["name"], name, "{on_conflict} {again}");
                let graph = invariants::check(env).await;
                let profile = &graph.customers[&id].profile;
                assert_eq!(profile["name"]["beside"][0]["value"], beside, "{on_conflict} {again}: {profile}");
                let told = graph.history(&id).iter().filter(|kind| **kind == "profile.updated").count();
                assert_eq!(told, changes, "{on_conflict} {again}");
            }
        }
    }

    /// `fail`: neither the first login nor a later one gets past the difference, and nothing of it is written.
    async fn a_difference_that_is_not_allowed_ends_on_a_page_and_writes_nothing(env: &Env) {
        let google = provider(env, "Anna").await;
        let import = json!({"name": {"action": "force", "on_conflict": "fail"}});
        let (app, rp) = gateway(env, [connector(&google, "google", import)]).await;
        app.customer(ANN, "Ann").await;
        let told = "What Upstream google says about you isn’t what you told us, so nothing was changed.";
        let browser = Browser::new();
        let (_, page) = arrive(&rp, &browser, "google").await;
        let page = browser.submit(&page, "/link/send", &[]).await;
        let code = app.mailed_code(ANN).await;
        let refused = browser.submit(&page, "/link/code", &[("code", &code)]).await;
        assert_eq!(refused.status.as_u16(), 422, "{}", refused.text());
        assert!(refused.contains(told) && refused.contains("your name"), "{}", refused.text());
        let graph = invariants::check(env).await;
        assert!(graph.live("social:google", "ann-1").is_empty() && updates(&graph).is_empty());
        assert!(browser.cookie("samesake-session").is_none());

        // Corrected at the provider it links; the customer's own name is not the provider's to change.
        says(&google, json!({"name": "Ann"}));
        log_in_and_prove(&app, &rp, &google, "google", "ann-1", ANN).await;
        says(&google, json!({"name": "Anna"}));
        let events = invariants::check(env).await.events.len();
        let browser = Browser::new();
        let (authorization, refused) = arrive(&rp, &browser, "google").await;
        assert!(refused.contains(told), "{}", refused.text());
        assert!(browser.cookie("samesake-session").is_none());
        assert_eq!(invariants::check(env).await.events.len(), events);
        // The page is a way on.
        let entered = [("email", ANN), ("password", crate::harness::app::PASSWORD)];
        let callback = browser.submit(&refused, "/login/password", &entered).await;
        rp.finish(&authorization, &callback).await;
    }

    async fn what_is_required_and_not_said_ends_on_a_page_and_writes_nothing(env: &Env) {
        let google = provider(env, "Ann").await;
        let import = json!({"name": "suggest", "given_name": "require", "picture": {"action": "require"}});
        let (app, rp) = gateway(env, [connector(&google, "google", import)]).await;
        let refuse = async |missing: &str| {
            let statements = app.store.statements();
            let browser = Browser::new();
            let (_, page) = arrive(&rp, &browser, "google").await;
            assert_eq!(page.status.as_u16(), 422, "{}", page.text());
            let told = "We need something that Upstream google didn’t tell us";
            assert!(page.contains(told) && page.contains(missing), "{}", page.text());
            assert!(browser.cookie("samesake-session").is_none());
            assert_eq!(app.store.statements(), statements, "the database was not asked");
        };
        refuse("Missing: your first name, your picture.").await;
        assert!(invariants::check(env).await.customers.is_empty());
        says(&google, json!({"given_name": "Ann", "picture": "https://p.example/1.png"}));
        let tokens = log_in_as(&rp, &google, "google", "ann-1").await;
        assert_eq!(userinfo(&rp, &tokens).await["given_name"], "Ann");
        // Also somebody who is known does not get in without it.
        says(&google, json!({"given_name": "Ann", "picture": "javascript:alert(1)"}));
        refuse("Missing: your picture.").await;
    }

    /// The account page connects by the same rules, and leads back to itself.
    async fn connecting_an_account_keeps_to_the_same_rules(env: &Env) {
        let (google, other) = (provider(env, "Ann").await, provider(env, "Anna").await);
        let import = json!({"given_name": "require", "name": {"action": "force", "on_conflict": "fail"}});
        let (app, rp) = gateway(env, [google.config("google"), connector(&other, "other", import)]).await;
        let browser = Browser::new();
        let (authorization, callback) = arrive(&rp, &browser, "google").await;
        rp.finish(&authorization, &callback).await;
        for (said, told) in [
            (json!({"name": "Ann"}), Some("Missing: your first name.")),
            (json!({"name": "Anna", "given_name": "Ann"}), Some("It’s about: your name.")),
            (json!({"name": "Ann", "given_name": "Ann"}), None),
        ] {
            says(&other, said);
            let page = browser.get(app.url("/account")).await;
            let answer = browser.submit(&page, "/account/connect", &[("connector", "other")]).await;
            let graph = invariants::check(env).await;
            let linked = graph.live("social:other", "ann-1").len();
            match told {
                Some(told) => {
                    assert_eq!((answer.status.as_u16(), linked), (409, 0), "{}", answer.text());
                    assert!(answer.contains(told) && answer.contains("Back to your account"), "{}", answer.text());
                    assert!(updates(&graph).is_empty());
                }
                None => {
                    assert_eq!((answer.url.path(), linked), ("/account", 1), "{}", answer.text());
                    assert_eq!(updates(&graph), [&json!(["given_name"])]);
                }
            }
        }
    }

    async fn what_is_ignored_is_kept_nowhere(env: &Env) {
        let google = provider(env, "Ann").await;
        says(&google, json!({"name": "Ann", "picture": "https://p.example/1.png", "locale": "en"}));
        let (app, rp) = gateway(env, [connector(&google, "google", json!({"name": "ignore", "picture": "ignore"}))]).await;
        for _ in 0..2 {
            let tokens = log_in_as(&rp, &google, "google", "ann-1").await;
            let said = userinfo(&rp, &tokens).await;
            assert_eq!((said.get("name"), said.get("picture"), &said["locale"]), (None, None, &json!("en")));
            let kept = kept_with_link(&app).await;
            assert_eq!((kept.get("name"), kept.get("picture"), &kept["locale"]), (None, None, &json!("en")));
            assert_eq!(kept["email"], ANN, "what rules rest on stays");
            // Late enough for the copy to be written again.
            app.clock.advance(Duration::from_secs(3600));
        }
        let graph = invariants::check(env).await;
        assert!(!only(&graph).1.profile.to_string().contains("//p.example"));
    }

    /// Rule 13: forcing everything there is changes no way to reach the customer.
    async fn no_import_changes_the_address(env: &Env) {
        let google = provider(env, "Ann").await;
        let all = ["name", "given_name", "family_name", "preferred_username", "picture", "locale", "birthdate"];
        let import: Value = all.into_iter().map(|claim| (claim, json!({"action": "force", "on_conflict": "replace"}))).collect();
        let (_app, rp) = gateway(env, [connector(&google, "google", import)]).await;
        log_in_as(&rp, &google, "google", "ann-1").await;
        google.add_person("ann-1", json!({"email": "new@shop.example", "email_verified": true, "name": "Ann Lee"}));
        let tokens = log_in_as(&rp, &google, "google", "ann-1").await;
        let said = userinfo(&rp, &tokens).await;
        assert_eq!((&said["name"], &said["email"]), (&json!("Ann Lee"), &json!(ANN)));
        assert_eq!(updates(&invariants::check(env).await), [&json!(["name"])]);
    }

    /// The budget of a known customer's login: a look at the link, and once in a while its copy.
    async fn an_import_that_changes_nothing_costs_nothing(env: &Env) {
        let google = provider(env, "Ann").await;
        let (app, rp) = gateway(env, [connector(&google, "google", json!({"name": "force"}))]).await;
        log_in_as(&rp, &google, "google", "ann-1").await;
        for (pause, expected) in [(0, 1), (3600, 2)] {
            app.clock.advance(Duration::from_secs(pause));
            let browser = Browser::new();
            let page = browser.get(&rp.authorization().url).await;
            let callback = crate::login::up_to_callback(&browser, &page, "google").await.url;
            let before = app.store.statements();
            assert_eq!(browser.get_one(&callback).await.status.as_u16(), 303);
            assert_eq!(app.store.statements() - before, expected);
        }
    }
}

on_servers! {
    /// Ten logins that bring the same news: one makes the change, and all get in.
    async fn of_ten_logins_with_the_same_news_one_tells(env: &Env) {
        let google = provider(env, "Ann").await;
        let (app, rp) = gateway(env, [connector(&google, "google", json!({"name": "force"}))]).await;
        let other = app.replica(env).await;
        log_in_as(&rp, &google, "google", "ann-1").await;
        says(&google, json!({"name": "Ann Lee"}));
        let mut returning = Vec::new();
        for _ in 0..10 {
            let browser = Browser::new();
            let page = browser.get(&rp.authorization().url).await;
            let callback = crate::login::up_to_callback(&browser, &page, "google").await.url;
            returning.push((browser, callback));
        }
        let logins = returning.iter().enumerate().map(async |(number, (browser, callback))| {
            let replica = if number % 2 == 0 { &app } else { &other };
            let browser = browser.clone().via(&app.issuer, &replica.address);
            browser.get_one(callback).await.status.as_u16()
        });
        assert_eq!(futures::future::join_all(logins).await, [303; 10]);
        let graph = invariants::check(env).await;
        assert_eq!(updates(&graph), [&json!(["name"])]);
        assert_eq!(only(&graph).1.profile["name"]["value"], "Ann Lee");
    }
}
