//! What an admin does to one customer at the desk: what will happen is said first, and exactly that is done, once, for a
//! reason (identity rules 18 to 21 and 30; experience rule 12).

use std::time::Duration;

use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::LinkState;
use serde_json::json;

use super::merging::token_of;
use super::{ANN, BEN, CLEO, actions_of, admin, agree, assert_sound, fill_in, hostile, is_merged, open, plan_path};
use crate::harness::app::PASSWORD;
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Page, TestApp, invariants};
use crate::{on_both, on_servers};

/// The page of a deed, and its form sent.
async fn deed(app: &TestApp, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let page = open(app, browser, path).await;
    browser.submit(&page, path, fields).await
}

fn at(customer: CustomerId, word: &str) -> String {
    format!("/admin/customers/{customer}/{word}")
}

async fn count(app: &TestApp, customer: CustomerId, action: &str) -> usize {
    actions_of(app, customer).await.iter().filter(|done| *done == action).count()
}

/// Ann, who signs in with an account at a provider that vouches for her address.
async fn ann_of_google(env: &Env) -> (Upstream, TestApp, Browser, CustomerId) {
    let upstream = Upstream::start().await;
    upstream.add_person("ann-1", json!({"email": "ann@shop.example", "email_verified": true, "name": "Ann"}));
    let app = TestApp::builder(env).connector(upstream.config("google")).start().await;
    let browser = Browser::new();
    let page = browser.get(app.url("/account")).await;
    let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
    assert_eq!(page.url.path(), "/account", "{}", page.text());
    let mut tx = app.store.background().begin_read().await.unwrap();
    let ann = tx.link_resolve("social:google", "ann-1").await.unwrap().unwrap();
    drop(tx);
    (upstream, app, browser, ann)
}

on_both! {
    /// Rules 18 and 19: even the last way in; what came through it ends, and the customer is told.
    async fn an_account_is_disconnected_as_the_page_said(env: &Env) {
        let (_upstream, app, of_ann, ann) = ann_of_google(env).await;
        let browser = admin(&app, CLEO, AdminRole::Support).await;
        let customer = open(&app, &browser, &format!("/admin/customers/{ann}")).await;
        let page = browser.click(&customer, "Disconnect … Upstream google").await;
        assert_sound(&page);
        for words in [
            "Signed in through it 1 ended at once", "Addresses it vouches for 1", "ann@shop.example is proved no more",
            "last way to sign in", "told by mail",
        ] {
            assert!(page.contains(words), "{words}: {}", page.text());
        }
        let path = page.url.path().to_owned();
        let unsaid = browser.submit(&page, &path, &[("reason", " ")]).await;
        assert_eq!(unsaid.status.as_u16(), 422);
        assert_eq!(of_ann.get(app.url("/account")).await.url.path(), "/account", "nothing has happened yet");
        let done = browser.submit(&page, &path, &[("reason", "hijacked, case 4711")]).await;
        assert_eq!(done.url.path(), format!("/admin/customers/{ann}"), "{}", done.text());
        assert!(done.contains("hijacked, case 4711") && done.body.contains("class=\"gone\""), "{}", done.text());
        assert_eq!(of_ann.get(app.url("/account")).await.url.path(), "/login", "its session has ended");
        assert!(app.mail_to("ann@shop.example").await.subject.contains("was disconnected from your account"));
        let twice = browser.submit(&page, &path, &[("reason", "hijacked, case 4711")]).await;
        assert_eq!(twice.url.path(), done.url.path(), "a second click finds it done");
        assert_eq!(count(&app, ann, "link.forced_off").await, 1);
        let gone = open(&app, &browser, &path).await;
        assert!(gone.contains("It was disconnected before.") && !gone.body.contains("name=\"version\""));
        invariants::check(env).await;
    }

    /// An address is the customer's own, another customer's link is not this one's, and a hint has no button.
    async fn what_is_not_an_admins_to_disconnect_is_not_offered(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let browser = admin(&app, CLEO, AdminRole::Support).await;
        let mut tx = app.store.background().begin_read().await.unwrap();
        let email = tx.links_live(ann).await.unwrap().remove(0);
        drop(tx);
        let page = open(&app, &browser, &format!("/admin/customers/{ann}")).await;
        assert!(!page.contains("Disconnect …") && !page.contains("Let it log in"), "{}", page.text());
        let page = open(&app, &browser, &at(ann, &format!("links/{}/disconnect", email.id))).await;
        assert!(page.contains("An address is the customer’s to remove.") && !page.body.contains("name=\"version\""));
        for path in [
            at(ben, &format!("links/{}/disconnect", email.id)),
            at(ben, &format!("links/{}/enable", email.id)),
            at(ann, &format!("links/{}/nonsense", email.id)),
            at(ann, "nonsense"),
        ] {
            assert_eq!(browser.get(app.url(&path)).await.status.as_u16(), 404, "{path}");
        }
        let enable = open(&app, &browser, &at(ann, &format!("links/{}/enable", email.id))).await;
        assert!(enable.contains("It is not disabled"), "{}", enable.text());
    }

    /// Rule 20.
    async fn what_a_provider_disabled_is_let_in_again(env: &Env) {
        let (_upstream, app, _, ann) = ann_of_google(env).await;
        let event = samesake::protocol::security_event::AccountEvent {
            subject: Some("ann-1".to_owned()),
            happened: samesake::protocol::security_event::Happened::Disabled(
                samesake::protocol::security_event::Cause::Hijacking,
            ),
        };
        let mut tx = app.store.background().begin().await.unwrap();
        let now = app.clock.now();
        samesake::identity::receive::account_event(&mut tx, "google", &event, now, now).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        let browser = admin(&app, CLEO, AdminRole::Support).await;
        let customer = open(&app, &browser, &format!("/admin/customers/{ann}")).await;
        assert!(customer.contains("Somebody should look.") && customer.contains("somebody else got into the account"));
        let page = browser.click(&customer, "Let it log in … Upstream google").await;
        assert_sound(&page);
        assert!(page.contains("disabled: taken over") && page.contains("flags are taken down"), "{}", page.text());
        let path = page.url.path().to_owned();
        assert_eq!(browser.submit(&page, &path, &[]).await.status.as_u16(), 422, "for a reason");
        let done = browser.submit(&page, &path, &[("reason", "Google confirmed")]).await;
        assert!(!done.contains("Somebody should look.") && done.contains("Identifier logs in again"), "{}", done.text());
        let twice = browser.submit(&page, &path, &[("reason", "Google confirmed")]).await;
        assert_eq!((twice.status.as_u16(), count(&app, ann, "link.enabled").await), (200, 1));
        invariants::check(env).await;
    }

    /// Rule 30: whoever is held is not merged and not erased until released.
    async fn a_legal_hold_is_placed_and_lifted(env: &Env) {
        let app = TestApp::builder(env).configure(|config| config.merge.approval_from_risk = 100).start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let customer = open(&app, &browser, &format!("/admin/customers/{ann}")).await;
        let page = browser.click(&customer, "Place a hold …").await;
        assert!(page.contains("Nobody merges them with anybody"), "{}", page.text());
        assert_eq!(browser.submit(&page, &at(ann, "hold"), &[]).await.status.as_u16(), 422, "for a reason");
        let held = browser.submit(&page, &at(ann, "hold"), &[("reason", "lawsuit 17")]).await;
        assert!(held.contains("Under a legal hold.") && held.contains("lawsuit 17"), "{}", held.text());
        let twice = browser.submit(&page, &at(ann, "hold"), &[("reason", "another")]).await;
        assert!(twice.contains("lawsuit 17") && count(&app, ann, "customer.held").await == 1, "{}", twice.text());
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        assert!(plan.contains("is under a legal hold"), "{}", plan.text());
        for (word, says) in [("erase", "legal hold"), ("brand", "legal hold"), ("hold", "already: lawsuit 17")] {
            let page = open(&app, &browser, &at(ann, word)).await;
            assert!(page.contains(says) && !page.body.contains("name=\"version\""), "{word}: {}", page.text());
        }
        let page = browser.click(&held, "Lift the hold …").await;
        assert!(page.contains("lawsuit 17"), "{}", page.text());
        let free = browser.submit(&page, &at(ann, "release"), &[("reason", "settled")]).await;
        assert!(!free.contains("Under a legal hold."), "{}", free.text());
        let twice = browser.submit(&page, &at(ann, "release"), &[("reason", "settled")]).await;
        assert_eq!((twice.url.path(), count(&app, ann, "customer.released").await), (free.url.path(), 1));
        invariants::check(env).await;
    }

    /// Rule 30: a brand is a row's own, and a wall is not crossed.
    async fn a_brand_is_changed_and_a_wall_is_not_crossed(env: &Env) {
        let app = TestApp::builder(env).configure(|config| {
            config.merge.approval_from_risk = 100;
            config.merge.walled_brands = vec!["north".to_owned()];
        });
        let app = app.start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let page = open(&app, &browser, &at(ann, "brand")).await;
        assert!(page.contains("Kept apart from every other brand: north."), "{}", page.text());
        assert_eq!(browser.submit(&page, &at(ann, "brand"), &[("brand", "south")]).await.status.as_u16(), 422, "for a reason");
        for wrong in ["a b", &"x".repeat(65), "ü"] {
            let answer = browser.submit(&page, &at(ann, "brand"), &[("brand", wrong), ("reason", "contract")]).await;
            assert_eq!(answer.status.as_u16(), 422, "{wrong}");
            assert!(answer.contains("a brand is 1 to 64") && answer.contains("contract"), "{}", answer.text());
        }
        let fields = [("brand", "south"), ("reason", "contract")];
        let done = browser.submit(&page, &at(ann, "brand"), &fields).await;
        assert!(done.contains("Brand south"), "{}", done.text());
        browser.submit(&page, &at(ann, "brand"), &fields).await;
        assert_eq!(count(&app, ann, "customer.brand_set").await, 1, "twice is once");
        agree(&browser, &open(&app, &browser, &plan_path(ann, ben)).await, "merge").await;
        assert!(is_merged(&app, ben).await);
        let page = open(&app, &browser, &at(ben, "brand")).await;
        assert!(page.contains("The other customer IDs of this customer Ann south"), "{}", page.text());
        let walled = browser.submit(&page, &at(ben, "brand"), &[("brand", "north"), ("reason", "x")]).await;
        assert_eq!(walled.status.as_u16(), 409);
        assert!(walled.contains("kept apart: north, south"), "{}", walled.text());
        let none = deed(&app, &browser, &at(ann, "brand"), &[("brand", ""), ("reason", "ended")]).await;
        assert!(none.contains("No brand in particular."), "{}", none.text());
        invariants::check(env).await;
    }

    /// Rules 21 and 34; experience rule 12: what cannot be undone is typed out.
    async fn an_erasure_says_what_goes_and_what_stays_and_is_typed_out(env: &Env) {
        let app = TestApp::builder(env).configure(|config| config.merge.approval_from_risk = 100).start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let of_ben = Browser::new();
        app.log_in(&of_ben, app.url("/account"), BEN).await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        agree(&browser, &open(&app, &browser, &plan_path(ann, ben)).await, "merge").await;
        let customer = open(&app, &browser, &format!("/admin/customers/{ben}")).await;
        let page = browser.click(&customer, "Erase …").await;
        assert_sound(&page);
        for words in [
            "Customer IDs 2", "Identifiers 2", "Signed in 1", "1 customer merged into them", "no merge of theirs can be undone",
            "What stays", "never somebody else", "What apps hold themselves is theirs to erase",
        ] {
            assert!(page.contains(words), "{words}: {}", page.text());
        }
        let (path, ending) = (at(ann, "erase"), ann.to_string()[30..].to_owned());
        assert_eq!(browser.submit(&page, &path, &[("typed", &ending)]).await.status.as_u16(), 422, "for a reason");
        for wrong in ["", "erase", &ann.to_string()[..6]] {
            let answer = browser.submit(&page, &path, &[("reason", "asked by letter"), ("typed", wrong)]).await;
            assert_eq!(answer.status.as_u16(), 422, "{wrong}");
            assert!(answer.contains("is not the end of the customer ID") && answer.contains("asked by letter"));
        }
        assert_eq!(of_ben.get(app.url("/account")).await.url.path(), "/account", "nothing has happened yet");
        let fields = [("reason", "asked by letter"), ("typed", &*format!(" {ending} "))];
        let gone = browser.submit(&page, &path, &fields).await;
        assert_eq!((gone.status.as_u16(), gone.heading().as_str()), (410, "Nobody is here any more"), "{}", gone.text());
        assert_eq!(browser.submit(&page, &path, &fields).await.status.as_u16(), 410, "a second click");
        assert_eq!(count(&app, ann, "customer.erased").await, 1);
        for word in ["hold", "brand", "erase"] {
            assert_eq!(browser.get(app.url(&at(ben, word))).await.status.as_u16(), 410, "{word}");
        }
        assert_eq!(of_ben.get(app.url("/account")).await.url.path(), "/login");
        invariants::check(env).await;
    }

    async fn nobody_erases_themselves(env: &Env) {
        let app = TestApp::start(env).await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let mut tx = app.store.background().begin_read().await.unwrap();
        let cleo = samesake::board::admin::find(&mut tx, CLEO).await.unwrap().unwrap();
        drop(tx);
        let page = open(&app, &browser, &at(cleo, "erase")).await;
        assert!(page.contains("This is you") && !page.body.contains("name=\"typed\""), "{}", page.text());
        let hold = open(&app, &browser, &at(cleo, "hold")).await;
        let token = token_of(&hold);
        let version = hold.body.split("name=\"version\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let typed = &cleo.to_string()[30..];
        let fields = [("token", token.as_str()), ("version", version), ("reason", "x"), ("typed", typed)];
        let origin = app.issuer.origin().ascii_serialization();
        let forced = browser.post_from(&origin, &app.url(&at(cleo, "erase")), &fields).await;
        assert_eq!(forced.status.as_u16(), 409, "{}", forced.text());
        assert_eq!(browser.get(app.url("/admin")).await.status.as_u16(), 200);
    }

    /// Experience rule 12: what was shown is done, or nothing.
    async fn a_customer_who_changed_since_is_shown_again(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let erase = open(&app, &browser, &at(ann, "erase")).await;
        let hold = open(&app, &browser, &at(ann, "hold")).await;
        deed(&app, &browser, &at(ann, "brand"), &[("brand", "south"), ("reason", "contract")]).await;
        let typed = ann.to_string()[30..].to_owned();
        let fields = [("reason", "asked by letter"), ("typed", &*typed)];
        let stale = browser.submit(&erase, &at(ann, "erase"), &fields).await;
        assert_eq!(stale.status.as_u16(), 409);
        assert!(stale.contains("something changed since you looked") && stale.contains("asked by letter"), "{}", stale.text());
        let stale = browser.submit(&hold, &at(ann, "hold"), &[("reason", "lawsuit")]).await;
        assert_eq!(stale.status.as_u16(), 409, "{}", stale.text());
        assert_eq!(count(&app, ann, "customer.held").await + count(&app, ann, "customer.erased").await, 0);
        let held = browser.submit(&stale, &at(ann, "hold"), &[("reason", "lawsuit")]).await;
        assert!(held.contains("Under a legal hold."), "{}", held.text());
        invariants::check(env).await;
    }

    /// Experience rule 10: what cannot be taken back by a click wants a login of the last ten minutes, and waits for it.
    async fn a_deed_with_an_old_login_signs_in_first_and_goes_on(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        env.clock.advance(Duration::from_secs(11 * 60));
        let branded = deed(&app, &browser, &at(ann, "brand"), &[("brand", "south"), ("reason", "contract")]).await;
        assert!(branded.contains("Brand south"), "a brand is taken back by a click: {}", branded.text());
        for (word, action) in [("hold", "customer.held"), ("release", "customer.released"), ("erase", "customer.erased")] {
            env.clock.advance(Duration::from_secs(11 * 60));
            let page = open(&app, &browser, &at(ann, word)).await;
            let typed = ann.to_string()[30..].to_owned();
            let fields = if word == "erase" { vec![("reason", "x"), ("typed", &*typed)] } else { vec![("reason", "x")] };
            let login = browser.submit(&page, &at(ann, word), &fields).await;
            assert_eq!(login.url.path(), "/login", "{word}: {}", login.text());
            assert_eq!(count(&app, ann, action).await, 0, "{word}");
            let done = browser.submit(&login, "/login/password", &[("email", CLEO), ("password", PASSWORD)]).await;
            assert_eq!(done.url.path(), format!("/admin/customers/{ann}"), "{}", done.text());
            assert_eq!(count(&app, ann, action).await, 1, "{word}");
        }
        invariants::check(env).await;
    }

    async fn hostile_reasons_brands_and_identifiers_are_shown_as_texts(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        fill_in(&app, ann, &[("name", hostile())]).await;
        let mut link = crate::store::samples::link("ext:crm", "<img/src=x>", ann);
        link.state = LinkState::Live;
        let mut tx = app.store.background().begin().await.unwrap();
        assert!(tx.link_insert(&link).await.unwrap());
        tx.commit().await.unwrap();
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let evil = "<b onmouseover=alert(1)>\u{202e}evil";
        deed(&app, &browser, &at(ann, "brand"), &[("brand", "<b>x</b>"), ("reason", evil)]).await;
        deed(&app, &browser, &at(ann, "hold"), &[("reason", evil)]).await;
        let disconnect = format!("links/{}/disconnect", link.id);
        for path in [format!("/admin/customers/{ann}"), at(ann, "release"), at(ann, "brand"), at(ann, "erase"), at(ann, &disconnect)] {
            let page = open(&app, &browser, &path).await;
            assert!(page.body.contains("&#60;script&#62;"), "{path}");
            for markup in ["<b onmouse", "<b>x", "<img"] {
                assert!(!page.body.contains(markup), "{markup} at {path}");
            }
        }
    }
}

on_servers! {
    /// A double click is one deed, at whichever replica it arrives.
    async fn of_many_clicks_on_a_deed_one_does_it(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let replica = app.replica(env).await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let elsewhere = browser.clone().via(&app.issuer, &replica.address);
        let typed = ann.to_string()[30..].to_owned();
        for (word, action, status) in [("hold", "customer.held", 200), ("release", "customer.released", 200), ("erase", "customer.erased", 410)] {
            let (page, path) = (open(&app, &browser, &at(ann, word)).await, at(ann, word));
            let fields = if word == "erase" { vec![("reason", "x"), ("typed", &*typed)] } else { vec![("reason", "x")] };
            let clicks = (0..8).map(|number| {
                let at = if number % 2 == 0 { &browser } else { &elsewhere };
                at.submit(&page, &path, &fields)
            });
            for page in futures::future::join_all(clicks).await {
                assert_eq!(page.status.as_u16(), status, "{word}: {}", page.text());
            }
            assert_eq!(count(&app, ann, action).await, 1, "{word}");
        }
        invariants::check(env).await;
    }
}
