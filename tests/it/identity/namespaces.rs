//! What each namespace declares, applied: limits by week, proofs that age, spellings, blocked values, priorities (rule 1).

use std::time::Duration;

use samesake::config::{Config, Normalizer};
use samesake::events::Actor;
use samesake::identity::address::EmailAddress;
use samesake::identity::attaching::{self, Attached, Said};
use samesake::identity::limit::Limit;
use samesake::identity::namespace::{Namespace, Rules};
use samesake::identity::resolve::{self, Identifier};
use samesake::identity::sign_in::{self, SignedUp};
use samesake::ids::CustomerId;
use samesake::store;
use serde_json::{Value, json};

use super::{log_in_as, person};
use crate::harness::gateway::client_toml;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Gateway, Page, TestApp, invariants};
use crate::{on_both, on_servers};

const DAY: Duration = Duration::from_secs(86_400);
const NUMBER: &str = "+4930901820";

/// A gateway with two customers, changed before it starts.
async fn two_customers(env: &Env, change: impl FnOnce(&mut Config)) -> (TestApp, [CustomerId; 2]) {
    let app = TestApp::builder(env).web_client("shop").configure(change).start().await;
    let ann = app.customer("ann@shop.example", "Ann").await;
    let ben = app.customer("ben@shop.example", "Ben").await;
    (app, [ann, ben])
}

fn identifier(app: &TestApp, namespace: &str, text: &str) -> Identifier {
    let namespace = Namespace::parse(namespace).unwrap();
    let external_id = namespace.identifier(text, &app.app.config.namespaces).unwrap();
    Identifier { namespace, external_id }
}

/// What an admin says: that this is the customer's, proved now if a proof is named.
async fn try_attach(
    app: &TestApp,
    customer: CustomerId,
    (namespace, text): (&str, &str),
    proof: Option<&str>,
) -> Result<Attached, store::Error> {
    let rules = Rules::of(&app.app.config, app.clock.now());
    let actor = Actor::Admin("test".to_owned());
    let said = Said { source: "admin", proof: proof.map(|proof| (proof, rules.now)), actor, reason: "a test" };
    let mut tx = app.store.background().begin().await?;
    let attached = attaching::attach(&mut tx, customer, &identifier(app, namespace, text), &said, rules).await?;
    tx.commit().await?;
    Ok(attached)
}

async fn attach(app: &TestApp, customer: CustomerId, what: (&str, &str), proof: Option<&str>) -> Attached {
    try_attach(app, customer, what, proof).await.unwrap()
}

/// Who is meant by these, and how many of them lead to somebody else.
async fn meant(app: &TestApp, identifiers: &[(&str, &str)]) -> Option<(CustomerId, usize)> {
    let identifiers: Vec<Identifier> =
        identifiers.iter().map(|(namespace, text)| identifier(app, namespace, text)).collect();
    let rules = Rules::of(&app.app.config, app.clock.now());
    let mut tx = app.store.background().begin_read().await.unwrap();
    let resolution = resolve::resolve(&mut tx, &identifiers, rules).await.unwrap()?;
    Some((resolution.customer, resolution.against.len()))
}

async fn connect(browser: &Browser, page: &Page, connector: &str) -> Page {
    browser.submit(page, "/account/connect", &[("connector", connector)]).await
}

on_both! {
    /// A loop of connecting and disconnecting does not get around it, and a week later there is room again.
    async fn what_begins_in_a_week_is_limited_however_often_it_ends(env: &Env) {
        let google = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let github = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        google.add_person("ann-1", person("ann@shop.example"));
        for number in 1..=3 {
            github.add_person(&format!("hub-{number}"), json!({"name": "Ann"}));
        }
        let app = TestApp::builder(env)
            .web_client("shop")
            .connector(google.config("google"))
            .connector(github.config("github"))
            .configure(|config| {
                config.namespaces = config.namespaces.with("social:github", |github| github.new_per_week = Some(2));
            })
            .start()
            .await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let log_in = async || {
            let page = browser.get(app.url("/account")).await;
            match page.url.path() {
                "/account" => page,
                _ => browser.submit(&page, "/login/social", &[("connector", "google")]).await,
            }
        };
        for number in 1..=2 {
            let subject = format!("hub-{number}");
            github.choose(&subject);
            let page = connect(&browser, &log_in().await, "github").await;
            assert_eq!(page.url.path(), "/account", "{}", page.text());
            let graph = invariants::check(env).await;
            let link = uuid::Uuid::parse_str(&graph.live("social:github", &subject)[0].id).unwrap().to_string();
            let page = browser.submit(&page, "/account/disconnect", &[("link", &link)]).await;
            assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
        }
        github.choose("hub-3");
        let before = invariants::check(env).await;
        assert_eq!(before.links.iter().filter(|link| link.live && link.namespace == "social:github").count(), 0);
        let refused = connect(&browser, &log_in().await, "github").await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (409, "Too many connected accounts"));
        assert!(refused.contains("Try again in a week"), "{}", refused.text());
        assert_eq!(invariants::check(env).await.events.len(), before.events.len(), "nothing is pushed out, nothing told");
        // What is connected already goes on; another provider has a count of its own.
        log_in_as(&rp, &google, "google", "ann-1").await;

        app.clock.advance(8 * DAY);
        let browser = Browser::new();
        let page = browser.get(app.url("/account")).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        assert_eq!(connect(&browser, &page, "github").await.url.path(), "/account");
        assert_eq!(invariants::check(env).await.live("social:github", "hub-3").len(), 1);
    }

    /// Rules 3 and 5: at the limit nothing is pushed out, a repetition changes nothing, and each link says who vouches.
    async fn what_the_company_asserts_becomes_a_link_within_the_limits(env: &Env) {
        let (app, [ann, ben]) = two_customers(env, |_| {}).await;
        assert!(matches!(attach(&app, ann, ("ext:crm", "4711"), None).await, Attached::Added(_)));
        let before = invariants::check(env).await;
        assert!(matches!(attach(&app, ann, ("ext:crm", "4711"), None).await, Attached::Already(_)));
        assert_eq!(attach(&app, ben, ("ext:crm", "4711"), None).await, Attached::Taken(ann));
        for (namespace, text) in [("social:google", "1"), ("email", "x@shop.example"), ("unproved_email", "x@shop.example")] {
            assert_eq!(attach(&app, ann, (namespace, text), Some("sms")).await, Attached::NotThisWay, "{namespace}");
        }
        assert_eq!(attach(&app, CustomerId::new(app.clock.now()), ("ext:crm", "1"), None).await, Attached::Unknown);
        assert_eq!(invariants::check(env).await.events.len(), before.events.len());
        for number in 1..=2 {
            assert!(matches!(attach(&app, ann, ("ext:crm", &format!("n{number}")), None).await, Attached::Added(_)));
        }
        assert_eq!(attach(&app, ann, ("ext:crm", "n3"), None).await, Attached::Full(Limit::Live));
        let graph = invariants::check(env).await;
        let link = &graph.live("ext:crm", "4711")[0];
        assert_eq!((link.root.as_str(), link.source.as_str(), link.proved), (&*ann.0.simple().to_string(), "admin", false));
        let told: Vec<&str> = graph.history(&link.root);
        assert_eq!(told[3..5], ["link.added", "link.vouched"], "{told:?}");
    }

    /// Numbers are given to others: a proof older than 180 days leads nowhere, stays to be seen, and makes room for
    /// whoever proves the number now.
    async fn a_phone_whose_proof_has_aged_resolves_no_more_and_gives_way(env: &Env) {
        let (app, [ann, ben]) = two_customers(env, |_| {}).await;
        assert_eq!(attach(&app, ann, ("phone", NUMBER), None).await, Attached::Unproved);
        assert!(matches!(attach(&app, ann, ("phone", "+49 (0)30 90-18-20"), Some("sms")).await, Attached::Added(_)));
        assert_eq!(attach(&app, ben, ("phone", NUMBER), Some("sms")).await, Attached::Taken(ann));
        app.clock.advance(179 * DAY);
        assert_eq!(meant(&app, &[("phone", NUMBER)]).await, Some((ann, 0)));
        assert_eq!(attach(&app, ben, ("phone", NUMBER), Some("sms")).await, Attached::Taken(ann));
        app.clock.advance(2 * DAY);
        assert_eq!(meant(&app, &[("phone", NUMBER)]).await, None);
        let rules = Rules::of(&app.app.config, app.clock.now());
        let mut tx = app.store.background().begin_read().await.unwrap();
        let shown = samesake::identity::customer::show(&mut tx, &format!("phone:{NUMBER}"), rules).await.unwrap();
        drop(tx);
        let phone = shown[0].links.iter().find(|link| link.namespace == "phone").unwrap();
        assert_eq!((shown[0].customer_id, phone.stale, phone.state.as_str()), (ann, true, "live"));
        // Proved anew it counts again.
        assert!(matches!(attach(&app, ann, ("phone", NUMBER), Some("sms")).await, Attached::Renewed(_)));
        assert_eq!(meant(&app, &[("phone", NUMBER)]).await, Some((ann, 0)));
        // Aged again, it is Ben's who proves it, and a person is asked to look.
        app.clock.advance(181 * DAY);
        assert!(matches!(attach(&app, ben, ("phone", NUMBER), Some("sms")).await, Attached::Added(_)));
        assert_eq!(meant(&app, &[("phone", NUMBER)]).await, Some((ben, 0)));
        let cases = app.store.background().begin_read().await.unwrap().conflicts_open(10).await.unwrap();
        assert_eq!(cases.iter().map(|case| (case.kind.as_str(), case.customer, case.other)).collect::<Vec<_>>(), [("proof_aged", ben, ann)]);
        let graph = invariants::check(env).await;
        assert_eq!(*graph.history(&ann.0.simple().to_string()).last().unwrap(), "link.removed");
    }

    /// Of all who used a browser one is its current owner, and only that one is meant by it.
    async fn a_browser_has_at_most_one_current_owner(env: &Env) {
        let (app, [ann, ben]) = two_customers(env, |_| {}).await;
        let browser = ("visitor:shops", "b-17");
        assert!(matches!(attach(&app, ann, browser, None).await, Attached::Added(_)));
        assert_eq!(meant(&app, &[browser]).await, Some((ann, 0)));
        assert!(matches!(attach(&app, ben, browser, None).await, Attached::Added(_)));
        assert_eq!(meant(&app, &[browser]).await, Some((ben, 0)));
        assert!(matches!(attach(&app, ann, browser, None).await, Attached::Renewed(_)));
        assert_eq!(meant(&app, &[browser]).await, Some((ann, 0)));
        assert!(matches!(attach(&app, ann, browser, None).await, Attached::Already(_)));
        let graph = invariants::check(env).await;
        let current: Vec<bool> = graph.live("visitor:shops", "b-17").iter().map(|link| link.exclusive).collect();
        assert_eq!((current.len(), current.iter().filter(|current| **current).count()), (2, 1));
        // Another sector's browser is another browser.
        assert_eq!(meant(&app, &[("visitor:ads", "b-17")]).await, None);
    }

    /// Identifiers of one request that lead to different customers: the namespace with the highest priority decides.
    async fn the_highest_priority_decides_who_is_meant(env: &Env) {
        let (app, [ann, ben]) = two_customers(env, |config| {
            config.namespaces = config.namespaces.with("ext:crm", |crm| crm.priority = Some(10));
        })
        .await;
        for (customer, what) in [(ann, ("app:shop", "17")), (ben, ("ext:loyalty", "L")), (ben, ("ext:crm", "c"))] {
            assert!(matches!(attach(&app, customer, what, None).await, Attached::Added(_)));
        }
        let (mail, crm) = (("email", "ann@shop.example"), ("ext:crm", "c"));
        assert_eq!(meant(&app, &[mail, ("app:shop", "17")]).await, Some((ann, 0)));
        assert_eq!(meant(&app, &[mail, ("ext:loyalty", "L"), ("app:shop", "17")]).await, Some((ann, 1)));
        assert_eq!(meant(&app, &[mail, ("ext:loyalty", "L"), crm]).await, Some((ben, 1)));
        assert_eq!(meant(&app, &[crm, mail]).await, Some((ann, 1)), "the configuration put the CRM below the address");
        assert_eq!(meant(&app, &[("unproved_email", "ann@shop.example"), ("ext:crm", "nobody")]).await, None);
    }

    /// Two spellings of a number on a card are one, where the namespace says so.
    async fn spellings_are_one_as_the_namespace_declares(env: &Env) {
        let (app, [ann, ben]) = two_customers(env, |config| {
            config.namespaces = config.namespaces.with("ext:loyalty", |card| card.normalizer = Some(Normalizer::Compact));
        })
        .await;
        assert!(matches!(attach(&app, ann, ("ext:loyalty", "12-34 AB"), None).await, Attached::Added(_)));
        assert_eq!(attach(&app, ben, ("ext:loyalty", "1234ab"), None).await, Attached::Taken(ann));
        assert!(matches!(attach(&app, ann, ("ext:crm", "12-34 AB"), None).await, Attached::Added(_)));
        assert!(matches!(attach(&app, ben, ("ext:crm", "1234ab"), None).await, Attached::Added(_)));
    }

    /// The configuration's own blocked values become no links by a login either.
    async fn values_that_are_blocked_by_configuration_become_no_links(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("ann-1", person("ann@throwaway.example"));
        upstream.add_person("demo", person("demo@shop.example"));
        let app = TestApp::builder(env)
            .web_client("shop")
            .connector(upstream.config("google"))
            .configure(|config| {
                let declared = config.namespaces.with("email", |email| email.blocked.push("@throwaway.example".to_owned()));
                config.namespaces = declared.with("social:google", |google| google.blocked.push("demo".to_owned()));
            })
            .start()
            .await;
        let rp = app.relying_party("shop").await;
        log_in_as(&rp, &upstream, "google", "ann-1").await;
        let graph = invariants::check(env).await;
        assert_eq!(graph.links.iter().map(|link| link.namespace.as_str()).collect::<Vec<_>>(), ["social:google"]);
        upstream.choose("demo");
        let browser = Browser::new();
        let page = browser.get(&rp.authorization().url).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        assert_eq!(page.url.path(), "/callback/google", "{}", page.text());
        assert_eq!(invariants::check(env).await.customers.len(), 1);
    }

    /// The same at the command line, by the program itself.
    async fn the_program_links_resolves_and_takes_away(env: &Env) {
        let gateway = Gateway::start(env, &client_toml("shop", "a secret of the client, long enough: 0123456789")).await;
        let store = env.store().await;
        let address = EmailAddress::parse("ann@shop.example").unwrap();
        let signed_up = sign_in::sign_up(&store, &address, "$argon2id$x", Some("Ann"), env.clock.now()).await.unwrap();
        let SignedUp::Created(ann) = signed_up else { panic!("the address is taken") };
        let run = |arguments: &[&str]| -> Result<String, String> {
            let output = gateway.run(arguments);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
        };
        let (id, reason) = (ann.to_string(), ["--reason", "a test"]);
        let link = |what: &str, more: &[&str]| run(&[&["customer", "link", &id, what], &reason[..], more].concat());
        assert!(link("ext:crm:4711:a", &[]).unwrap().contains("ext:crm:4711:a is linked to customer"));
        assert!(link("ext:crm:4711:a", &[]).unwrap().contains("before"));
        assert!(link("phone:+49 30 901820", &[]).unwrap_err().contains("--proved-by"));
        let old = ["--proved-by", "sms", "--proved-at", "2020-01-01T00:00:00Z"];
        assert!(link("phone:+49 30 901820", &old).unwrap_err().contains("not too old"));
        assert!(link("phone:+49 30 901820", &["--proved-by", "sms"]).unwrap().contains(NUMBER));
        for (what, error) in [
            ("phone:030 901820", "begins with a plus"),
            ("ext:crm:unknown", "stands for nobody"),
            ("social:google:1", "by their owner only"),
            ("nonsense:1", "a namespace and an ID"),
        ] {
            assert!(link(what, &[]).unwrap_err().contains(error), "{what}");
        }
        let resolved: Value = serde_json::from_str(
            &run(&["customer", "resolve", "--json", "ext:crm:4711:a", "phone:+4930901820"]).unwrap(),
        )
        .unwrap();
        assert_eq!((&resolved["customer_id"], &resolved["by"][0]["identifier"]), (&json!(id), &json!("ext:crm:4711:a")));
        assert!(run(&["customer", "resolve", "ext:crm:1"]).unwrap_err().contains("nobody is known"));
        let gone = run(&["customer", "unlink", &id, "--link", "ext:crm:4711:a", "--reason", "left"]).unwrap();
        assert!(gone.contains("is disconnected from customer"), "{gone}");
        assert!(run(&["customer", "resolve", "ext:crm:4711:a"]).is_err());
        invariants::check(env).await;
        store.close().await;
    }
}

on_servers! {
    /// Ten at once say of one customer what is the customer's: as many begin as may, and no more.
    async fn at_once_no_more_begin_than_may(env: &Env) {
        let (app, [ann, _]) = two_customers(env, |config| {
            config.namespaces = config.namespaces.with("ext:crm", |crm| (crm.live, crm.new_per_week) = (Some(50), Some(4)));
        })
        .await;
        let tries: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
        let outcomes = futures::future::join_all(tries.iter().map(|text| attach(&app, ann, ("ext:crm", text), None))).await;
        let added = outcomes.iter().filter(|outcome| matches!(outcome, Attached::Added(_))).count();
        let refused = outcomes.iter().filter(|outcome| **outcome == Attached::Full(Limit::Week)).count();
        assert_eq!((added, refused), (4, 6));
    }

    /// Two customers in one browser at once: one is its owner in the end.
    async fn at_once_a_browser_has_one_owner(env: &Env) {
        let (app, [ann, ben]) = two_customers(env, |_| {}).await;
        let browser = ("visitor:shops", "b-17");
        for _ in 0..5 {
            let both = futures::future::join(try_attach(&app, ann, browser, None), try_attach(&app, ben, browser, None)).await;
            for outcome in [both.0, both.1] {
                let clean = matches!(&outcome, Ok(_) | Err(store::Error::Contention));
                assert!(clean, "{outcome:?}");
            }
            let graph = invariants::check(env).await;
            let current = graph.live("visitor:shops", "b-17").iter().filter(|link| link.exclusive).count();
            assert_eq!(current, 1);
        }
        let (ann_has, ben_has) = (attach(&app, ann, browser, None).await, attach(&app, ben, browser, None).await);
        assert!(!matches!(ann_has, Attached::Taken(_)) && !matches!(ben_has, Attached::Taken(_)));
    }
}
