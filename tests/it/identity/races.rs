//! Many at once: the database decides, and everybody gets in (rules 7 and 14). Over HTTP, at two replicas.

use std::collections::BTreeSet;

use serde_json::json;

use super::{gateway, person};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants};
use crate::on_servers;

/// A browser that has been at the provider and is about to come back, to the replica it is given.
async fn about_to_return(rp: &RelyingParty, connector: &str) -> (Browser, Returning) {
    let browser = Browser::new();
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    let begun = browser.submit_one(&page, "/login/social", &[("connector", connector)]).await;
    let at_provider = browser.get_one(begun.redirect().unwrap()).await;
    (browser, Returning { authorization, callback: at_provider.redirect().unwrap() })
}

struct Returning {
    authorization: crate::harness::relying_party::Authorization,
    callback: url::Url,
}

/// All of them come back at once, half to each replica; answers each one's `sub`, `None` where a proof is asked for.
async fn outcomes_at_once(
    rp: &RelyingParty,
    replicas: [&TestApp; 2],
    returning: &[(Browser, Returning)],
) -> Vec<Option<String>> {
    let logins = returning.iter().enumerate().map(async |(number, (browser, returning))| {
        let (replica, other) = (replicas[number % 2], replicas[(number + 1) % 2]);
        let browser = browser.clone().via(&replicas[0].issuer, &replica.address);
        let callback = replicas[0].issuer.join(returning.callback.path()).unwrap();
        let page = browser.get(format!("{callback}?{}", returning.callback.query().unwrap())).await;
        if page.url.path() == "/link" {
            assert_eq!(page.heading(), "You already have an account");
            return None;
        }
        let rp = rp.clone().via(&other.address);
        Some(rp.finish(&returning.authorization, &page).await.claims["sub"].as_str().unwrap().to_owned())
    });
    futures::future::join_all(logins).await
}

/// The same where nobody is asked for a proof.
async fn return_at_once(
    rp: &RelyingParty,
    replicas: [&TestApp; 2],
    returning: &[(Browser, Returning)],
) -> BTreeSet<String> {
    let outcomes = outcomes_at_once(rp, replicas, returning).await;
    outcomes.into_iter().map(|sub| sub.unwrap()).collect()
}

on_servers! {
    /// Rule 7.
    async fn fifty_first_logins_of_one_account_make_one_customer(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("ann-1", person("ann@shop.example"));
        let (app, rp) = gateway(env, [upstream.config("google")]).await;
        let replica = app.replica(env).await;
        let mut returning = Vec::new();
        for _ in 0..50 {
            returning.push(about_to_return(&rp, "google").await);
        }
        let subs = return_at_once(&rp, [&app, &replica], &returning).await;
        assert_eq!(subs.len(), 1, "all fifty are in, as one: {subs:?}");
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), 1);
        assert_eq!((graph.live("social:google", "ann-1").len(), graph.links.len()), (1, 2));
        let root = &graph.links[0].root;
        assert_eq!(graph.history(root), ["customer.created", "link.added", "link.added"]);
        assert_eq!(graph.subjects.len(), 1);
    }

    /// Rule 7: the same trusted address through two providers at once never has two owners.
    async fn one_address_through_two_providers_at_once_has_one_owner(env: &Env) {
        let (google, github) = (Upstream::start().await, Upstream::start().await);
        let (app, rp) = gateway(env, [google.config("google"), github.config("github")]).await;
        let replica = app.replica(env).await;
        let mut returning = Vec::new();
        let people = 12;
        for number in 0..people {
            let subject = format!("p-{number}");
            for (upstream, connector) in [(&google, "google"), (&github, "github")] {
                upstream.add_person(&subject, person(&format!("p{number}@shop.example")));
                upstream.choose(&subject);
                returning.push(about_to_return(&rp, connector).await);
            }
        }
        let outcomes = outcomes_at_once(&rp, [&app, &replica], &returning).await;
        for pair in outcomes.chunks(2) {
            assert!(pair[0].is_some() != pair[1].is_some(), "one is let in, the other asked for a proof: {pair:?}");
        }
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), people, "nobody is there twice");
        for number in 0..people {
            let email = format!("p{number}@shop.example");
            assert_eq!(graph.live("email", &email).len(), 1, "{email} has one owner");
            assert!(graph.live("unproved_email", &email).is_empty());
        }
    }

    /// A crowd of strangers: each is somebody, and nobody waits in vain for anybody.
    async fn strangers_at_once_do_not_get_in_each_others_way(env: &Env) {
        let upstream = Upstream::start().await;
        let (app, rp) = gateway(env, [upstream.config("google")]).await;
        let replica = app.replica(env).await;
        let mut returning = Vec::new();
        for number in 0..40 {
            let subject = format!("p-{number}");
            upstream.add_person(&subject, json!({"email": format!("{subject}@shop.example"), "email_verified": true}));
            upstream.choose(&subject);
            returning.push(about_to_return(&rp, "google").await);
        }
        let subs = return_at_once(&rp, [&app, &replica], &returning).await;
        assert_eq!(subs.len(), 40);
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.links.len(), graph.events.len()), (40, 80, 120));
    }

    /// A seeded mix of everything that this surface can do, at two replicas: the rules hold at the end, and each kind
    /// of step has really succeeded often.
    async fn random_logins_at_once_keep_every_rule(env: &Env) {
        let (google, github) = (Upstream::start().await, Upstream::start().await);
        let (app, rp) = gateway(env, [google.config("google"), github.config("github")]).await;
        let replica = app.replica(env).await;
        for number in 0..6 {
            app.customer(&format!("p{number}@shop.example"), "With a password").await;
        }
        let mut dice = Dice(0x5eed);
        let (mut social, mut known, mut asked, mut passwords) = (0, BTreeSet::new(), 0, 0);
        for _ in 0..6 {
            let mut returning = Vec::new();
            for _ in 0..10 {
                let (upstream, connector) = [(&google, "google"), (&github, "github")][dice.roll(2)];
                let subject = format!("s-{}", dice.roll(12));
                // Some addresses belong to password accounts, some to several people, some change.
                upstream.add_person(&subject, person(&format!("p{}@shop.example", dice.roll(15))));
                upstream.choose(&subject);
                known.insert((connector, subject));
                returning.push(about_to_return(&rp, connector).await);
                social += 1;
            }
            let with_password: Vec<String> = (0..4).map(|_| format!("p{}@shop.example", dice.roll(6))).collect();
            let logins = with_password.iter().map(async |email| {
                let authorization = rp.authorization();
                let callback = app.log_in(&Browser::new(), &authorization.url, email).await;
                rp.finish(&authorization, &callback).await
            });
            let logins = futures::future::join_all(logins);
            let (outcomes, tokens) = futures::join!(outcomes_at_once(&rp, [&app, &replica], &returning), logins);
            asked += outcomes.iter().filter(|outcome| outcome.is_none()).count();
            passwords += tokens.len();
        }
        let graph = invariants::check(env).await;
        assert_eq!((social, passwords), (60, 24));
        assert!(known.len() >= 12, "too few people took part: {}", known.len());
        assert!((5..40).contains(&asked), "{asked} were asked for a proof");
        let linked: usize = known
            .iter()
            .map(|(connector, subject)| graph.live(&format!("social:{connector}"), subject).len())
            .sum();
        assert_eq!(graph.customers.len(), linked + 6, "without a proof nobody is joined with anybody");
    }
}

/// Numbers that look random and are the same in every run (an LCG with the constants of PCG).
pub struct Dice(pub u64);

impl Dice {
    /// From 0 to `sides` - 1.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}
