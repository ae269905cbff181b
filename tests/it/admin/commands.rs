//! `samesake admin`: the first roles are given at the command line, by the program itself.

use serde_json::{Value, json};

use super::{ANN, BEN};
use crate::harness::gateway::client_toml;
use crate::harness::{Env, Gateway};
use crate::on_both;

const SECRET: &str = "a secret of the client, long enough: 0123456789";

fn run(gateway: &Gateway, arguments: &[&str]) -> Result<String, String> {
    let output = gateway.run(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn listed(gateway: &Gateway) -> Vec<Value> {
    serde_json::from_str(&run(gateway, &["admin", "list", "--json"]).unwrap()).unwrap()
}

on_both! {
    async fn roles_are_given_listed_and_taken_at_the_command_line(env: &Env) {
        let robot = client_toml("robot", SECRET).replace("\"refresh_token\"]", "\"client_credentials\"]\nadmin_role = \"merger\"");
        let gateway = Gateway::start(env, &robot).await;
        let store = env.store().await;
        let now = env.clock.now();
        let mut customers = Vec::new();
        for email in [ANN, BEN] {
            let address = samesake::identity::address::EmailAddress::parse(email).unwrap();
            match samesake::identity::sign_in::sign_up(&store, &address, "$argon2id$x", Some("X"), now).await.unwrap() {
                samesake::identity::sign_in::SignedUp::Created(customer) => customers.push(customer.to_string()),
                _ => panic!("{email} is taken"),
            }
        }
        let [ann, ben] = [customers[0].as_str(), customers[1].as_str()];
        assert!(run(&gateway, &["admin", "grant", "Ann@Example.com", "--role", "owner"]).unwrap().contains("is owner now"));
        assert!(run(&gateway, &["admin", "grant", ann, "--role", "owner"]).unwrap().contains("already"));
        assert!(run(&gateway, &["admin", "grant", ben, "--role", "viewer"]).unwrap().contains("is viewer now"));
        let roles: Vec<_> = listed(&gateway).iter().map(|line| (line["customer_id"].clone(), line["role"].clone())).collect();
        assert_eq!(roles, [(json!(ann), json!("owner")), (json!(ben), json!("viewer")), (Value::Null, json!("merger"))]);
        let table = run(&gateway, &["admin", "list"]).unwrap();
        assert!(table.contains(ann) && table.contains("client robot"), "{table}");
        run(&gateway, &["admin", "revoke", BEN]).unwrap();
        assert_eq!(listed(&gateway).len(), 2);
        for (arguments, error) in [
            (vec!["admin", "grant", "nobody@example.com", "--role", "owner"], "nobody is known by this ID"),
            (vec!["admin", "grant", "x", "--role", "owner"], "nobody is known by this ID"),
            (vec!["admin", "grant", ann, "--role", "king"], "a role is viewer, support, merger, approver or owner"),
            (vec!["admin", "revoke", BEN], "nobody with a role"),
        ] {
            let said = run(&gateway, &arguments).unwrap_err();
            assert!(said.contains(error), "{arguments:?}: {said}");
        }
        store.close().await;
    }

    /// A role stays with the customer it was given to, so it can also be taken from one who was merged.
    async fn a_role_of_a_retired_customer_can_be_taken_away(env: &Env) {
        let gateway = Gateway::start(env, "").await;
        let store = env.store().await;
        let (ann, ben) = (crate::store::samples::stored_customer(&store).await, crate::store::samples::stored_customer(&store).await);
        run(&gateway, &["admin", "grant", &ben.to_string(), "--role", "owner"]).unwrap();
        crate::store::samples::merge(env, ann, ben).await;
        assert_eq!(listed(&gateway).len(), 1);
        run(&gateway, &["admin", "revoke", &ben.to_string()]).unwrap();
        assert_eq!(listed(&gateway), Vec::<Value>::new());
        store.close().await;
    }
}
