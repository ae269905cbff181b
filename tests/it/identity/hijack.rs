//! Whoever prepares an account under somebody else's address has nothing of it once the owner comes (rules 8 and 9).
//!
//! The five classes of pre-hijacking, by their names in the literature: classic-federated merge, unexpired session,
//! trojan identifier, unexpired e-mail change, non-verifying provider. And the ways in which one address is made to look
//! like another.

use std::time::Duration;

use samesake::config::EmailTrust;
use samesake::events::{self, Actor, Event};
use samesake::ids::{CredentialId, CustomerId};
use samesake::secret::Secret;
use samesake::store::Credential;
use serde_json::json;

use super::{gateway, log_in_as, person};
use crate::harness::app::PASSWORD;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, RelyingParty, TestApp, invariants, until};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const EVE: &str = "eve@evil.example";

async fn arrive(rp: &RelyingParty, browser: &Browser, upstream: &Upstream, connector: &str, subject: &str) -> Page {
    upstream.choose(subject);
    let page = browser.get(&rp.authorization().url).await;
    browser.submit(&page, "/login/social", &[("connector", connector)]).await
}

/// A password on a customer, as an import leaves it there.
async fn set_password(app: &TestApp, customer: CustomerId) {
    let hash = app.app.hasher.hash(Secret::new(PASSWORD.to_owned())).await.unwrap();
    let credential = Credential::password(CredentialId::new(app.clock.now()), customer, &hash, app.clock.now());
    let mut tx = app.store.background().begin().await.unwrap();
    assert!(tx.credential_insert(&credential).await.unwrap());
    let event = Event::CredentialAdded { kind: "password" };
    events::record(&mut tx, customer, Actor::System, event, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

on_both! {
    /// Classic-federated merge, unexpired session, unexpired e-mail change, trojan identifier, by way of a provider that
    /// vouches for addresses it has never checked.
    async fn what_was_prepared_under_an_address_ends_when_its_owner_proves_it(env: &Env) {
        let (sloppy, google) = (Upstream::start().await, Upstream::start().await);
        sloppy.add_person("squatter", person(ANN));
        google.add_person("ann-1", person(ANN));
        let (app, rp) = gateway(env, [sloppy.config("sloppy"), google.config("google")]).await;
        // The squatter: a session at the gateway and one at an app, a password, and a change of address under way.
        let squatter = Browser::new();
        let authorization = rp.authorization_with(&[("scope", "openid offline_access")]);
        let page = squatter.get(&authorization.url).await;
        let callback = squatter.submit(&page, "/login/social", &[("connector", "sloppy")]).await;
        let theirs = rp.finish(&authorization, &callback).await;
        let graph = invariants::check(env).await;
        let customer: CustomerId = graph.live("social:sloppy", "squatter")[0].root.parse().unwrap();
        set_password(&app, customer).await;
        let account = squatter.get(app.url("/account")).await;
        let page = squatter.submit(&account, "/account/address", &[]).await;
        let change = squatter.submit(&page, "/address", &[("email", EVE)]).await;
        let code = app.mailed_code(EVE).await;
        // The owner comes, and reads the mailbox.
        let owner = Browser::new();
        let authorization = rp.authorization();
        let page = owner.get(&authorization.url).await;
        let page = owner.submit(&page, "/login/social", &[("connector", "google")]).await;
        let page = owner.submit(&page, "/link/send", &[]).await;
        let callback = owner.submit(&page, "/link/code", &[("code", &app.mailed_code(ANN).await)]).await;
        rp.finish(&authorization, &callback).await;
        // Unexpired session, here and at the app.
        assert_eq!(squatter.get(app.url("/account")).await.url.path(), "/login");
        let refused = rp.refresh(theirs.refresh_token.as_deref().unwrap()).await;
        assert_eq!(refused.error(), "invalid_grant");
        // Unexpired e-mail change.
        let late = squatter.submit(&change, "/address/code", &[("code", &code)]).await;
        assert_eq!((late.status.as_u16(), late.heading().as_str()), (400, "This page has expired"));
        assert!(invariants::check(env).await.live("email", EVE).is_empty());
        // Classic-federated merge: the password opens nothing.
        let login = app.log_in(&Browser::new(), &rp.authorization().url, ANN).await;
        assert_eq!(login.status.as_u16(), 422, "{}", login.text());
        // Trojan identifier: the owner is told, sees what leads to the account, and takes it away.
        let subject = "Upstream google was connected to your account";
        let sent = || app.app.mailer.sent().into_iter().find(|mail| mail.subject == subject);
        until(subject, async || sent().is_some()).await;
        let mail = sent().unwrap();
        assert!(mail.to.normalized() == ANN && mail.text.contains("disconnect what you don’t know"), "{}", mail.text);
        let account = owner.get(app.url("/account")).await;
        assert!(account.contains("Upstream sloppy"), "{}", account.text());
        let graph = invariants::check(env).await;
        let link = uuid::Uuid::parse_str(&graph.live("social:sloppy", "squatter")[0].id).unwrap().to_string();
        owner.submit(&account, "/account/disconnect", &[("link", &link)]).await;
        // Non-verifying provider: its word for the address leads to a question now, and to nobody's account.
        let page = arrive(&rp, &Browser::new(), &sloppy, "sloppy", "squatter").await;
        assert_eq!((page.status.as_u16(), page.url.path()), (200, "/link"), "{}", page.text());
        let graph = invariants::check(env).await;
        let root = customer.0.simple().to_string();
        assert_eq!(graph.live("email", ANN)[0].root, root);
        assert!(graph.history(&root).contains(&"credential.removed"), "{:?}", graph.history(&root));
    }

    /// A second proof of the same address ends nothing: its owner was known.
    async fn a_proof_of_what_was_proved_before_ends_nothing(env: &Env) {
        let google = Upstream::start().await;
        google.add_person("ann-1", person(ANN));
        let (app, rp) = gateway(env, [google.config("google")]).await;
        app.customer(ANN, "Ann").await;
        let desk = Browser::new();
        app.log_in(&desk, app.url("/account"), ANN).await;
        let browser = Browser::new();
        let page = arrive(&rp, &browser, &google, "google", "ann-1").await;
        let page = browser.submit(&page, "/link/send", &[]).await;
        browser.submit(&page, "/link/code", &[("code", &app.mailed_code(ANN).await)]).await;
        assert_eq!(invariants::check(env).await.live("social:google", "ann-1").len(), 1);
        assert_eq!(desk.get(app.url("/account")).await.url.path(), "/account");
        assert_eq!(app.log_in(&Browser::new(), app.url("/account"), ANN).await.url.path(), "/account");
    }

    /// Rule 8, this condition alone: everything else allows linking without a question, but something unproved came to
    /// the customer within a day.
    async fn what_came_unproved_within_a_day_brings_the_question_back(env: &Env) {
        let own = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let open = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        own.add_person("ann-1", person(ANN));
        open.add_person("ann-x", person("ann@elsewhere.example"));
        let (mut automatic, mut hints) = (own.config("own"), open.config("open"));
        (automatic.email_trust, automatic.link_automatically) = (Some(EmailTrust::Authoritative), true);
        hints.email_trust = Some(EmailTrust::Unverified);
        let (app, rp) = gateway(env, [automatic, hints]).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let page = app.log_in(&browser, app.url("/account"), ANN).await;
        browser.submit(&page, "/account/connect", &[("connector", "open")]).await;
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("unproved_email", "ann@elsewhere.example").len(), 1);
        for hours in [0, 23] {
            app.clock.advance(Duration::from_secs(hours * 3600));
            let page = arrive(&rp, &Browser::new(), &own, "own", "ann-1").await;
            assert_eq!((page.status.as_u16(), page.url.path()), (200, "/link"), "after {hours} hours: {}", page.text());
        }
        app.clock.advance(Duration::from_secs(3601));
        let ann = graph.live("email", ANN)[0].root.clone();
        log_in_as(&rp, &own, "own", "ann-1").await;
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), &graph.live("social:own", "ann-1")[0].root), (1, &ann));
    }

    /// Rules 4, 8 and 9: none of these reaches the account of [`ANN`] without her mailbox.
    async fn an_address_that_looks_like_anothers_reaches_nobodys_account(env: &Env) {
        let upstream = Upstream::start().await;
        let (app, rp) = gateway(env, [upstream.config("google")]).await;
        let ann = app.customer(ANN, "Ann").await.0.simple().to_string();
        let vouched = |email: &str| json!({"email": email, "email_verified": true});
        // The same mailbox, spelled otherwise: its owner is asked.
        for (number, email) in ["ANN@SHOP.EXAMPLE", "ａｎｎ＠shop．example", " ann@shop.example "].iter().enumerate() {
            let subject = format!("same-{number}");
            upstream.add_person(&subject, vouched(email));
            let page = arrive(&rp, &Browser::new(), &upstream, "google", &subject).await;
            assert_eq!((page.status.as_u16(), page.url.path()), (200, "/link"), "{email}: {}", page.text());
            assert!(invariants::check(env).await.live("social:google", &subject).is_empty(), "{email}");
        }
        // Other mailboxes, or nobody's word: somebody new.
        let others = [
            // A Cyrillic letter before the @, and one behind it, which makes another domain.
            vouched("\u{430}nn@shop.example"),
            vouched("ann@sho\u{440}.example"),
            // Whoever folds plus-parts and dots, folds accounts.
            vouched("ann+1@shop.example"),
            vouched("a.nn@shop.example"),
            vouched("ann@shop.example.evil.example"),
            // No addresses at all.
            vouched("ann\u{200b}@shop.example"),
            vouched("ann@shop.example,eve@evil.example"),
            vouched("ann@shop.example\n@evil.example"),
            json!({"email": ANN, "email_verified": false}),
            json!({"email": ANN, "email_verified": "false"}),
            json!({"email": ANN, "email_verified": 1}),
            json!({"email": ANN}),
            json!({"email": [ANN], "email_verified": true}),
        ];
        for (number, claims) in others.iter().enumerate() {
            let subject = format!("other-{number}");
            upstream.add_person(&subject, claims.clone());
            let page = arrive(&rp, &Browser::new(), &upstream, "google", &subject).await;
            let graph = invariants::check(env).await;
            // What is no address at all may also be no answer at all.
            assert!(page.stopped || page.status.as_u16() == 422, "{claims}: {}", page.text());
            let links = graph.live("social:google", &subject);
            assert_eq!(links.len(), usize::from(page.stopped), "{claims}");
            assert!(links.iter().all(|link| link.root != ann), "{claims}");
        }
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("email", ANN)[0].root, ann);
        assert!(graph.customers.len() > others.len() / 2, "{}", graph.customers.len());
        assert!(app.app.mailer.sent().is_empty(), "nobody was mailed anything");
    }

    /// Squatted first: an address in somebody's hands unproved keeps its owner from nothing.
    async fn an_address_claimed_first_is_still_its_owners(env: &Env) {
        let open = Upstream::start().await;
        open.add_person("squatter", person(ANN));
        let mut config = open.config("open");
        config.email_trust = Some(EmailTrust::Unverified);
        let (app, rp) = gateway(env, [config]).await;
        let squatter = log_in_as(&rp, &open, "open", "squatter").await;
        let browser = Browser::new();
        let authorization = rp.authorization();
        let page = browser.get(&authorization.url).await;
        let page = browser.click(&page, "Create account").await;
        let page = browser.submit(&page, "/sign-up", &[("email", ANN), ("password", PASSWORD)]).await;
        let callback = browser.submit(&page, "/sign-up/code", &[("code", &app.mailed_code(ANN).await)]).await;
        let owner = rp.finish(&authorization, &callback).await;
        assert_ne!(owner.claims["sub"], squatter.claims["sub"]);
        let graph = invariants::check(env).await;
        assert_ne!(graph.live("email", ANN)[0].root, graph.live("social:open", "squatter")[0].root);
    }
}
