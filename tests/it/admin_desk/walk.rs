//! The whole way at the desk in a real browser, by keyboard alone: find, compare, plan, propose, approve by somebody
//! else, undo. Each page fits a desk and a phone; a screenshot of each is left for people to look at.

use fantoccini::key::Key;
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use serde_json::json;

use super::keys::Keys;
use super::{ANN, BEN, CLEO, DORA, fill_in, give, hostile, is_merged, plan_path};
use crate::harness::{Browser, Env, Screen, TestApp, WebDriver, invariants};
use crate::on_servers;

/// A pair that wants approval, found by a search, and known to the shop.
async fn office(env: &Env) -> (TestApp, CustomerId, CustomerId) {
    let app = TestApp::builder(env).web_client("shop");
    let app = app.configure(|config| {
        config.merge.approval_from_risk = 0;
        // It leaves the pair alone that is made up here.
        config.duplicates.follow = false;
    });
    let app = app.start().await;
    let (ann, ben) = (app.customer(ANN, "Ann Lee").await, app.customer(BEN, "Anne Lee-Smith").await);
    let address = |street: &str| json!({ "street_address": street, "postal_code": "YO1 7HH", "locality": "York" });
    let values = |street: &str| [("birthdate", json!("1980-02-03")), ("address", address(street))];
    fill_in(&app, ann, &values("1 Elm Street")).await;
    fill_in(&app, ben, &values("1 Elm St.")).await;
    let shop = app.relying_party("shop").await;
    for email in [ANN, BEN] {
        let authorization = shop.authorization();
        let callback = app.log_in(&Browser::new(), &authorization.url, email).await;
        shop.finish(&authorization, &callback).await;
    }
    super::merging::propose_pair(&app, ann, ben).await;
    for (email, role) in [(CLEO, AdminRole::Merger), (DORA, AdminRole::Approver)] {
        let name = email.split('@').next().unwrap();
        give(&app, app.customer(email, name).await, role).await;
    }
    (app, ann, ben)
}

async fn walk(env: &Env, screen: Screen, name: &'static str) {
    let (app, ann, ben) = office(env).await;
    let start = async || Keys { app: &app, browser: WebDriver::start(env.directory(), screen).await, screen: name };

    let cleo = start().await;
    cleo.sign_in(CLEO).await;
    cleo.at("queue", "What waits for a decision").await;
    cleo.enter("#find", "ann@example.com").await;
    cleo.leave_by(Key::Enter).await;
    cleo.at("search", "Find a customer").await;
    cleo.follow(&format!("a[href='/admin/customers/{ann}']")).await;
    cleo.at("customer", "Ann Lee").await;
    cleo.open("/admin").await;
    cleo.follow("a[href^='/admin/compare']").await;
    cleo.at("compare", "Are they one person?").await;
    cleo.follow(".acts a.primary").await;
    cleo.at("plan", "What a merge would do").await;
    cleo.enter("textarea[name=reason]", "They wrote to us from both addresses.").await;
    cleo.follow("button[value=propose]").await;
    cleo.at("proposal-own", "A proposed merge").await;
    cleo.browser.close().await;
    assert!(!is_merged(&app, ben).await);

    let dora = start().await;
    dora.sign_in(DORA).await;
    dora.follow("nav a[href='/admin/proposals']").await;
    dora.at("proposals", "Merges that wait for approval").await;
    dora.follow("a[href^='/admin/proposals/']").await;
    dora.at("proposal", "A proposed merge").await;
    dora.follow("form[action$='/approve'] button").await;
    dora.at("merge", "They are one customer").await;
    assert!(is_merged(&app, ben).await);
    dora.open(&format!("/admin/customers/{ann}")).await;
    dora.at("customer-merged", "Anne Lee-Smith").await;
    dora.follow("a[href$='/undo']").await;
    dora.at("undo", "What undoing would do").await;
    dora.enter("textarea[name=reason]", "Two sisters after all.").await;
    dora.follow("form[method=post][action$='/undo'] button").await;
    dora.at("undone", "A merge that was undone").await;
    assert!(!is_merged(&app, ben).await);
    dora.browser.close().await;
    invariants::check(env).await;
}

on_servers! {
    async fn the_whole_way_is_gone_by_keyboard_at_a_desk(env: &Env) {
        walk(env, Screen::Desktop, "desktop").await;
    }

    async fn the_whole_way_is_gone_by_keyboard_on_a_phone(env: &Env) {
        walk(env, Screen::Phone, "phone").await;
    }

    /// Names as wide as a page, in another direction, and full of markup leave every page in its width.
    async fn hostile_and_endless_texts_keep_the_pages_in_shape(env: &Env) {
        let (app, ann, ben) = office(env).await;
        let endless = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft".repeat(3);
        fill_in(&app, ann, &[("name", json!(endless)), ("nickname", hostile())]).await;
        fill_in(&app, ben, &[("name", json!("متجر الرحلات البعيدة \u{202e}<b>evil</b>")), ("nickname", json!(endless))]).await;
        for (screen, name) in [(Screen::Desktop, "hostile-desktop"), (Screen::Phone, "hostile-phone")] {
            let browser = WebDriver::start(env.directory(), screen).await;
            let keys = Keys { app: &app, browser, screen: name };
            keys.sign_in(CLEO).await;
            keys.at("queue", "What waits for a decision").await;
            keys.open(&format!("/admin/compare?a={ann}&b={ben}")).await;
            keys.at("compare", "Are they one person?").await;
            keys.open(&plan_path(ann, ben)).await;
            keys.at("plan", "What a merge would do").await;
            keys.open(&format!("/admin/customers/{ben}")).await;
            keys.at("customer", "متجر الرحلات البعيدة \u{202e}<b>evil</b>").await;
            keys.browser.close().await;
        }
    }
}
