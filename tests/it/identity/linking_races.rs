//! Logins, links and unlinks in any order and all at once: the graph comes out the same, and whole (rules 12, 18, 41 to
//! 46).

use std::collections::BTreeMap;
use std::time::Duration;

use samesake::config::EmailTrust;
use samesake::events::Actor;
use samesake::identity::erase::{self, Erased};
use samesake::ids::CustomerId;
use serde_json::json;
use url::Url;

use super::merge::program::waiting;
use super::races::Dice;
use super::{gateway, log_in_and_prove, log_in_as, person};
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, TestApp, invariants, until};
use crate::{on_both, on_servers};

/// Ten logins: connector, subject, address. People with one address are one, where a provider vouches for it.
const LOGINS: [(usize, &str, Option<&str>); 10] = [
    (0, "a", Some("e0")),
    (1, "b", Some("e0")),
    (2, "c", Some("e0")),
    (0, "d", Some("e1")),
    (1, "e", Some("e1")),
    (2, "f", None),
    (3, "g", Some("e0")),
    (1, "h", Some("e2")),
    (0, "i", Some("e2")),
    (3, "j", Some("e3")),
];

/// Which links are one customer's, whatever the customers are called; the round's own number taken out.
fn partition(graph: &invariants::Graph, round: usize) -> Vec<Vec<String>> {
    let mut customers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mark = format!("-{round}");
    for link in graph.links.iter().filter(|link| link.live && link.external_id.contains(&mark)) {
        let name = format!("{} {}", link.namespace, link.external_id.replace(&mark, ""));
        customers.entry(&link.root).or_default().push(name);
    }
    let mut partition: Vec<Vec<String>> = customers.into_values().collect();
    partition.iter_mut().for_each(|links| links.sort());
    partition.sort();
    partition
}

on_both! {
    /// Rule 12.
    async fn the_same_ten_logins_in_any_order_give_the_same_graph(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let connectors = (0..4).map(|number| {
            let mut config = upstream.config(&format!("c{number}"));
            config.email_trust = Some(if number == 3 { EmailTrust::Unverified } else { EmailTrust::Verified });
            config
        });
        let (app, rp) = gateway(env, connectors).await;
        let mut dice = Dice(12);
        let mut partitions = Vec::new();
        for round in 0..4 {
            let mut order: Vec<usize> = (0..LOGINS.len()).collect();
            for at in (1..order.len()).rev() {
                order.swap(at, dice.roll(at + 1));
            }
            for number in order {
                let (connector, subject, address) = LOGINS[number];
                let (subject, connector) = (format!("{subject}-{round}"), format!("c{connector}"));
                let email = address.map(|address| format!("{address}-{round}@shop.example"));
                let claims = email.as_deref().map_or_else(|| json!({"name": "Nobody"}), person);
                upstream.add_person(&subject, claims);
                log_in_and_prove(&app, &rp, &upstream, &connector, &subject, email.as_deref().unwrap_or_default()).await;
            }
            let graph = invariants::check(env).await;
            partitions.push(partition(&graph, round));
            app.clock.advance(Duration::from_secs(10 * 60));
        }
        assert_eq!(partitions[0].len(), 6, "{:?}", partitions[0]);
        for (round, partition) in partitions.iter().enumerate() {
            assert_eq!(*partition, partitions[0], "round {round}");
        }
    }
}

/// One thing a customer is about to do: everything is ready but the last request.
enum Prepared {
    /// To come back from a provider, at a login or to connect an account.
    Return { browser: Browser, callback: Url, connects: bool },
    /// To press the button that disconnects an account.
    Disconnect { browser: Browser, page: Page, link: String },
}

/// Goes to the provider for this person and stops on the way back.
async fn to_provider(browser: &Browser, page: &Page, form: &str, upstream: &Upstream, subject: &str) -> Option<Url> {
    upstream.choose(subject);
    let begun = browser.submit_one(page, form, &[("connector", "google")]).await;
    browser.get_one(begun.redirect()?).await.redirect()
}

/// The account page, after a login as this person; `None` if the gateway asks for a proof instead.
async fn account_as(app: &TestApp, browser: &Browser, upstream: &Upstream, subject: &str) -> Option<Page> {
    let login = browser.get(app.url("/account")).await;
    let callback = to_provider(browser, &login, "/login/social", upstream, subject).await?;
    let page = browser.get(callback).await;
    (page.url.path() == "/account").then_some(page)
}

async fn prepare(app: &TestApp, upstream: &Upstream, dice: &mut Dice) -> Option<Prepared> {
    let browser = Browser::new();
    let subject = format!("s{}", dice.roll(16));
    let kind = dice.roll(3);
    if kind == 0 {
        let login = browser.get(app.url("/account")).await;
        let callback = to_provider(&browser, &login, "/login/social", upstream, &subject).await?;
        return Some(Prepared::Return { browser, callback, connects: false });
    }
    let page = account_as(app, &browser, upstream, &subject).await?;
    if kind == 1 {
        // Half of the time an account that nobody signs in with first, so that connecting can succeed.
        let other = format!("s{}", if dice.roll(2) == 0 { dice.roll(16) } else { 16 + dice.roll(48) });
        let callback = to_provider(&browser, &page, "/account/connect", upstream, &other).await?;
        return Some(Prepared::Return { browser, callback, connects: true });
    }
    let forms = page.forms();
    let buttons: Vec<String> = forms
        .iter()
        .filter(|form| form.action == "/account/disconnect")
        .flat_map(|form| form.fields.iter().filter(|field| field.name == "link").map(|field| field.value.clone()))
        .collect();
    let link = buttons.get(dice.roll(buttons.len().max(1)))?.clone();
    Some(Prepared::Disconnect { browser, page, link })
}

on_servers! {
    /// Rules 41 to 46, and 18: two hundred things at two replicas, twenty at a time.
    async fn two_hundred_logins_links_and_unlinks_at_once_leave_the_graph_whole(env: &Env) {
        let upstream = Upstream::start().await;
        for number in 0..64 {
            let claims = if number < 16 && number % 2 == 0 { person(&format!("p{}@shop.example", number % 6)) } else { json!({}) };
            upstream.add_person(&format!("s{number}"), claims);
        }
        let (app, _) = gateway(env, [upstream.config("google")]).await;
        let replica = app.replica(env).await;
        let mut dice = Dice(200);
        let mut done: BTreeMap<(&str, u16, String), usize> = BTreeMap::new();
        let mut count = 0;
        while count < 200 {
            let mut batch = Vec::new();
            while batch.len() < 20 {
                batch.extend(prepare(&app, &upstream, &mut dice).await);
            }
            count += batch.len();
            let answers = batch.iter().enumerate().map(async |(number, prepared)| {
                let at = |browser: &Browser| match number % 2 {
                    0 => browser.clone(),
                    _ => browser.clone().via(&app.issuer, &replica.address),
                };
                match prepared {
                    Prepared::Return { browser, callback, connects } => {
                        let page = at(browser).get(callback).await;
                        (if *connects { "connect" } else { "log in" }, page)
                    }
                    Prepared::Disconnect { browser, page, link } => {
                        let answer = at(browser).submit(page, "/account/disconnect", &[("link", link)]).await;
                        ("disconnect", answer)
                    }
                }
            });
            for (what, page) in futures::future::join_all(answers).await {
                assert!(page.status.as_u16() < 500, "{what}: {} {}", page.status, page.text());
                *done.entry((what, page.status.as_u16(), page.url.path().to_owned())).or_default() += 1;
            }
            let graph = invariants::check(env).await;
            for id in graph.customers.keys() {
                let ways = graph.links.iter().filter(|link| link.live && link.root == *id && link.exclusive);
                assert!(ways.clone().any(|link| link.namespace == "social:google"), "rule 18: {id} is locked out");
            }
        }
        let many = |what: &str, status: u16| -> usize {
            done.iter().filter(|((kind, code, _), _)| *kind == what && *code == status).map(|(_, count)| count).sum()
        };
        assert!(many("log in", 200) >= 30, "{done:?}");
        assert!(many("connect", 200) >= 5 && many("connect", 409) >= 5, "{done:?}");
        assert!(many("disconnect", 200) >= 5 && many("disconnect", 409) >= 5, "{done:?}");
    }

    /// Rule 21: what the provider said of the erased goes to whom they are now.
    async fn who_logs_in_while_they_are_erased_writes_nothing_back(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        upstream.add_person("ann-1", person("ann@shop.example"));
        let (app, rp) = gateway(env, [upstream.config("acme")]).await;
        let before = log_in_as(&rp, &upstream, "acme", "ann-1").await.claims["sub"].clone();
        let erased: CustomerId = invariants::check(env).await.live("social:acme", "ann-1")[0].root.parse().unwrap();
        env.clock.advance(Duration::from_secs(3600));
        let store = app.store.background();
        let mut tx = store.begin().await.unwrap();
        let by = (Actor::System, "on request");
        let done = erase::erase_in(&mut tx, &app.app.secrets.task, erased, by, app.clock.now()).await.unwrap();
        assert!(matches!(done, Erased::Done { .. }), "{done:?}");
        let commit = async {
            until("the login waits", async || waiting(env).await > 0).await;
            tx.commit().await.unwrap();
        };
        let (tokens, ()) = futures::join!(log_in_as(&rp, &upstream, "acme", "ann-1"), commit);
        assert_ne!(tokens.claims["sub"], before, "who returns is a new customer");
        let links = store.begin_read().await.unwrap().links_of(erased, 10).await.unwrap();
        assert!(!links.is_empty() && links.iter().all(|link| link.profile.is_null()), "{links:?}");
        invariants::check(env).await;
    }
}
