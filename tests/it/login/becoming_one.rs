//! Two accounts of one person become one (rules 16, 25, 26 and 28): what the customer sees before, what is done, and what
//! comes between: second clicks, lost replies, other replicas, other people's merges.

use std::time::Duration;

use samesake::identity::merge::{self, Initiator, Terms, UndoRequest, Undone};
use samesake::ids::CustomerId;
use samesake::store::Store;
use serde_json::json;

use super::both_mine::{ANN, HUB, account_through, asked, customer_of, hold, told, two_customers, waiting};
use super::log_in_through;
use crate::harness::invariants::Graph;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, TestApp, invariants, until};
use crate::identity::merge::{by_operator, done, picture};
use crate::{on_both, on_servers};

const SESSION: &str = "samesake-session";
const SUBJECT: &str = "Your accounts at Samesake are one now";
const PREVIEW: &str = "Make them one account?";
const JOINED: &str = "Your accounts are one now";

/// Proves both, the first by a login of now, and is shown what joining them does.
async fn shown(app: &TestApp, browser: &Browser, one: &str, other: &str) -> Page {
    let page = account_through(app, browser, one).await;
    let page = asked(browser, &page, other).await;
    let page = browser.submit(&page, "/both-mine", &[]).await;
    assert_eq!((page.status.as_u16(), page.heading().as_str()), (200, PREVIEW), "{}", page.text());
    page
}

async fn join(browser: &Browser, page: &Page) -> Page {
    browser.submit(page, "/both-mine/join", &[]).await
}

fn merges(graph: &Graph) -> usize {
    graph.events.iter().filter(|event| event.kind == "customer.merged").count()
}

async fn both(env: &Env) -> (CustomerId, CustomerId) {
    (customer_of(env, "social:google", "ann-1").await, customer_of(env, "social:github", "hub-1").await)
}

fn store(app: &TestApp) -> Store {
    app.store.background()
}

on_both! {
    async fn who_says_so_has_one_account_that_keeps_its_subjects(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let rp = app.relying_party("shop").await;
        let (ann, hub) = both(env).await;
        let sub_of = async |connector: &str| {
            let tokens = log_in_through(&rp, &Browser::new(), connector).await;
            tokens.claims["sub"].as_str().unwrap().to_owned()
        };
        let (ann_sub, hub_sub) = (sub_of("google").await, sub_of("github").await);
        assert_ne!(ann_sub, hub_sub);
        let elsewhere = Browser::new();
        account_through(&app, &elsewhere, "github").await;
        let browser = Browser::new();
        let page = shown(&app, &browser, "google", "github").await;
        for words in ["You stay signed in as ann@shop.example", "Upstream github", HUB, "knew you as two people",
            "signed in, you’ll be asked to sign in again", "within 90 days"] {
            assert!(page.contains(words), "{words:?} is not in {}", page.text());
        }
        let before = browser.cookie(SESSION).unwrap();
        let joined = join(&browser, &page).await;
        assert_eq!((joined.status.as_u16(), joined.heading().as_str()), (200, JOINED), "{}", joined.text());
        assert_ne!(browser.cookie(SESSION).unwrap().value, before.value, "who is signed in has changed");
        until("the mails", async || told(&app, SUBJECT, ANN) == 1 && told(&app, SUBJECT, HUB) == 1).await;
        assert!(waiting(&app).await.is_empty(), "the request has its answer");
        // The account that was signed in lives on; whichever way in, it is the one account with its subject.
        assert_eq!(both(env).await, (ann, ann));
        assert_eq!((sub_of("google").await, sub_of("github").await), (ann_sub.clone(), ann_sub));
        let account = browser.click(&joined, "Back to your account").await;
        assert!(account.contains(ANN) && account.contains(HUB), "{}", account.text());
        let graph = invariants::check(env).await;
        assert_eq!(merges(&graph), 1);
        assert!(graph.customers.values().any(|row| row.state == "merged"));
        assert!(store(&app).begin_read().await.unwrap().customer_living(hub).await.unwrap().unwrap().id == ann);
        // The browser's old session is nobody's, and the other side's sessions ask again.
        let thief = Browser::new();
        thief.put_cookie(before);
        assert_eq!(thief.get(app.url("/account")).await.url.path(), "/login");
        let tokens = rp.authorization();
        let asks = elsewhere.get(&tokens.url).await;
        assert_eq!(asks.url.path(), "/login", "{}", asks.text());
    }

    /// The second click, and a retry by a browser that never got the first reply.
    async fn a_second_click_and_a_retry_after_a_lost_reply_find_it_done(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = shown(&app, &browser, "google", "github").await;
        let kept = browser.cookie(SESSION).unwrap();
        let (one, two) = tokio::join!(join(&browser, &page), join(&browser, &page));
        for page in [one, two] {
            let said = page.heading();
            assert!(said == JOINED || page.url.path() == "/login", "{said} at {}", page.url);
        }
        assert_eq!(join(&browser, &page).await.heading(), JOINED);
        // As if the reply with the new session had been lost: a login leads on.
        browser.put_cookie(kept);
        let login = join(&browser, &page).await;
        assert_eq!(login.url.path(), "/login", "{}", login.text());
        let account = browser.submit(&login, "/login/social", &[("connector", "github")]).await;
        assert!(account.url.path() == "/account" && account.contains(ANN), "{}", account.text());
        let graph = invariants::check(env).await;
        assert_eq!(merges(&graph), 1);
        until("the mails", async || told(&app, SUBJECT, ANN) >= 1 && told(&app, SUBJECT, HUB) >= 1).await;
        assert_eq!((told(&app, SUBJECT, ANN), told(&app, SUBJECT, HUB)), (1, 1));
    }

    async fn a_button_pressed_too_late_asks_to_sign_in_and_shows_it_again(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        app.clock.advance(Duration::from_secs(8 * 60));
        let page = asked(&browser, &page, "github").await;
        let page = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!(page.heading(), PREVIEW);
        app.clock.advance(Duration::from_secs(4 * 60));
        let login = join(&browser, &page).await;
        assert_eq!(login.heading(), "Confirm it’s you");
        let again = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
        assert_eq!(again.heading(), PREVIEW);
        app.clock.advance(Duration::from_secs(7 * 60));
        let late = join(&browser, &again).await;
        assert_eq!(late.heading(), "That took a little too long");
        assert_eq!(merges(&invariants::check(env).await), 0);
    }

    /// What was agreed to is what was shown: another link of the other side is another plan.
    async fn what_has_changed_since_is_shown_again(env: &Env) {
        let (google, _github, app) = two_customers(env).await;
        google.add_person("hub-2", json!({"name": "Ann at the hub"}));
        let (browser, other) = (Browser::new(), Browser::new());
        let page = shown(&app, &browser, "google", "github").await;
        let theirs = account_through(&app, &other, "github").await;
        google.choose("hub-2");
        other.submit(&theirs, "/account/connect", &[("connector", "google")]).await;
        let again = join(&browser, &page).await;
        assert_eq!(again.heading(), PREVIEW);
        assert!(again.contains("Upstream google"), "{}", again.text());
        assert_eq!(merges(&invariants::check(env).await), 0);
        assert_eq!(join(&browser, &again).await.heading(), JOINED);
        assert_eq!(merges(&invariants::check(env).await), 1);
    }

    async fn a_hold_that_came_between_leaves_the_request_open(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = shown(&app, &browser, "google", "github").await;
        hold(&app, both(env).await.0).await;
        let noted = join(&browser, &page).await;
        assert_eq!(noted.heading(), "We’ve noted your request");
        assert_eq!((waiting(&app).await.len(), merges(&invariants::check(env).await)), (1, 0));
    }

    /// Rule 30: an adult and a minor are two people, whatever one browser proves.
    async fn two_dates_of_birth_are_not_joined_and_the_page_says_why(env: &Env) {
        let google = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        google.add_person("ann-1", json!({"email": ANN, "email_verified": true, "name": "Ann"}));
        let github = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        github.add_person("hub-1", json!({"email": HUB, "email_verified": true, "name": "Ann"}));
        let builder = TestApp::builder(env).web_client("shop").connector(google.config("google"));
        let app = builder.connector(github.config("github")).start().await;
        for connector in ["google", "github"] {
            account_through(&app, &Browser::new(), connector).await;
        }
        let (ann, hub) = both(env).await;
        let mut tx = store(&app).begin().await.unwrap();
        for (id, born) in [(ann, "1980-04-01"), (hub, "2015-04-01")] {
            let profile = json!({"birthdate": {"value": born, "at": 1}});
            tx.member_profile_set(id, &profile, app.clock.now()).await.unwrap();
        }
        tx.commit().await.unwrap();
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        let noted = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!(noted.heading(), "We’ve noted your request");
        assert!(noted.contains("different things about when you were born"), "{}", noted.text());
        assert_eq!(waiting(&app).await.len(), 1);
        assert_eq!(merges(&invariants::check(env).await), 0);
    }

    /// Rule 25: an admin's merge joins no keys, the customer's fresh proofs do.
    async fn whom_an_admin_merged_meanwhile_has_one_account_with_all_its_keys(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let browser = Browser::new();
        let page = shown(&app, &browser, "google", "github").await;
        let (ann, hub) = both(env).await;
        let (request, now) = (by_operator(ann, hub), app.clock.now());
        done(merge::execute(&store(&app), &app.app.config.merge, &request, Terms::default(), now).await.unwrap());
        assert_eq!(join(&browser, &page).await.heading(), JOINED);
        let graph = invariants::check(env).await;
        let joined = graph.events.iter().filter(|event| event.kind == "customer.keys_joined").count();
        assert_eq!((merges(&graph), joined), (1, 1));
        let account = account_through(&app, &Browser::new(), "github").await;
        assert!(account.contains(ANN), "{}", account.text());
    }

    /// Rule 25: a way in that opens a part of an account proves nothing of the rest.
    async fn a_part_of_an_account_joins_nothing(env: &Env) {
        let (google, _github, app) = two_customers(env).await;
        google.add_person("new-1", json!({"name": "Somebody new"}));
        let (ann, hub) = both(env).await;
        let now = app.clock.now();
        done(merge::execute(&store(&app), &app.app.config.merge, &by_operator(ann, hub), Terms::default(), now).await.unwrap());
        // With the absorbed side's account in hand, and one of their own.
        google.choose("new-1");
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        let refused = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (409, "Not all of it is shown to be yours"));
        assert!(!refused.body.contains("shop.example"), "{}", refused.text());
        // And the other way round: signed in to the part.
        let part = Browser::new();
        let page = account_through(&app, &part, "github").await;
        let page = asked(&part, &page, "google").await;
        let refused = part.submit(&page, "/both-mine", &[]).await;
        assert_eq!(refused.heading(), "Not all of it is shown to be yours");
        assert_eq!(merges(&invariants::check(env).await), 1);
    }

    async fn an_admin_can_undo_it_and_it_is_as_before(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let (ann, hub) = both(env).await;
        let before = picture(&invariants::check(env).await);
        let browser = Browser::new();
        let page = shown(&app, &browser, "google", "github").await;
        assert_eq!(join(&browser, &page).await.heading(), JOINED);
        let made = store(&app).begin_read().await.unwrap().merge_of(hub).await.unwrap().unwrap();
        let by = Initiator::Admin { name: "eve".to_owned(), customer: None };
        let undoing = UndoRequest { merge: made.id, by, reason: "two people".to_owned(), take: vec![] };
        let undone = merge::undo(&store(&app), &app.app.config.merge, &undoing, None, app.clock.now()).await.unwrap();
        assert!(matches!(undone, Undone::Done { repeated: false, .. }), "{undone:?}");
        assert_eq!(both(env).await, (ann, hub));
        assert_eq!(picture(&invariants::check(env).await), before);
        assert!(waiting(&app).await.is_empty(), "an undoing asks nobody again");
        // The pair is known not to be one person: the page says to get in touch.
        app.clock.advance(Duration::from_secs(1));
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let page = asked(&browser, &page, "github").await;
        assert_eq!(browser.submit(&page, "/both-mine", &[]).await.heading(), "Please contact us");
    }
}

on_servers! {
    /// Both sides at once, each the signed-in one of its own browser, at two replicas: one merge, and every page is clean.
    async fn joined_from_both_sides_at_two_replicas_it_is_one_merge(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let replica = app.replica(env).await;
        let mut pages = Vec::new();
        for number in 0..6 {
            let (own, others) = if number % 2 == 0 { ("google", "github") } else { ("github", "google") };
            let browser = Browser::new();
            let page = shown(&app, &browser, own, others).await;
            pages.push((browser, page));
        }
        let presses = pages.iter().enumerate().map(async |(number, (browser, page))| {
            let browser = browser.clone();
            let browser = if number % 3 == 0 { browser.via(&app.issuer, &replica.address) } else { browser };
            join(&browser, page).await
        });
        for page in futures::future::join_all(presses).await {
            assert_eq!((page.status.as_u16(), page.heading().as_str()), (200, JOINED), "{}", page.text());
        }
        let graph = invariants::check(env).await;
        assert_eq!((merges(&graph), graph.merges.len()), (1, 1));
        assert!(waiting(&app).await.is_empty());
        // Either replica may be the one that sends what is queued.
        let told = |email: &str| told(&app, SUBJECT, email) + told(&replica, SUBJECT, email);
        until("the mails", async || told(ANN) >= 1 && told(HUB) >= 1).await;
        assert_eq!((told(ANN), told(HUB)), (1, 1));
    }
}
