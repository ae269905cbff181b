//! Connecting, disconnecting, adding and joining in a real browser, on a desk and in a hand: every page fits the window,
//! every failure page leads on, and a screenshot of each is left for people to look at.

use std::time::Duration;

use samesake::config::{AskEmail, EmailTrust};
use samesake::events::Actor;
use samesake::identity::hold;
use samesake::ids::CustomerId;
use serde_json::json;

use super::both_mine::customer_of;
use super::provider_with_ann;
use crate::harness::app::{PASSWORD, web_client};
use crate::harness::upstream::{Algorithm, Fault, Upstream};
use crate::harness::{Env, Screen, TestApp, WebDriver, invariants, until};
use crate::oidc::device::{Device, tv_client};
use crate::on_servers;

const ANN: &str = "ann@shop.example";
const LONG: &str =
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft <b>&amp;</b> Söhne";

/// One browser on its way through the pages.
struct Walk<'a> {
    app: &'a TestApp,
    browser: WebDriver,
    screen: &'static str,
}

impl Walk<'_> {
    /// The page that is open says this, fits the window, and is kept as a picture.
    async fn at(&self, name: &str, heading: &str) {
        let said = self.browser.run("return document.querySelector('h1').textContent", vec![]).await;
        assert_eq!(said, heading, "{name}: {}", self.browser.text().await);
        let fits = "const page = document.documentElement; return page.scrollWidth <= page.clientWidth";
        assert!(self.is_true(fits).await, "{name} scrolls sideways");
        self.browser.screenshot(&format!("mine-{name}-{}", self.screen)).await;
    }

    async fn open(&self, path: &str) {
        self.browser.open(self.app.url(path)).await;
    }

    /// Clicks what leads to another page, and waits for that: the old one carries a mark.
    async fn click(&self, selector: &str) {
        self.browser.run("document.documentElement.dataset.left = 'yes'", vec![]).await;
        self.browser.click(selector).await;
        let there = "return document.readyState === 'complete' && !document.documentElement.dataset.left";
        until(&format!("the page behind {selector}"), async || self.is_true(there).await).await;
    }

    /// What a script in the page answers; `false` while there is none.
    async fn is_true(&self, script: &str) -> bool {
        self.browser.client.execute(script, vec![]).await.is_ok_and(|answer| answer == json!(true))
    }

    /// Presses the button of a provider in the form with this action.
    async fn choose(&self, action: &str, connector: &str) {
        self.click(&format!("form[action='{action}'] button[value='{connector}']")).await;
    }

    async fn enter(&self, selector: &str, text: &str) {
        self.browser.find(selector).await.clear().await.unwrap();
        self.browser.type_into(selector, text).await;
    }

    async fn password(&self, email: &str) {
        self.enter("input[name=email]", email).await;
        self.enter("input[name=password]", PASSWORD).await;
        self.click("form[action='/login/password'] button").await;
    }

    async fn code(&self, email: &str) {
        let code = self.app.mailed_code(email).await;
        self.enter("input[name=code]", &code).await;
        self.click("form[action$='/code'] button").await;
    }

    /// Ends the session as a person does.
    async fn leave(&self) {
        self.open("/logout").await;
        self.click("form[action='/logout/confirm'] button").await;
    }

    /// Puts the customer of a link under a legal hold, or lifts it.
    async fn hold(&self, env: &Env, namespace: &str, external_id: &str, reason: Option<&str>) {
        let customer = customer_of(env, namespace, external_id).await;
        let (mut tx, now) = (self.app.store.background().begin().await.unwrap(), self.app.clock.now());
        match reason {
            Some(reason) => hold::place(&mut tx, customer, Actor::System, reason, now).await.unwrap(),
            None => hold::lift(&mut tx, customer, Actor::System, "over", now).await.unwrap(),
        };
        tx.commit().await.unwrap();
    }

    /// Goes on by the first button or link of the page.
    async fn way_on(&self, name: &str, path: &str) {
        self.click(".stack a.primary").await;
        let url = self.browser.client.current_url().await.unwrap();
        assert_eq!(url.path(), path, "{name} leads on");
    }
}

/// The gateway, and the providers whose people the walk chooses.
struct Stage {
    google: Upstream,
    github: Upstream,
    bare: Upstream,
    app: TestApp,
}

async fn stage(env: &Env) -> Stage {
    let google = provider_with_ann(env).await;
    let github = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    github.add_person("hub-1", json!({"email": "ann@hub.example", "email_verified": true, "name": LONG}));
    let bare = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    bare.add_person("bare-1", json!({"preferred_username": LONG}));
    let mut asking = bare.config("bare");
    (asking.name, asking.ask_email, asking.email_trust) =
        ("Harbor ID".to_owned(), AskEmail::Offer, Some(EmailTrust::Unverified));
    let (mut first, mut second) = (google.config("google"), github.config("github"));
    (first.name, second.name) = ("Chirp".to_owned(), "Lantern".to_owned());
    let television = web_client("tv", tv_client(&json!({ "client_name": LONG, "first_party": false })));
    let app = TestApp::builder(env)
        .web_client("shop")
        .client(television, None)
        .connector(first)
        .connector(second)
        .connector(asking)
        .start()
        .await;
    Stage { google, github, bare, app }
}

/// "You already have an account", by a code and by a login; connecting and disconnecting with a fresh login.
async fn existing_account(env: &Env, stage: &Stage, walk: &Walk<'_>) {
    walk.open("/account").await;
    walk.at("login", "Sign in").await;
    walk.choose("/login/social", "google").await;
    walk.at("exists", "You already have an account").await;
    walk.click("form[action='/link/send'] button").await;
    walk.at("code", "Confirm your email").await;
    walk.enter("input[name=code]", "000000").await;
    walk.click("form[action='/link/code'] button").await;
    walk.at("code-wrong", "Confirm your email").await;
    walk.code(ANN).await;
    walk.at("account", "Your account").await;
    // Disconnecting after ten minutes: the login goes on to it.
    env.clock.advance(Duration::from_secs(11 * 60));
    let google = link_id(env, "social:google", "ann-1").await;
    walk.click(&format!("button[value='{google}']")).await;
    walk.at("confirm", "Confirm it’s you").await;
    walk.password(ANN).await;
    walk.at("account-without", "Your account").await;
    assert!(invariants::check(env).await.live("social:google", "ann-1").is_empty());
    walk.leave().await;
    // The same question, answered by a login.
    walk.open("/account").await;
    walk.choose("/login/social", "google").await;
    walk.click("a[href^='/login']").await;
    walk.at("login-to-connect", "Sign in").await;
    walk.password(ANN).await;
    walk.at("account-again", "Your account").await;
    stage.github.faults().clear();
    walk.choose("/account/connect", "github").await;
    walk.at("account-connected", "Your account").await;
}

/// What goes wrong while connecting, and the way on from each.
async fn failures(env: &Env, stage: &Stage, walk: &Walk<'_>) {
    stage.github.faults().only(Fault::AuthorizeError("access_denied"));
    walk.choose("/account/connect", "github").await;
    walk.at("declined", "Nothing was connected").await;
    walk.way_on("declined", "/account").await;
    stage.github.faults().only(Fault::AuthorizeError("temporarily_unavailable"));
    walk.choose("/account/connect", "github").await;
    walk.at("provider-down", "That didn’t work").await;
    walk.way_on("provider-down", "/account").await;
    stage.github.faults().clear();
    for number in 2..6 {
        let subject = format!("hub-{number}");
        stage.github.add_person(&subject, json!({"name": format!("Ann {number}")}));
        stage.github.choose(&subject);
        walk.choose("/account/connect", "github").await;
    }
    stage.github.add_person("hub-6", json!({}));
    stage.github.choose("hub-6");
    walk.choose("/account/connect", "github").await;
    walk.at("limit", "Too many connected accounts").await;
    walk.way_on("limit", "/account").await;
    walk.at("account-full", "Your account").await;
    walk.open("/login?flow=gone").await;
    walk.at("expired", "This page has expired").await;
    walk.way_on("expired", "/").await;
    invariants::check(env).await;
}

/// A newcomer without an address, adding one, and two accounts of one person.
async fn newcomer(env: &Env, stage: &Stage, walk: &Walk<'_>) {
    stage.bare.choose("bare-1");
    walk.open("/account").await;
    walk.choose("/login/social", "bare").await;
    walk.at("newcomer", "What’s your email address?").await;
    walk.click("form[action='/address/skip'] button").await;
    walk.at("account-bare", "Your account").await;
    let link = link_id(env, "social:bare", "bare-1").await;
    walk.click(&format!("button[value='{link}']")).await;
    walk.at("last-way", "That’s your only way to sign in").await;
    walk.way_on("last-way", "/account").await;
    walk.click("form[action='/account/address'] button").await;
    walk.at("address", "Add an email address").await;
    walk.enter("input[name=email]", "bare@shop.example").await;
    walk.click("form[action='/address'] button").await;
    walk.at("address-code", "Confirm your email").await;
    walk.code("bare@shop.example").await;
    walk.at("account-address", "Your account").await;
    // Too many codes for another address.
    walk.click("form[action='/account/address'] button").await;
    walk.enter("input[name=email]", "other@shop.example").await;
    walk.click("form[action='/address'] button").await;
    for _ in 0..4 {
        env.clock.advance(Duration::from_secs(120));
        walk.click("form[action='/address/resend'] button").await;
    }
    walk.at("too-many-codes", "Confirm your email").await;
    walk.click("a[href^='/address']").await;
    walk.at("address-again", "Add an email address").await;
    // Ann's account at the first provider is another customer's.
    walk.leave().await;
    walk.open("/account").await;
    walk.choose("/login/social", "bare").await;
    walk.choose("/account/connect", "google").await;
    walk.at("both-mine", "That account is already in use").await;
    // What may not be joined at once waits.
    walk.hold(env, "social:google", "ann-1", Some("court order 7")).await;
    walk.click("form[action='/both-mine'] button").await;
    walk.at("both-mine-waits", "We’ve noted your request").await;
    walk.way_on("both-mine-waits", "/account").await;
    walk.hold(env, "social:google", "ann-1", None).await;
    // What may be is shown, and done.
    walk.choose("/account/connect", "google").await;
    walk.click("form[action='/both-mine'] button").await;
    walk.at("both-mine-join", "Make them one account?").await;
    walk.click("form[action='/both-mine/join'] button").await;
    walk.at("both-mine-joined", "Your accounts are one now").await;
    walk.way_on("both-mine-joined", "/account").await;
    walk.at("account-joined", "Your account").await;
}

/// A device that shows a code: typed in wrongly and rightly, signed in for, allowed, refused.
async fn devices(stage: &Stage, walk: &Walk<'_>) {
    let tv = stage.app.relying_party("tv").await;
    let device = Device::begin(&tv).await;
    walk.open("/device").await;
    walk.at("device", "Connect a device").await;
    walk.enter("input[name=user_code]", "BBBB-BBBB").await;
    walk.click("form[action='/device'] button").await;
    walk.at("device-wrong", "Connect a device").await;
    walk.enter("input[name=user_code]", &device.user_code.to_lowercase()).await;
    walk.click("form[action='/device'] button").await;
    walk.at("device-login", "Sign in").await;
    walk.password(ANN).await;
    walk.at("device-confirm", &format!("Sign in to {LONG} on your device?")).await;
    walk.click("button[value=allow]").await;
    walk.at("device-done", "Your device is connected").await;
    device.tokens().await;
    let device = Device::begin(&tv).await;
    walk.browser.open(device.complete.clone()).await;
    walk.click("form[action='/device'] button").await;
    walk.click("button[value=deny]").await;
    walk.at("device-denied", "Your device is not connected").await;
}

async fn link_id(env: &Env, namespace: &str, external_id: &str) -> String {
    let graph = invariants::check(env).await;
    uuid::Uuid::parse_str(&graph.live(namespace, external_id)[0].id).unwrap().to_string()
}

async fn walk_on(env: &Env, screen: Screen, name: &'static str) {
    let stage = stage(env).await;
    let _: CustomerId = stage.app.customer(ANN, LONG).await;
    stage.google.choose("ann-1");
    let browser = WebDriver::start(env.directory(), screen).await;
    let walk = Walk { app: &stage.app, browser, screen: name };
    devices(&stage, &walk).await;
    walk.leave().await;
    existing_account(env, &stage, &walk).await;
    failures(env, &stage, &walk).await;
    walk.leave().await;
    newcomer(env, &stage, &walk).await;
    invariants::check(env).await;
    walk.browser.close().await;
}

on_servers! {
    async fn a_real_browser_links_and_unlinks_on_a_desk(env: &Env) {
        walk_on(env, Screen::Desktop, "desktop").await;
    }

    async fn a_real_browser_links_and_unlinks_in_a_hand(env: &Env) {
        walk_on(env, Screen::Phone, "phone").await;
    }
}
