//! What an admin does to a link by hand, by the program itself (identity 18 and 19).

use serde_json::{Value, json};

use super::{SECEVENT, ann_in, log_in, refreshes};
use crate::harness::app::web_client;
use crate::harness::gateway::{client_toml, connector_toml};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Gateway, RelyingParty, invariants, until};
use crate::on_both;

const SECRET: &str = "a secret of the client, long enough: 0123456789";
const LINK: &str = "social:google:ann-1";

async fn gateway(env: &Env) -> (Upstream, Gateway, RelyingParty) {
    let upstream = Upstream::start().await;
    ann_in(&upstream, "up-1");
    let connector = upstream.config("google");
    let toml = client_toml("shop", SECRET) + &connector_toml(&connector) + "kind = \"google\"\n";
    let gateway = Gateway::start(env, &toml).await;
    let client = web_client("shop", json!({}));
    let rp = RelyingParty::discover(&gateway.issuer, &client, Some(SECRET), &env.clock).await;
    (upstream, gateway, rp)
}

fn run(gateway: &Gateway, arguments: &[&str]) -> (bool, String) {
    let output = gateway.run(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn show(gateway: &Gateway, id: &str) -> Value {
    let output = gateway.run(&["customer", "show", "--json", id]);
    let views: Value = serde_json::from_slice(&output.stdout).unwrap();
    views[0].clone()
}

on_both! {
    /// What a provider has to be told once, so that it tells us what happens to its accounts.
    async fn the_program_says_what_to_register_at_a_provider(env: &Env) {
        let upstream = Upstream::start().await;
        let google = connector_toml(&upstream.config("google")) + "kind = \"google\"\n";
        let more = google + &connector_toml(&upstream.config("acme")) + "kind = \"oidc\"\n";
        let gateway = Gateway::start(env, &more).await;
        for (connector, route) in [("google", "events"), ("acme", "backchannel-logout")] {
            let output = gateway.run(&["connector", "receiver", connector, "--json"]);
            let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let url = gateway.issuer.join(&format!("/connectors/{connector}/{route}")).unwrap();
            assert_eq!(said[0]["url"], url.as_str(), "{said}");
            assert_eq!(said[0]["call"]["delivery"]["url"].as_str(), (connector == "google").then_some(url.as_str()));
        }
        assert!(!gateway.run(&["connector", "receiver", "nobody"]).status.success());
    }

    async fn an_admin_disconnects_even_the_last_way_in_with_a_reason(env: &Env) {
        let (_upstream, gateway, rp) = gateway(env).await;
        let browser = Browser::new();
        let tokens = log_in(&rp, &browser, "google", "openid offline_access").await;
        let account = gateway.issuer.join("/account").unwrap();
        let unlink = |reason: &str| {
            run(&gateway, &["customer", "unlink", "ann@shop.example", "--link", LINK, "--reason", reason, "--as", "carl"])
        };
        for arguments in [
            vec!["customer", "unlink", "ann@shop.example", "--link", LINK],
            vec!["customer", "unlink", "ann@shop.example", "--link", LINK, "--reason", " "],
            vec!["customer", "unlink", "ann@shop.example", "--link", "social:google:bob-1", "--reason", "r"],
            vec!["customer", "unlink", "bob@shop.example", "--link", LINK, "--reason", "r"],
            vec!["customer", "unlink", "ann@shop.example", "--link", "email:ann@shop.example", "--reason", "r"],
        ] {
            assert!(!run(&gateway, &arguments).0, "{arguments:?}");
        }
        assert_eq!(browser.get(&account).await.url.path(), "/account");
        let (done, text) = unlink("hijacked, case 4711");
        assert!(done, "{text}");
        // The running gateway ends the sessions, whatever store they are in.
        until("the session to end", async || browser.get(&account).await.url.path() == "/login").await;
        assert!(!refreshes(&rp, &tokens).await);
        until("the mail", async || !gateway.mails().is_empty()).await;
        let mail = gateway.mails().pop().unwrap();
        assert!(mail.contains("To: ann@shop.example") && mail.contains("was disconnected from your account"), "{mail}");
        let graph = invariants::check(env).await;
        assert!(graph.live("social:google", "ann-1").is_empty());
        assert!(graph.live("email", "ann@shop.example").is_empty(), "it was the only proof of the address");
        let forced: Vec<_> = graph.events.iter().filter(|event| event.kind == "link.forced_off").collect();
        assert_eq!(forced.len(), 1);
        assert_eq!(forced[0].payload["reason"], "hijacked, case 4711");
        // Once more changes nothing.
        let (done, text) = unlink("again");
        assert!(done && text.contains("was disconnected before"), "{text}");
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
    }

    async fn an_admin_enables_what_the_provider_disabled(env: &Env) {
        let (upstream, gateway, rp) = gateway(env).await;
        log_in(&rp, &Browser::new(), "google", "openid").await;
        let token = upstream.security_event("account-disabled", "ann-1", json!({"reason": "bulk-account"}), json!({}));
        let url = gateway.issuer.join("/connectors/google/events").unwrap();
        let http = crate::harness::browser::http_client();
        let sent = http.post(url).header("content-type", SECEVENT).body(token).send().await.unwrap();
        assert_eq!(sent.status().as_u16(), 202);
        let shown = show(&gateway, LINK);
        assert_eq!((&shown["flags"][0]["kind"], &shown["flags"][0]["link"]), (&json!("bulk_account"), &json!(LINK)));
        let social = shown["links"].as_array().unwrap().iter().find(|link| link["namespace"] == "social:google");
        assert_eq!(social.unwrap()["disabled"], "bulk_account");
        let (_, text) = run(&gateway, &["customer", "show", LINK]);
        assert!(text.contains("flagged: bulk_account") && text.contains("(disabled: bulk_account)"), "{text}");
        let enable = || run(&gateway, &["customer", "enable", LINK, "--link", LINK, "--reason", "Google said sorry"]);
        let (done, text) = enable();
        assert!(done && text.contains("logs in again"), "{text}");
        log_in(&rp, &Browser::new(), "google", "openid").await;
        assert!(show(&gateway, LINK).get("flags").is_none());
        let graph = invariants::check(env).await;
        let (done, text) = enable();
        assert!(done && text.contains("was not disabled"), "{text}");
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
    }
}
