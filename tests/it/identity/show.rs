//! `samesake customer show`: the customer behind any ID, by the program itself (rules 20 and 24).

use serde_json::{Value, json};

use super::person;
use crate::harness::gateway::{client_toml, connector_toml};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Gateway, RelyingParty};
use crate::on_both;

const SECRET: &str = "a secret of the client, long enough: 0123456789";

fn show(gateway: &Gateway, id: &str) -> Result<Vec<Value>, String> {
    let output = gateway.run(&["customer", "show", "--json", id]);
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

on_both! {
    async fn any_id_of_a_customer_shows_the_customer(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("9007199254740993", person("Ann@Shop.Example"));
        let pairwise = client_toml("shop", SECRET) + "subject_type = \"pairwise\"\n";
        let gateway = Gateway::start(env, &(pairwise + &connector_toml(&upstream.config("google")))).await;
        let client = crate::harness::app::web_client("shop", json!({"subject_type": "pairwise"}));
        let rp = RelyingParty::discover(&gateway.issuer, &client, Some(SECRET), &env.clock).await;
        let browser = Browser::new();
        let authorization = rp.authorization();
        let page = browser.get(&authorization.url).await;
        let callback = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        let sub = rp.finish(&authorization, &callback).await.claims["sub"].as_str().unwrap().to_owned();

        let shown = show(&gateway, "social:google:9007199254740993").unwrap();
        assert_eq!(shown.len(), 1);
        let customer = shown[0]["customer_id"].as_str().unwrap().to_owned();
        assert_ne!(customer, sub);
        assert_eq!((&shown[0]["state"], &shown[0]["version"]), (&json!("active"), &json!(3)));
        assert_eq!(shown[0]["subjects"], json!([{"sector": "shop.example", "sub": sub}]));
        let links = shown[0]["links"].as_array().unwrap();
        let names: std::collections::BTreeSet<_> = links.iter().map(|link| link["namespace"].as_str().unwrap()).collect();
        assert_eq!(names, ["email", "social:google"].into());
        for (id, found_by) in [
            (customer.as_str(), "customer ID"),
            (&customer.to_uppercase(), "customer ID"),
            (&customer.replace('-', ""), "customer ID"),
            (&sub, "subject of sector shop.example"),
            ("ann@shop.example", "link email"),
            (" ANN@shop.example ", "link email"),
            ("email:Ann@Shop.Example", "link email"),
        ] {
            let found = show(&gateway, id).unwrap_or_else(|error| panic!("{id}: {error}"));
            assert_eq!(found.len(), 1, "{id}");
            assert_eq!((&found[0]["customer_id"], &found[0]["found_by"]), (&json!(customer), &json!(found_by)), "{id}");
        }
        // Near misses are nobody: subjects are exact, also the long numbers.
        for id in ["social:google:9007199254740992", "social:github:9007199254740993", "bob@shop.example", &sub[1..], ""] {
            let error = show(&gateway, id).unwrap_err();
            assert!(error.contains("nobody is known by this ID"), "{id}: {error}");
        }
        // For people it prints the same.
        let output = gateway.run(&["customer", "show", &sub]);
        let text = String::from_utf8(output.stdout).unwrap();
        for part in [customer.as_str(), "social:google:9007199254740993", "email:ann@shop.example", &sub] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
