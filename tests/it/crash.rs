//! Power cuts: the program is killed in the middle of logins, again and again, and nothing is ever half done.
//!
//! The points are seeded: after so many steps of the browsers, with whatever is under way at that moment.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::sync::watch;

use crate::harness::app::{PASSWORD, web_client};
use crate::harness::gateway::{client_toml, connector_toml};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Gateway, RelyingParty, invariants};
use crate::identity::person;
use crate::identity::races::Dice;
use crate::on_servers;

const SECRET: &str = "a secret of the client, long enough: 0123456789";
const KILLS: usize = 10;
const BROWSERS: usize = 6;

/// Counts the steps of all browsers.
struct Steps(watch::Sender<usize>);

impl Steps {
    fn step(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// A login through the provider, step by step; the tokens at its end are verified.
async fn log_in(rp: &RelyingParty, browser: &Browser, steps: &Steps) -> String {
    let authorization = rp.authorization();
    steps.step();
    let page = browser.get(&authorization.url).await;
    steps.step();
    let callback = if page.stopped {
        page
    } else {
        let begun = browser.submit_one(&page, "/login/social", &[("connector", "google")]).await;
        let back = browser.get_one(begun.redirect().unwrap()).await;
        steps.step();
        browser.get(back.redirect().unwrap()).await
    };
    steps.step();
    rp.finish(&authorization, &callback).await.claims["sub"].as_str().unwrap().to_owned()
}

on_servers! {
    async fn a_kill_at_any_point_of_a_login_leaves_nothing_half_done(env: &Env) {
        let upstream = Upstream::start().await;
        let more = client_toml("shop", SECRET) + &connector_toml(&upstream.config("google"));
        let mut gateway = Gateway::start(env, &more).await;
        let client = web_client("shop", serde_json::json!({}));
        let rp = RelyingParty::discover(&gateway.issuer, &client, Some(SECRET), &env.clock).await;
        let mut dice = Dice(0xdead);
        let (mut interrupted, mut completed) = (0, 0);
        for round in 0..KILLS {
            // One stranger a round, several of whose browsers come at once.
            let subject = format!("stranger-{round}");
            upstream.add_person(&subject, person(&format!("{subject}@shop.example")));
            upstream.choose(&subject);
            let browsers: Vec<Browser> = (0..BROWSERS).map(|_| Browser::new()).collect();
            let (sender, mut seen) = watch::channel(0);
            let steps = Steps(sender);
            let point = 1 + dice.roll(BROWSERS * 4);
            let pauses = dice.roll(200);
            let logins = browsers.iter().map(|browser| AssertUnwindSafe(log_in(&rp, browser, &steps)).catch_unwind());
            let killer = async {
                seen.wait_for(|count| *count >= point).await.unwrap();
                for _ in 0..pauses {
                    tokio::task::yield_now().await;
                }
                gateway.kill();
            };
            let (outcomes, ()) = futures::join!(futures::future::join_all(logins), killer);
            completed += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            interrupted += outcomes.iter().filter(|outcome| outcome.is_err()).count();
            // The connections of the dead are gone before anything is read.
            gateway.restart().await;
            let before = invariants::check(env).await;
            assert!(before.live("social:google", &subject).len() <= 1, "round {round}");
            // Every browser gets in, with what it still holds of the login that was cut off.
            let mut subs = Vec::new();
            for browser in &browsers {
                subs.push(log_in(&rp, browser, &steps).await);
            }
            subs.dedup();
            assert_eq!(subs.len(), 1, "round {round}: one person: {subs:?}");
            for outcome in outcomes.into_iter().flatten() {
                assert_eq!(outcome, subs[0], "round {round}: who was in before the cut is the same person after");
            }
        }
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), KILLS);
        assert!(interrupted >= KILLS, "the cuts met nobody: {interrupted} logins cut off, {completed} not");
    }

    /// A password sign-up is three writes in three places; whichever of them were made, the way on is open.
    async fn a_kill_in_a_sign_up_leaves_the_address_usable(env: &Env) {
        let mut gateway = Gateway::start(env, &client_toml("shop", SECRET)).await;
        let client = web_client("shop", serde_json::json!({}));
        let rp = RelyingParty::discover(&gateway.issuer, &client, Some(SECRET), &env.clock).await;
        let mut dice = Dice(0xbeef);
        for round in 0..4 {
            let email = format!("new{round}@shop.example");
            let browser = Browser::new();
            let authorization = rp.authorization();
            let page = browser.get(&authorization.url).await;
            let page = browser.click(&page, "Create account").await;
            let page = browser.submit(&page, "/sign-up", &[("email", &email), ("password", PASSWORD)]).await;
            let code = gateway.mailed_code(&email).await;
            let entered = [("code", code.as_str())];
            let submit = AssertUnwindSafe(browser.submit(&page, "/sign-up/code", &entered)).catch_unwind();
            let pauses = dice.roll(60);
            let killer = async {
                for _ in 0..pauses {
                    tokio::task::yield_now().await;
                }
                gateway.kill();
            };
            let _ = futures::join!(submit, killer);
            gateway.restart().await;
            invariants::check(env).await;
            // Either the account is there, or the code, or another code can be had.
            let again = rp.authorization();
            let page = browser.get(&again.url).await;
            let callback = if page.stopped {
                page
            } else {
                let tried = browser.submit(&page, "/login/password", &[("email", &email), ("password", PASSWORD)]).await;
                if tried.stopped { tried } else { sign_up_again(&gateway, &browser, &tried, &email).await }
            };
            rp.finish(&again, &callback).await;
            assert_eq!(invariants::check(env).await.live("email", &email).len(), 1, "round {round}");
        }
    }
}

async fn sign_up_again(
    gateway: &Gateway,
    browser: &Browser,
    page: &crate::harness::Page,
    email: &str,
) -> crate::harness::Page {
    let sent = gateway.mails().len();
    let page = browser.click(page, "Create account").await;
    let page = browser.submit(&page, "/sign-up", &[("email", email), ("password", PASSWORD)]).await;
    crate::harness::until("another mail", async || gateway.mails().len() > sent).await;
    let code = gateway.mailed_code(email).await;
    browser.submit(&page, "/sign-up/code", &[("code", &code)]).await
}
