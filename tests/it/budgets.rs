//! What one request costs: statements, round trips to Redis and signatures, counted against the table of the design.
//!
//! Each request is made once before it is counted, on Postgres and Redis, by a single browser or client. A row that is
//! exceeded is a fault of the product, never of the number.

use std::time::Duration;

use reqwest::StatusCode;
use samesake::clock::Timestamp;
use samesake::ids::{CustomerId, LinkId};
use samesake::store::{Link, LinkState};
use serde_json::json;
use url::Url;

use crate::harness::app::{CLIENT_SECRET, PASSWORD, TestApp, web_client};
use crate::harness::browser::http_client;
use crate::harness::relying_party::Tokens;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, RelyingParty};
use crate::on_servers;

const ANN: &str = "ann@shop.example";

/// Statements, round trips, signatures.
type Cost = [u64; 3];

/// The table: a request and the most it may cost.
const BUDGETS: &[(&str, Cost)] = &[
    ("discovery", [0, 0, 0]),
    ("JWKS", [0, 0, 0]),
    ("JWKS, not modified", [0, 0, 0]),
    ("forward-auth, nobody known", [0, 1, 1]),
    ("forward-auth, cookie of the app's domain", [0, 1, 1]),
    ("forward-auth, session cookie", [0, 1, 1]),
    ("authorize, own app", [1, 2, 0]),
    ("authorize, other's app with consent", [1, 2, 0]),
    ("token, authorization code", [3, 1, 2]),
    ("token, refresh", [2, 0, 2]),
    ("token, client credentials", [0, 0, 1]),
    ("userinfo", [1, 1, 0]),
    ("introspection", [1, 1, 0]),
    ("password login", [2, 3, 0]),
    ("password login in a browser that is known", [2, 3, 0]),
    ("social callback, known customer", [2, 3, 0]),
    ("resolve an identifier", [1, 0, 0]),
];

/// The gateway and what has been counted so far.
struct Meter<'a> {
    app: &'a TestApp,
    counted: Vec<(&'static str, Cost)>,
}

impl Meter<'_> {
    fn now(&self) -> Cost {
        [self.app.store.statements(), self.app.kv.round_trips(), self.app.app.provider.keys.signatures()]
    }

    /// Counts what one request costs.
    async fn count<T>(&mut self, what: &'static str, request: impl Future<Output = T>) -> T {
        let before = self.now();
        let answer = request.await;
        let after = self.now();
        self.counted.push((what, [0, 1, 2].map(|kind| after[kind] - before[kind])));
        answer
    }
}

/// Fails with the whole table, so that one look tells what became dearer.
fn assert_within_budget(counted: &[(&str, Cost)]) {
    let names: Vec<&str> = BUDGETS.iter().map(|(what, _)| *what).collect();
    assert_eq!(counted.iter().map(|(what, _)| *what).collect::<Vec<_>>(), names, "every row is counted");
    let mut table =
        format!("\n{:<45} {:>10} {:>11} {:>10}\n", "counted / allowed", "statements", "round trips", "signatures");
    let mut exceeded = false;
    for ((what, cost), (_, allowed)) in counted.iter().zip(BUDGETS) {
        let over = cost.iter().zip(allowed).any(|(cost, allowed)| cost > allowed);
        exceeded |= over;
        let cells: Vec<String> = cost.iter().zip(allowed).map(|(cost, most)| format!("{cost} / {most}")).collect();
        let mark = if over { "  <-- exceeded" } else { "" };
        table.push_str(&format!("{what:<45} {:>10} {:>11} {:>10}{mark}\n", cells[0], cells[1], cells[2]));
    }
    assert!(!exceeded, "{table}");
}

async fn gateway(env: &Env, upstream: &Upstream) -> TestApp {
    upstream.add_person("u-1", json!({ "email": "ann@mail.example", "email_verified": true, "name": "Ann" }));
    let machine = json!({ "grant_types": ["client_credentials"], "redirect_uris": [], "scope": "stock" });
    TestApp::builder(env)
        .web_client("shop")
        .client(web_client("other", json!({ "first_party": false })), Some(CLIENT_SECRET))
        .client(web_client("machine", machine), Some(CLIENT_SECRET))
        .connector(upstream.config("google"))
        .destination(json!({ "id": "recommendations", "origins": ["http://localhost"] }))
        .start()
        .await
}

/// The login page of a fresh authorization request.
async fn login_page(browser: &Browser, party: &RelyingParty) -> Page {
    browser.get(party.authorization().url).await
}

async fn by_password(browser: &Browser, page: &Page) -> Page {
    let page = browser.submit_one(page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text());
    page
}

/// Up to the provider's redirect back to us, which is not fetched.
async fn at_callback(app: &TestApp, browser: &Browser, party: &RelyingParty) -> Url {
    let page = login_page(browser, party).await;
    let stopping = browser.clone().stop_at(&app.url("/callback/google"));
    let page = stopping.submit(&page, "/login/social", &[("connector", "google")]).await;
    assert!(page.stopped, "{}", page.text());
    page.url
}

/// Every request of the table, each after a first one like it.
async fn count_all(app: &TestApp) -> Vec<(&'static str, Cost)> {
    let mut meter = Meter { app, counted: Vec::new() };
    let browser = Browser::new();
    let shop = app.relying_party("shop").await;
    documents(&mut meter).await;
    sign_in_everywhere(app, &browser).await;
    forward_auth(&mut meter, &browser).await;
    authorize(&mut meter, &browser, &shop).await;
    let tokens = tokens(&mut meter, &browser, &shop).await;
    machine(&mut meter).await;
    let answer = meter.count("userinfo", shop.userinfo(&tokens.access_token)).await;
    assert_eq!(answer.body["sub"], tokens.claims["sub"]);
    let introspect = async || shop.post("introspection_endpoint", &[("token", &tokens.access_token)]).await;
    introspect().await;
    let answer = meter.count("introspection", introspect()).await;
    assert_eq!((&answer.body["active"], &answer.body["sub"]), (&json!(true), &tokens.claims["sub"]));
    logins(&mut meter, &shop).await;
    resolve(&mut meter).await;
    meter.counted
}

async fn documents(meter: &mut Meter<'_>) {
    let http = http_client();
    let keys = meter.app.url("/jwks.json");
    for (what, url) in [("discovery", meter.app.url("/.well-known/openid-configuration")), ("JWKS", keys.clone())] {
        http.get(url.clone()).send().await.unwrap();
        let answer = meter.count(what, http.get(url).send()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    let tag = http.get(keys.clone()).send().await.unwrap().headers()["etag"].clone();
    let answer = meter.count("JWKS, not modified", http.get(keys).header("if-none-match", tag).send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_MODIFIED);
}

/// Signs in, comes to the app behind forward-auth, and consents to the other's app.
async fn sign_in_everywhere(app: &TestApp, browser: &Browser) {
    let other = app.relying_party("other").await;
    let authorization = other.authorization();
    let page = app.log_in(browser, &authorization.url, ANN).await;
    let page = if page.stopped { page } else { browser.submit(&page, "/consent", &[("decision", "allow")]).await };
    other.code(&authorization, &page);
    let mut start = at_the_app(app, "/.samesake/recommendations/start");
    let cart = at_the_app(app, "/cart");
    start.query_pairs_mut().append_pair("rd", cart.as_str());
    assert_eq!(browser.get(start).await.url, cart);
}

fn at_the_app(app: &TestApp, path: &str) -> Url {
    let mut url = app.url(path);
    url.set_host(Some("localhost")).unwrap();
    url
}

async fn forward_auth(meter: &mut Meter<'_>, browser: &Browser) {
    let path = "/forward-auth/recommendations";
    for (what, browser, url, level) in [
        ("forward-auth, nobody known", &Browser::new(), meter.app.url(path), "anonymous"),
        ("forward-auth, cookie of the app's domain", browser, at_the_app(meter.app, path), "authenticated"),
        ("forward-auth, session cookie", browser, meter.app.url(path), "authenticated"),
    ] {
        browser.get_one(&url).await;
        let page = meter.count(what, browser.get_one(&url)).await;
        assert_eq!(page.header("samesake-level"), Some(level), "{what}");
    }
}

async fn authorize(meter: &mut Meter<'_>, browser: &Browser, shop: &RelyingParty) {
    let other = meter.app.relying_party("other").await;
    for (what, party) in [("authorize, own app", shop), ("authorize, other's app with consent", &other)] {
        let authorization = party.authorization();
        browser.get(&authorization.url).await;
        let page = meter.count(what, browser.get(&authorization.url)).await;
        party.code(&authorization, &page);
    }
}

async fn tokens(meter: &mut Meter<'_>, browser: &Browser, shop: &RelyingParty) -> Tokens {
    let authorization = shop.authorization();
    shop.finish(&authorization, &browser.get(&authorization.url).await).await;
    let code = shop.code(&authorization, &browser.get(&authorization.url).await);
    let answer = meter.count("token, authorization code", shop.redeem(&authorization, &code)).await;
    let first = shop.tokens(&authorization, answer).await;
    let second = shop.token_response(shop.refresh(&first.refresh_token.unwrap()).await).await;
    let answer = meter.count("token, refresh", shop.refresh(&second.refresh_token.unwrap())).await;
    shop.token_response(answer).await
}

async fn machine(meter: &mut Meter<'_>) {
    let client = web_client("machine", json!({ "redirect_uris": ["https://machine.example/"] }));
    let machine = RelyingParty::discover(&meter.app.address, &client, Some(CLIENT_SECRET), &meter.app.clock).await;
    let request: &[_] = &[("grant_type", "client_credentials")];
    machine.token(request).await;
    let answer = meter.count("token, client credentials", machine.token(request)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

async fn logins(meter: &mut Meter<'_>, shop: &RelyingParty) {
    let browser = Browser::new();
    by_password(&browser, &login_page(&browser, shop).await).await;
    let stranger = Browser::new();
    let page = login_page(&stranger, shop).await;
    meter.count("password login", by_password(&stranger, &page)).await;
    browser.forget_cookies(Some("samesake-session"));
    let page = login_page(&browser, shop).await;
    meter.count("password login in a browser that is known", by_password(&browser, &page)).await;

    let browser = Browser::new();
    let callback = at_callback(meter.app, &browser, shop).await;
    browser.get_one(&callback).await;
    // Late enough for what the provider delivers to be kept again.
    meter.app.clock.advance(Duration::from_secs(120));
    let browser = Browser::new();
    let callback = at_callback(meter.app, &browser, shop).await;
    let page = meter.count("social callback, known customer", browser.get_one(&callback)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text());
}

async fn resolve(meter: &mut Meter<'_>) {
    let resolve = async || {
        let mut tx = meter.app.store.begin_read().await.unwrap();
        tx.link_resolve("email", ANN).await.unwrap()
    };
    resolve().await;
    let before = meter.now();
    assert!(resolve().await.is_some());
    let after = meter.now();
    meter.counted.push(("resolve an identifier", [0, 1, 2].map(|kind| after[kind] - before[kind])));
}

fn link(customer: CustomerId, number: usize, now: Timestamp) -> Link {
    Link {
        id: LinkId::new(now),
        namespace: "app:old".to_owned(),
        external_id: format!("user-{number}"),
        exclusive: true,
        customer,
        root: customer,
        state: LinkState::Live,
        source: "test".to_owned(),
        proof: None,
        verified_at: None,
        display: None,
        profile: json!({}),
        first_seen: now,
        last_seen: now,
        ended_at: None,
        disabled_reason: None,
        disabled_at: None,
        mail_stopped_at: None,
    }
}

on_servers! {
    async fn no_request_costs_more_than_its_budget(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let app = gateway(env, &upstream).await;
        app.customer(ANN, "Ann Example").await;
        assert_within_budget(&count_all(&app).await);
    }

    /// A customer with a hundred links and many sessions costs what one with a single one costs.
    async fn a_busy_customer_costs_no_more(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let app = gateway(env, &upstream).await;
        let customer = app.customer(ANN, "Ann Example").await;
        let before = count_all(&app).await;
        let now = app.clock.now();
        let mut tx = app.store.background().begin().await.unwrap();
        for number in 0..100 {
            assert!(tx.link_insert(&link(customer, number, now)).await.unwrap());
        }
        tx.commit().await.unwrap();
        for _ in 0..100 {
            // The throttle is not what is counted here.
            app.clock.advance(Duration::from_secs(301));
            app.log_in(&Browser::new(), app.url("/sign-in"), ANN).await;
        }
        assert_eq!(count_all(&app).await, before);
    }
}
