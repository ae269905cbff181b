//! Accounts that a provider moves: both subjects lead to the customer while it does, and the old one ends (rule 3).

use std::time::Duration;

use futures::future::join_all;
use samesake::events::Actor;
use samesake::identity::merge::{self, Terms};
use samesake::identity::namespace::Rules;
use samesake::identity::other_names::{self, Transfer, Transferred};
use samesake::ids::CustomerId;
use serde_json::{Value, json};
use sqlx::Connection as _;

use super::merge::program::waiting;
use super::merge::{by_operator, done};
use super::{gateway, log_in_as, person};
use crate::harness::gateway::{client_toml, connector_toml};
use crate::harness::providers::apple::Apple;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Gateway, RelyingParty, TestApp, invariants, until};
use crate::store::samples::postgres;
use crate::{on_both, on_servers};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn account(old_sub: &str, transfer_sub: Option<&str>, new_sub: Option<&str>) -> Transfer {
    Transfer {
        old_sub: old_sub.to_owned(),
        transfer_sub: transfer_sub.map(str::to_owned),
        new_sub: new_sub.map(str::to_owned),
    }
}

/// Moves an account with an overlap of 60 days.
async fn transfer(app: &TestApp, connector: &str, account: &Transfer) -> Transferred {
    let now = app.clock.now();
    let mut tx = app.store.background().begin().await.unwrap();
    let actor = Actor::Admin("test".to_owned());
    let rules = Rules::of(&app.app.config, now);
    let done = other_names::transfer(&mut tx, connector, account, now + 60 * DAY, &actor, rules).await.unwrap();
    tx.commit().await.unwrap();
    done
}

async fn end_due(app: &TestApp) -> usize {
    other_names::end_due(&app.store.background(), app.clock.now()).await.unwrap()
}

async fn provider(env: &Env) -> Upstream {
    let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    upstream.add_person("old-1", person("ann@shop.example"));
    upstream.add_person("new-1", person("ann@shop.example"));
    upstream
}

/// Through Apple's page into the shop; the customer's `sub`.
async fn with_apple(rp: &RelyingParty, apple: &Apple, claims: Value) -> Value {
    apple.stand.log_in_as(claims);
    let (browser, authorization) = (Browser::new(), rp.authorization());
    let page = browser.get(&authorization.url).await;
    let page = browser.submit(&page, "/login/social", &[("connector", "apple")]).await;
    let callback = browser.submit(&page, "apple", &[]).await;
    rp.finish(&authorization, &callback).await.claims["sub"].clone()
}

on_both! {
    async fn both_subjects_resolve_until_the_overlap_is_over(env: &Env) {
        let upstream = provider(env).await;
        let (app, rp) = gateway(env, [upstream.config("acme")]).await;
        let ann = log_in_as(&rp, &upstream, "acme", "old-1").await.claims["sub"].clone();
        let move_it = account("old-1", None, Some("new-1"));
        assert_eq!(transfer(&app, "acme", &move_it).await, Transferred::Moved);
        let events = invariants::check(env).await.events.len();
        assert_eq!(transfer(&app, "acme", &move_it).await, Transferred::Already);
        assert_eq!(invariants::check(env).await.events.len(), events, "again is nothing");
        for subject in ["old-1", "new-1"] {
            assert_eq!(log_in_as(&rp, &upstream, "acme", subject).await.claims["sub"], ann, "{subject}");
        }
        env.clock.advance(59 * DAY);
        assert_eq!(end_due(&app).await, 0);
        assert_eq!(log_in_as(&rp, &upstream, "acme", "old-1").await.claims["sub"], ann);
        env.clock.advance(DAY);
        // The gateway's own job may have been first.
        assert!(end_due(&app).await <= 1);
        assert_eq!(end_due(&app).await, 0);
        let graph = invariants::check(env).await;
        assert!(graph.live("social:acme", "old-1").is_empty());
        assert_eq!(graph.live("social:acme", "new-1")[0].source, "connector:acme", "it took the old one's place");
        assert_eq!(log_in_as(&rp, &upstream, "acme", "new-1").await.claims["sub"], ann);
        assert_eq!(transfer(&app, "acme", &move_it).await, Transferred::Already, "and the file may come again");
    }

    async fn what_cannot_be_moved_is_named(env: &Env) {
        let upstream = provider(env).await;
        upstream.add_person("else-1", person("else@shop.example"));
        let (app, rp) = gateway(env, [upstream.config("acme")]).await;
        log_in_as(&rp, &upstream, "acme", "old-1").await;
        log_in_as(&rp, &upstream, "acme", "else-1").await;
        assert_eq!(transfer(&app, "acme", &account("old-1", Some("t-1"), None)).await, Transferred::Awaited);
        for (what, expected) in [
            (account("nobody", None, Some("new-1")), Transferred::Unknown),
            (account("nobody", Some("t-2"), None), Transferred::Unknown),
            (account("old-1", None, Some("else-1")), Transferred::Taken),
            (account("else-1", Some("t-1"), None), Transferred::Taken),
            (account("old-1", None, None), Transferred::Unfit),
            (account("", None, Some("new-1")), Transferred::Unfit),
            (account("old-1", None, Some("unknown")), Transferred::Unfit),
            (account("old-1", None, Some(&"x".repeat(256))), Transferred::Unfit),
            (account("old-1", Some("t-1"), None), Transferred::Already),
            (account("old-1", None, Some("old-1")), Transferred::Already),
        ] {
            assert_eq!(transfer(&app, "acme", &what).await, expected, "{what:?}");
        }
        let graph = invariants::check(env).await;
        assert_eq!(graph.links.iter().filter(|link| link.namespace == "social:acme").count(), 2);
    }

    /// For 60 days Apple names both: the new team's subject, and what the account was called on the way.
    async fn a_login_that_names_its_transfer_moves_by_itself(env: &Env) {
        let apple = Apple::start().await;
        let app = TestApp::builder(env).web_client("shop").connector(apple.config(json!({}))).start().await;
        let rp = app.relying_party("shop").await;
        let ada = with_apple(&rp, &apple, json!({"sub": "000123.old"})).await;
        assert_eq!(transfer(&app, "apple", &account("000123.old", Some("t.1"), None)).await, Transferred::Awaited);
        // Neither a name that nobody told us nor the subject alone leads anywhere.
        let stranger = with_apple(&rp, &apple, json!({"sub": "000999.new", "transfer_sub": "t.2"})).await;
        assert_ne!(stranger, ada);
        for _ in 0..2 {
            let claims = json!({"sub": "000123.new", "transfer_sub": "t.1"});
            assert_eq!(with_apple(&rp, &apple, claims).await, ada);
        }
        assert_eq!(with_apple(&rp, &apple, json!({"sub": "000123.new"})).await, ada);
        assert_eq!(with_apple(&rp, &apple, json!({"sub": "000123.old"})).await, ada, "both resolve");
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("social:apple", "000123.new").len()), (2, 1));
        assert_eq!(graph.live("social:apple", "000123.new")[0].source, "transfer");
    }

    /// It is one account: it takes one place among five, shows once, and goes with both subjects.
    async fn a_moved_account_is_one_account(env: &Env) {
        let upstream = provider(env).await;
        let other = provider(env).await;
        let (app, rp) = gateway(env, [upstream.config("acme"), other.config("other")]).await;
        upstream.choose("old-1");
        let browser = Browser::new();
        let page = browser.get(app.url("/account")).await;
        let mut page = browser.submit(&page, "/login/social", &[("connector", "acme")]).await;
        transfer(&app, "acme", &account("old-1", None, Some("new-1"))).await;
        for number in 2..=5 {
            upstream.add_person(&format!("more-{number}"), json!({"name": "Ann"}));
            upstream.choose(&format!("more-{number}"));
            page = browser.submit(&page, "/account/connect", &[("connector", "acme")]).await;
            assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
        }
        upstream.add_person("more-6", json!({"name": "Ann"}));
        upstream.choose("more-6");
        assert_eq!(browser.submit(&page, "/account/connect", &[("connector", "acme")]).await.status, 409);
        let graph = invariants::check(env).await;
        let link = |sub: &str| uuid::Uuid::parse_str(&graph.live("social:acme", sub)[0].id).unwrap().to_string();
        let (old, new) = (link("old-1"), link("new-1"));
        let page = browser.get(app.url("/account")).await;
        assert!(page.body.contains(&old) && !page.body.contains(&new), "it shows once");
        let theirs = log_in_as(&rp, &upstream, "acme", "new-1").await;
        browser.submit(&page, "/account/disconnect", &[("link", &old)]).await;
        let graph = invariants::check(env).await;
        assert!(graph.live("social:acme", "old-1").is_empty() && graph.live("social:acme", "new-1").is_empty());
        let answer = rp.userinfo(&theirs.access_token).await;
        assert_eq!(answer.status, 200, "what is for offline use has its own end: its grant");
        assert_eq!(rp.refresh(theirs.refresh_token.as_deref().unwrap()).await.error(), "invalid_grant");
    }

    /// By the program, from a file, as often as it takes.
    async fn a_file_of_transfers_is_carried_out_line_by_line(env: &Env) {
        let upstream = provider(env).await;
        let toml = client_toml("shop", crate::harness::app::CLIENT_SECRET) + &connector_toml(&upstream.config("acme"));
        let gateway = Gateway::start(env, &toml).await;
        let client = crate::harness::app::web_client("shop", json!({}));
        let secret = Some(crate::harness::app::CLIENT_SECRET);
        let rp = RelyingParty::discover(&gateway.issuer, &client, secret, &env.clock).await;
        for number in 0..3 {
            upstream.add_person(&format!("o{number}"), json!({"name": "Somebody"}));
            log_in_as(&rp, &upstream, "acme", &format!("o{number}")).await;
        }
        let (csv, json) = (env.directory().join("moves.csv"), env.directory().join("moves.jsonl"));
        let rejects = env.directory().join("rejects.txt");
        std::fs::write(&csv, "new_sub,old_sub,transfer_sub\nn0,o0,\n,o1,t1\nn9,o9,\nn0,o2,\nbroken\n").unwrap();
        let run = |file: &std::path::Path| {
            let (file, rejects) = (file.display().to_string(), rejects.display().to_string());
            let words = ["connector", "transfer", "acme", "--file", &file, "--rejects", &rejects];
            let output = gateway.run(&words);
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        let said = "1 moved, 1 will move at their next login, 0 as they were, 3 rejected\n";
        assert_eq!(run(&csv), (Some(1), said.to_owned()));
        let reasons = "line 6: it cannot be read\nline 4: nobody has this old_sub\n\
                       line 5: the new subject is another account's\n";
        assert_eq!(std::fs::read_to_string(&rejects).unwrap(), reasons);
        let said = "0 moved, 0 will move at their next login, 2 as they were, 3 rejected\n";
        assert_eq!(run(&csv).1, said);
        std::fs::write(&json, "{\"old_sub\":\"o1\",\"new_sub\":\"n1\"}\n\n{\"old_sub\":\"o2\",\"new_sub\":\"n2\"}\n").unwrap();
        let said = "2 moved, 0 will move at their next login, 0 as they were, 0 rejected\n";
        assert_eq!(run(&json), (Some(0), said.to_owned()));
        let unknown = gateway.run(&["connector", "transfer", "nobody", "--file", &json.display().to_string()]);
        assert!(String::from_utf8(unknown.stderr).unwrap().contains("there is no connector `nobody`"));
        let graph = invariants::check(env).await;
        for number in 0..3 {
            let roots = ["o", "n"].map(|kind| graph.live("social:acme", &format!("{kind}{number}"))[0].root.clone());
            assert_eq!(roots[0], roots[1]);
        }
    }
}

on_servers! {
    /// The unique index decides: logins that move by themselves, the file, and logins by the old name, all at once.
    async fn moves_and_logins_at_once_make_one_second_link(env: &Env) {
        let apple = Apple::start().await;
        let first = TestApp::builder(env).web_client("shop").connector(apple.config(json!({}))).start().await;
        let second = first.replica(env).await;
        let rp = first.relying_party("shop").await;
        let ada = with_apple(&rp, &apple, json!({"sub": "000123.old"})).await;
        transfer(&first, "apple", &account("000123.old", Some("t.1"), None)).await;
        let both = json!({"sub": "000123.new", "transfer_sub": "t.1"});
        let logins = join_all((0..10).map(|_| with_apple(&rp, &apple, both.clone())));
        let other = account("000123.old", Some("t.1"), Some("000123.new"));
        let moves = join_all((0..10).map(|n| transfer(if n % 2 == 0 { &first } else { &second }, "apple", &other)));
        let (subs, moves) = tokio::join!(logins, moves);
        assert!(subs.iter().all(|sub| *sub == ada), "{subs:?}");
        assert!(moves.iter().all(|done| matches!(done, Transferred::Moved | Transferred::Already)), "{moves:?}");
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("social:apple", "000123.new").len()), (1, 1));
        let added = graph.events.iter().filter(|event| event.kind == "link.added").count();
        assert_eq!(added, 2, "the first link and the second");
    }

    /// Whose the old link is, is looked at once nobody changes it.
    async fn an_overlap_ends_while_its_customer_is_merged(env: &Env) {
        let upstream = provider(env).await;
        upstream.add_person("bob-1", person("bob@shop.example"));
        let (app, rp) = gateway(env, [upstream.config("acme")]).await;
        for subject in ["old-1", "bob-1"] {
            log_in_as(&rp, &upstream, "acme", subject).await;
        }
        transfer(&app, "acme", &account("old-1", None, Some("new-1"))).await;
        let graph = invariants::check(env).await;
        let customer = |subject| graph.live("social:acme", subject)[0].root.parse::<CustomerId>().unwrap();
        let (ann, bob) = (customer("old-1"), customer("bob-1"));
        let mut barrier = postgres(env).await;
        let mut barrier = barrier.begin().await.unwrap();
        let hold = "SELECT id FROM customers WHERE id = $1 FOR UPDATE";
        sqlx::query(hold).bind(ann.0).execute(&mut *barrier).await.unwrap();
        env.clock.advance(61 * DAY);
        let (store, config) = (app.store.background(), &app.app.config.merge);
        let request = by_operator(bob, ann);
        let merging = merge::execute(&store, config, &request, Terms::default(), app.clock.now());
        let ending = async {
            until("the merge waits", async || waiting(env).await > 0).await;
            end_due(&app).await
        };
        let let_go = async {
            until("both wait", async || waiting(env).await > 1).await;
            barrier.rollback().await.unwrap();
        };
        let (merged, _, ()) = futures::join!(merging, ending, let_go);
        done(merged.unwrap());
        end_due(&app).await;
        let graph = invariants::check(env).await;
        assert_eq!((graph.live("social:acme", "old-1").len(), graph.live("social:acme", "new-1").len()), (0, 1));
        assert_eq!(graph.live("social:acme", "new-1")[0].root.parse::<CustomerId>().unwrap(), bob);
    }

    /// Of several replicas one ends each old link.
    async fn the_end_of_an_overlap_comes_once(env: &Env) {
        let upstream = provider(env).await;
        let (first, rp) = gateway(env, [upstream.config("acme")]).await;
        let second = first.replica(env).await;
        log_in_as(&rp, &upstream, "acme", "old-1").await;
        transfer(&first, "acme", &account("old-1", None, Some("new-1"))).await;
        env.clock.advance(61 * DAY);
        join_all((0..6).map(|n| end_due(if n % 2 == 0 { &first } else { &second }))).await;
        let graph = invariants::check(env).await;
        let removed = graph.events.iter().filter(|event| event.kind == "link.removed").count();
        assert_eq!((removed, graph.live("social:acme", "new-1").len()), (1, 1));
    }
}
