//! Every page of the desk by keyboard in a real browser: access keys do what the page says of them, Tab comes by everything
//! in its order with a ring around it, and each page fits a desk and a phone. A picture of each is left for people to look at.

use fantoccini::key::Key;
use samesake::ids::{CustomerId, LinkId};
use samesake::protocol::admin_role::AdminRole;
use serde_json::json;

use super::keys::Keys;
use super::{ANN, BEN, CLEO, DORA, fill_in, give, hostile, plan_path};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Screen, TestApp, WebDriver, invariants};
use crate::on_servers;

/// An office with everything in it that pages can show.
struct Office {
    app: TestApp,
    ann: CustomerId,
    ben: CustomerId,
    /// Ann's account at a provider that speaks against it.
    google: LinkId,
    _upstream: Upstream,
}

async fn office(env: &Env) -> Office {
    let upstream = Upstream::start().await;
    upstream.add_person("ann-1", json!({"email": ANN, "email_verified": true, "name": "Ann Lee"}));
    let app = TestApp::builder(env).web_client("shop").connector(upstream.config("google"));
    let app = app.configure(|config| {
        config.merge.approval_from_risk = 0;
        // It leaves the pair alone that is made up here.
        config.duplicates.follow = false;
        config.merge.walled_brands = vec!["north".to_owned(), "harbour-bank".to_owned()];
    });
    let app = app.start().await;
    let of_ann = Browser::new();
    let page = of_ann.get(app.url("/account")).await;
    of_ann.submit(&page, "/login/social", &[("connector", "google")]).await;
    let mut tx = app.store.background().begin().await.unwrap();
    let ann = tx.link_resolve("social:google", "ann-1").await.unwrap().unwrap();
    let happened = samesake::protocol::security_event::AccountEvent {
        subject: Some("ann-1".to_owned()),
        happened: samesake::protocol::security_event::Happened::Disabled(
            samesake::protocol::security_event::Cause::Hijacking,
        ),
    };
    let now = app.clock.now();
    samesake::identity::receive::account_event(&mut tx, "google", &happened, now, now).await.unwrap().unwrap();
    let links = tx.links_live(ann).await.unwrap();
    tx.commit().await.unwrap();
    let google = links.iter().find(|link| link.namespace == "social:google").unwrap().id;
    let ben = app.customer(BEN, "Anne Lee-Smith").await;
    super::merging::propose_pair(&app, ann, ben).await;
    for (email, role) in [(CLEO, AdminRole::Owner), (DORA, AdminRole::Support)] {
        let name = email.split('@').next().unwrap();
        give(&app, app.customer(email, name).await, role).await;
    }
    Office { app, ann, ben, google, _upstream: upstream }
}

impl Office {
    /// Every page that an owner sees, by the name of its picture, with its heading.
    fn pages(&self) -> Vec<(&'static str, String, String)> {
        let (ann, ben, google) = (self.ann, self.ben, self.google);
        let page = |name, path: &str, heading: &str| (name, path.to_owned(), heading.to_owned());
        vec![
            page("queue", "/admin", "What waits for a decision"),
            page("search", "/admin/search?q=ann", "Find a customer"),
            page("waiting", &format!("/admin/customers/{ann}"), "Ann Lee"),
            page("compare", &format!("/admin/compare?a={ann}&b={ben}"), "Are they one person?"),
            page("plan", &plan_path(ann, ben), "What a merge would do"),
            page("proposals", "/admin/proposals", "Merges that wait for approval"),
            page(
                "disconnect",
                &format!("/admin/customers/{ann}/links/{google}/disconnect"),
                "Disconnect an identifier",
            ),
            page("enable", &format!("/admin/customers/{ann}/links/{google}/enable"), "Let an identifier log in again"),
            page("sign-out", &format!("/admin/customers/{ann}/sign-out"), "Sign out everywhere"),
            page("hold", &format!("/admin/customers/{ann}/hold"), "Place a legal hold"),
            page("brand", &format!("/admin/customers/{ann}/brand"), "Change the brand"),
            page("erase", &format!("/admin/customers/{ann}/erase"), "Erase this customer"),
            page("audit", "/admin/audit", "Audit log"),
            page("audit-of", &format!("/admin/audit?customer={ann}"), "Audit log"),
            page("audit-nobody", "/admin/audit?customer=nobody", "Audit log"),
            page("chains", "/admin/audit/chains", "Chains of the audit log"),
            page("roles", "/admin/roles", "Who may what"),
            page("role", &format!("/admin/roles/{ben}"), "Change a role"),
        ]
    }

    async fn keys(&self, env: &Env, screen: Screen, name: &'static str) -> Keys<'_> {
        let keys = Keys { app: &self.app, browser: WebDriver::start(env.directory(), screen).await, screen: name };
        keys.sign_in(CLEO).await;
        keys
    }
}

on_servers! {
    async fn access_keys_lead_where_the_page_says(env: &Env) {
        let office = office(env).await;
        let keys = office.keys(env, Screen::Desktop, "desktop").await;
        for (key, path) in [('p', "/admin/proposals"), ('a', "/admin/audit"), ('w', "/admin/roles"), ('q', "/admin"), ('p', "/admin/proposals"), ('h', "/admin")] {
            keys.leave_by_access(key).await;
            assert_eq!(keys.browser.client.current_url().await.unwrap().path(), path, "{key}");
        }
        keys.access('s').await;
        let is_at = "return document.activeElement.matches(arguments[0])";
        assert!(keys.is_true(is_at, vec![json!("#find")]).await, "s leads to the search field");
        keys.press(ANN).await;
        keys.leave_by(Key::Enter).await;
        keys.open("/admin").await;
        keys.leave_by_access('m').await;
        keys.at("compare", "Are they one person?").await;
        keys.leave_by_access('m').await;
        keys.at("plan", "What a merge would do").await;
        keys.access('r').await;
        assert!(keys.is_true(is_at, vec![json!("textarea[name=reason]")]).await, "r leads to the reason");
        keys.press("They wrote to us from both addresses.").await;
        keys.leave_by_access('m').await;
        keys.at("proposal-own", "A proposed merge").await;
        keys.open(&format!("/admin/customers/{}/hold", office.ann)).await;
        keys.access('r').await;
        keys.press("Lawsuit 17, asked for by the lawyers.").await;
        keys.leave_by_access('m').await;
        keys.at("held", "Ann Lee").await;
        keys.leave_by_access('o').await;
        assert!(keys.browser.text().await.contains("Sign out"), "o signs out");
        keys.browser.close().await;
        invariants::check(env).await;
    }

    async fn tab_comes_by_everything_on_every_page_in_its_order(env: &Env) {
        let office = office(env).await;
        let keys = office.keys(env, Screen::Desktop, "desktop").await;
        for (name, path, heading) in office.pages() {
            keys.open(&path).await;
            keys.at(name, &heading).await;
            keys.tab_through(name).await;
            keys.open(&path).await;
            keys.tab_to("a.skip").await;
            keys.press(&Key::Enter.to_string()).await;
            assert!(keys.is_true("return document.activeElement.id === 'content'", vec![]).await, "{name}: the link skips the bar");
        }
        keys.browser.close().await;
    }

    async fn every_page_fits_a_phone(env: &Env) {
        let office = office(env).await;
        let keys = office.keys(env, Screen::Phone, "phone").await;
        for (name, path, heading) in office.pages() {
            keys.open(&path).await;
            keys.at(name, &heading).await;
        }
        let endless = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft".repeat(3);
        fill_in(&office.app, office.ann, &[("name", json!(endless)), ("nickname", hostile())]).await;
        for (name, path, _) in office.pages() {
            keys.open(&path).await;
            let fits = "const page = document.documentElement; return page.scrollWidth <= page.clientWidth";
            assert!(keys.is_true(fits, vec![]).await, "{name} scrolls sideways with an endless name");
        }
        keys.browser.close().await;
    }
}
