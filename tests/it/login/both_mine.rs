//! "Both accounts are mine": two customers proved in one session, the question, and the request that waits for somebody
//! where they may not become one at once (rules 11, 16). What follows otherwise is in `becoming_one`.

use std::time::Duration;

use samesake::events::Actor;
use samesake::identity::hold::{self, Held};
use samesake::ids::CustomerId;
use samesake::store::{CustomerState, MergeRequest};
use serde_json::json;

use super::provider_with_ann;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, TestApp, invariants, until};
use crate::{on_both, on_servers};

pub const ANN: &str = "ann@shop.example";
pub const HUB: &str = "ann@hub.example";
const SUBJECT: &str = "Your accounts at Samesake are to become one";

/// Two providers, and at each a customer of its own: `google` with [`ANN`], `github` with [`HUB`].
pub async fn two_customers(env: &Env) -> (Upstream, Upstream, TestApp) {
    let google = provider_with_ann(env).await;
    let github = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    github.add_person("hub-1", json!({"email": HUB, "email_verified": true, "name": "Ann"}));
    let builder = TestApp::builder(env).web_client("shop").connector(google.config("google"));
    let app = builder.connector(github.config("github")).start().await;
    for connector in ["google", "github"] {
        account_through(&app, &Browser::new(), connector).await;
    }
    (google, github, app)
}

pub async fn account_through(app: &TestApp, browser: &Browser, connector: &str) -> Page {
    let page = browser.get(app.url("/account")).await;
    let page = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
    page
}

/// Connects an account that is another customer's, and is asked.
pub async fn asked(browser: &Browser, page: &Page, connector: &str) -> Page {
    let page = browser.submit(page, "/account/connect", &[("connector", connector)]).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (409, "/both-mine"), "{}", page.text());
    page
}

pub async fn waiting(app: &TestApp) -> Vec<MergeRequest> {
    app.store.background().begin_read().await.unwrap().merge_requests_open(10).await.unwrap()
}

/// How many mails with this subject have gone to an address.
pub fn told(app: &TestApp, subject: &str, email: &str) -> usize {
    let sent = app.app.mailer.sent();
    sent.iter().filter(|mail| mail.subject == subject && mail.to.normalized() == email).count()
}

/// Puts a customer under a legal hold: no merge of theirs goes through.
pub async fn hold(app: &TestApp, customer: CustomerId) {
    let mut tx = app.store.background().begin().await.unwrap();
    let held = hold::place(&mut tx, customer, Actor::System, "court order 7", app.clock.now()).await.unwrap();
    assert_eq!(held, Held::Done { customer });
    tx.commit().await.unwrap();
}

/// The customer of a live link.
pub async fn customer_of(env: &Env, namespace: &str, external_id: &str) -> CustomerId {
    let graph = invariants::check(env).await;
    graph.live(namespace, external_id)[0].root.parse().unwrap()
}

on_both! {
    async fn who_proves_both_is_asked_and_nothing_of_the_other_is_told_before(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let before = invariants::check(env).await;
        let page = asked(&browser, &page, "github").await;
        assert!(page.contains("Your Upstream github account is connected to another account here"), "{}", page.text());
        assert!(!page.body.contains("hub.example"), "nothing of the other: {}", page.text());
        let shown = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!((shown.status.as_u16(), shown.heading().as_str()), (200, "Make them one account?"));
        assert!(waiting(&app).await.is_empty(), "nothing is asked before the customer says so");
        assert_eq!(invariants::check(env).await.events.len(), before.events.len());
    }

    /// A legal hold is nothing that the customer is told of; the request is there for whoever looks after customers.
    async fn what_may_not_be_joined_waits_for_somebody_to_look_at_it(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        hold(&app, customer_of(env, "social:github", "hub-1").await).await;
        let before = invariants::check(env).await;
        let done = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!((done.status.as_u16(), done.heading().as_str()), (200, "We’ve noted your request"));
        assert!(done.contains("One of them can’t be joined without us") && !done.contains("court"), "{}", done.text());
        let requests = waiting(&app).await;
        let (ann, hub) =
            (customer_of(env, "social:google", "ann-1").await, customer_of(env, "social:github", "hub-1").await);
        assert_eq!(requests.len(), 1);
        assert_eq!((requests[0].a, requests[0].b), (ann.min(hub), ann.max(hub)));
        let proofs = requests[0].proofs.as_array().unwrap();
        assert_eq!((&proofs[0]["via"], &proofs[1]["via"]), (&json!("social:google"), &json!("social:github")));
        assert!(proofs.iter().all(|proof| proof["link"].is_string() && proof["at"].is_i64()), "{proofs:?}");
        until("the mails", async || told(&app, SUBJECT, ANN) == 1 && told(&app, SUBJECT, HUB) == 1).await;
        // The customers are as they were, but for the event of each.
        let after = invariants::check(env).await;
        assert_eq!(after.customers.len(), before.customers.len());
        let events: Vec<&str> = after.events[before.events.len()..].iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(events, ["merge.requested", "merge.requested"]);
        // Once more, and from the other side: it is the one request.
        let again = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!(again.heading(), "We’ve noted your request");
        let other = Browser::new();
        let page = account_through(&app, &other, "github").await;
        let page = asked(&other, &page, "google").await;
        assert_eq!(other.submit(&page, "/both-mine", &[]).await.heading(), "We’ve noted your request");
        assert_eq!(waiting(&app).await, requests);
        assert_eq!(invariants::check(env).await.events.len(), after.events.len());
        assert_eq!(browser.click(&done, "Back to your account").await.url.path(), "/account");
    }

    /// The button that was pressed goes on after the login that was asked for.
    async fn an_older_login_is_asked_for_again_and_the_button_goes_on(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        app.clock.advance(Duration::from_secs(8 * 60));
        let page = asked(&browser, &page, "github").await;
        app.clock.advance(Duration::from_secs(4 * 60));
        let login = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!((login.url.path(), login.heading().as_str()), ("/login", "Confirm it’s you"));
        let done = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!((done.url.path(), done.heading().as_str()), ("/both-mine", "Make them one account?"));
        invariants::check(env).await;
    }

    async fn a_proof_older_than_ten_minutes_counts_for_nothing(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        app.clock.advance(Duration::from_secs(11 * 60));
        let login = browser.submit(&page, "/both-mine", &[]).await;
        let late = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!((late.status.as_u16(), late.heading().as_str()), (409, "That took a little too long"));
        assert_eq!(browser.get(&page.url).await.heading(), "That took a little too long");
        assert!(waiting(&app).await.is_empty());
    }

    /// Rule 10's binding: the other account alone, another session or another browser prove nothing.
    async fn the_question_is_one_sessions_and_one_browsers(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let (browser, other) = (Browser::new(), Browser::new());
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        account_through(&app, &other, "google").await;
        let refused = other.submit(&page, "/both-mine", &[]).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (400, "This page has expired"));
        // Asked to log in as the one, somebody logs in as the other.
        app.clock.advance(Duration::from_secs(9 * 60));
        let page = browser.get(app.url("/account")).await;
        let page = asked(&browser, &page, "github").await;
        app.clock.advance(Duration::from_secs(2 * 60));
        let login = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!(login.url.path(), "/login");
        let as_other = browser.submit(&login, "/login/social", &[("connector", "github")]).await;
        assert_eq!((as_other.status.as_u16(), as_other.url.path()), (200, "/account"));
        assert_eq!(browser.submit(&page, "/both-mine", &[]).await.heading(), "This page has expired");
        // Signed out: the page asks nobody.
        browser.forget_cookies(Some("samesake-session"));
        assert_eq!(browser.submit(&page, "/both-mine", &[]).await.status.as_u16(), 400);
        assert!(waiting(&app).await.is_empty());
        invariants::check(env).await;
    }

    async fn an_account_that_may_not_log_in_is_not_joined(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        let hub = customer_of(env, "social:github", "hub-1").await;
        let mut tx = app.store.background().begin().await.unwrap();
        tx.customer_state_set(hub, CustomerState::Blocked, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let refused = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (409, "Please contact us"));
        assert!(waiting(&app).await.is_empty());
    }

    /// The proof of the other customer is their link: gone from them, it proves nothing.
    async fn a_link_that_is_gone_proves_nothing(env: &Env) {
        let (google, _github, app) = two_customers(env).await;
        google.add_person("hub-2", json!({"name": "Ann at the hub"}));
        let (browser, other) = (Browser::new(), Browser::new());
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        let theirs = account_through(&app, &other, "github").await;
        google.choose("hub-2");
        let theirs = other.submit(&theirs, "/account/connect", &[("connector", "google")]).await;
        let graph = invariants::check(env).await;
        let link = uuid::Uuid::parse_str(&graph.live("social:github", "hub-1")[0].id).unwrap().to_string();
        other.submit(&theirs, "/account/disconnect", &[("link", &link)]).await;
        let refused = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!(refused.heading(), "That took a little too long");
        assert!(waiting(&app).await.is_empty());
    }
}

on_servers! {
    /// The database decides: from both sides at once, at two replicas, there is one request and one event of each.
    async fn asked_from_both_sides_at_once_there_is_one_request(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let replica = app.replica(env).await;
        let mut pages = Vec::new();
        for number in 0..6 {
            let (own, others) = if number % 2 == 0 { ("google", "github") } else { ("github", "google") };
            let browser = Browser::new();
            let page = account_through(&app, &browser, own).await;
            pages.push((browser.clone(), asked(&browser, &page, others).await));
        }
        hold(&app, customer_of(env, "social:google", "ann-1").await).await;
        let presses = pages.iter().enumerate().map(async |(number, (browser, page))| {
            let browser = browser.clone();
            let browser = if number % 3 == 0 { browser.via(&app.issuer, &replica.address) } else { browser };
            browser.submit(page, "/both-mine", &[]).await.heading()
        });
        for heading in futures::future::join_all(presses).await {
            assert_eq!(heading, "We’ve noted your request");
        }
        assert_eq!(waiting(&app).await.len(), 1);
        let graph = invariants::check(env).await;
        assert_eq!(graph.events.iter().filter(|event| event.kind == "merge.requested").count(), 2);
    }
}
