//! First logins: what becomes a customer, a link, a proved address, and what does not (rules 1, 3, 4, 6, 8, 11, 12).

use samesake::config::EmailTrust;
use serde_json::json;

use super::{gateway, log_in_and_prove, log_in_as, person};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, invariants};
use crate::on_both;

on_both! {
    /// Rule 8: how far an address is believed is the connector's matter and the provider's word together.
    async fn an_address_is_proved_only_by_a_trusted_provider_that_says_so(env: &Env) {
        let upstream = Upstream::start().await;
        let cases = [
            (EmailTrust::Authoritative, json!(true), true),
            (EmailTrust::Verified, json!(true), true),
            (EmailTrust::Verified, json!("true"), true), // Apple spells it so
            (EmailTrust::Verified, json!(false), false),
            (EmailTrust::Verified, json!(null), false),
            (EmailTrust::Authoritative, json!("yes"), false),
            (EmailTrust::Unverified, json!(true), false),
        ];
        let connector = |number: usize| {
            let mut config = upstream.config(&format!("c{number}"));
            config.email_trust = Some(cases[number].0);
            config
        };
        let (_app, rp) = gateway(env, (0..cases.len()).map(connector)).await;
        for (number, (_, said, _)) in cases.iter().enumerate() {
            let subject = format!("s{number}");
            let email = format!("p{number}@shop.example");
            upstream.add_person(&subject, json!({"email": email, "email_verified": said, "name": "P"}));
            upstream.choose(&subject);
            let browser = Browser::new();
            let authorization = rp.authorization();
            let page = browser.get(&authorization.url).await;
            let connector = format!("c{number}");
            let callback = browser.submit(&page, "/login/social", &[("connector", &connector)]).await;
            if said == "yes" {
                // No boolean in any spelling: the whole token is refused, and nobody is made.
                assert_eq!(callback.status.as_u16(), 422, "{}", callback.text());
            } else {
                rp.finish(&authorization, &callback).await;
            }
        }
        let graph = invariants::check(env).await;
        for (number, (trust, said, proved)) in cases.iter().enumerate() {
            let email = format!("p{number}@shop.example");
            let links = (graph.live("email", &email).len(), graph.live("unproved_email", &email).len());
            let expected = if said == "yes" { (0, 0) } else { (usize::from(*proved), usize::from(!proved)) };
            assert_eq!(links, expected, "{trust:?} {said}");
        }
    }

    /// Rule 1: some values stand for nobody, whatever the source.
    async fn blocked_values_never_become_links(env: &Env) {
        let upstream = Upstream::start().await;
        let (_app, rp) = gateway(env, [upstream.config("google")]).await;
        for subject in ["0", "00000000-0000-0000-0000-000000000000", "unknown", "NULL", "undefined", "test"] {
            upstream.add_person(subject, person("somebody@shop.example"));
            upstream.choose(subject);
            let browser = Browser::new();
            let page = browser.get(&rp.authorization().url).await;
            let refused = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
            assert_eq!(refused.status.as_u16(), 422, "{subject}");
            assert!(refused.contains("Try again or choose another way."), "{}", refused.text());
        }
        assert!(invariants::check(env).await.customers.is_empty());
        // An address that stands for nobody does not stop its bearer, it is just no link of theirs.
        let emails = ["test@test.com", "info@shop.example", "no-reply@shop.example", "x@localhost.invalid", "no address"];
        for (number, email) in emails.into_iter().enumerate() {
            let subject = format!("bearer-{number}");
            upstream.add_person(&subject, person(email));
            let tokens = log_in_as(&rp, &upstream, "google", &subject).await;
            let userinfo = rp.userinfo(&tokens.access_token).await.body;
            assert_ne!(userinfo["email_verified"], true, "{email}");
        }
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), emails.len());
        assert!(graph.links.iter().all(|link| link.namespace == "social:google"), "{:?}", graph.links);
    }

    /// Rule 3: subjects are compared byte for byte.
    async fn subjects_are_byte_exact(env: &Env) {
        let upstream = Upstream::start().await;
        let (_app, rp) = gateway(env, [upstream.config("google")]).await;
        let subjects = [
            "Ann", "ann", "ANN", " ann", "ann ", "\u{e4}nn", "a\u{308}nn", "ｱnn", "アnn", "1", "01", "1.0", "+1", "1e0",
            // Beyond 2^53 a number in JSON would lose its last digits.
            "9007199254740992", "9007199254740993", "18446744073709551616", "18446744073709551617",
            "ann'; DROP TABLE links; --", "%", "_nn", "\\", "a\u{200d}nn",
        ];
        let mut known = Vec::new();
        for subject in subjects {
            upstream.add_person(subject, json!({}));
            known.push(log_in_as(&rp, &upstream, "google", subject).await.claims["sub"].clone());
        }
        for (number, subject) in subjects.iter().enumerate() {
            let again = log_in_as(&rp, &upstream, "google", subject).await.claims["sub"].clone();
            assert_eq!(again, known[number], "{subject:?}");
            assert_eq!(known.iter().filter(|sub| **sub == again).count(), 1, "{subject:?} is somebody else too");
        }
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), subjects.len());
        for subject in subjects {
            assert_eq!(graph.live("social:google", subject).len(), 1, "{subject:?}");
        }
    }

    /// Rule 4: one mailbox has many spellings; dots and plus-parts are part of the address.
    async fn addresses_are_compared_in_their_normal_form(env: &Env) {
        let upstream = Upstream::start().await;
        let (_app, rp) = gateway(env, [upstream.config("google")]).await;
        let spellings = [
            ("Ann@Shop.Example", "ann@shop.example"),
            ("ＡＮＮ@shop.example", "ann@shop.example"),
            ("ann@b\u{fc}cher.example", "ann@xn--bcher-kva.example"),
            ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
            ("a.nn@shop.example", "a.nn@shop.example"),
            ("ann+x@shop.example", "ann+x@shop.example"),
        ];
        for (number, (spelling, _)) in spellings.iter().enumerate() {
            let subject = format!("p-{number}");
            upstream.add_person(&subject, person(spelling));
            let tokens = log_in_as(&rp, &upstream, "google", &subject).await;
            let userinfo = rp.userinfo(&tokens.access_token).await.body;
            assert_eq!(userinfo["email"], *spelling, "what was said is kept for showing");
        }
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), spellings.len());
        for (_, normal) in spellings {
            assert_eq!(graph.live("email", normal).len(), 1, "{normal} has one owner");
        }
        assert_eq!(graph.live("unproved_email", "ann@shop.example").len(), 1);
        assert_eq!(graph.live("unproved_email", "ann@xn--bcher-kva.example").len(), 1);
    }

    /// Rule 11.
    async fn a_provider_without_an_address_works(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("4711", json!({"name": "No Mail"}));
        let (_app, rp) = gateway(env, [upstream.config("google")]).await;
        let tokens = log_in_as(&rp, &upstream, "google", "4711").await;
        let userinfo = rp.userinfo(&tokens.access_token).await.body;
        assert_eq!((&userinfo["name"], &userinfo["email"]), (&json!("No Mail"), &json!(null)));
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.links.len()), (1, 1));
        assert_eq!(log_in_as(&rp, &upstream, "google", "4711").await.claims["sub"], tokens.claims["sub"]);
    }

    /// Rule 12: the same logins in another order give the same partition, whoever then has the address.
    async fn the_order_of_logins_does_not_matter_for_who_is_who(env: &Env) {
        let (google, github) = (Upstream::start().await, Upstream::start().await);
        let (app, rp) = gateway(env, [google.config("google"), github.config("github")]).await;
        let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]];
        let mut shapes = Vec::new();
        for (round, order) in orders.into_iter().enumerate() {
            let logins = [
                (&google, "google", format!("a{round}"), format!("a{round}@shop.example")),
                (&github, "github", format!("a{round}"), format!("a{round}@shop.example")),
                (&google, "google", format!("b{round}"), format!("a{round}@shop.example")),
                (&google, "google", format!("c{round}"), format!("c{round}@shop.example")),
            ];
            for number in order {
                let (upstream, connector, subject, email) = &logins[number];
                upstream.add_person(subject, person(email));
                log_in_and_prove(&app, &rp, upstream, connector, subject, email).await;
            }
            let graph = invariants::check(env).await;
            let mine = format!("{round}");
            let links = graph.links.iter().filter(|link| {
                link.external_id.ends_with(&mine) || link.external_id.ends_with(&format!("{round}@shop.example"))
            });
            let mut shape: Vec<String> = links
                .map(|link| format!("{} {}", link.namespace, link.external_id.replace(&mine, "N")))
                .collect();
            shape.sort();
            shapes.push(shape);
        }
        assert_eq!(shapes[0], shapes[1]);
        assert_eq!(shapes[0], shapes[2]);
        assert_eq!(invariants::check(env).await.customers.len(), 3 * orders.len());
    }
}
