//! Legal holds and brands by the API (identity rule 30).

use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::{Env, TestApp, invariants};
use crate::on_both;

on_both! {
    async fn a_held_customer_is_neither_merged_nor_erased_until_released(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let (owner, approver) = (office.robot(AdminRole::Owner).await, office.robot(AdminRole::Approver).await);
        let (hold, release) = (format!("/customers/{ann}/hold"), format!("/customers/{ann}/release"));
        let body = json!({ "reason": "lawsuit 17" });
        assert_problem(&office.post(&approver, &hold, "k", &body).await, 403, "role-too-low");
        let seen = office.get(&owner, &format!("/customers/{ann}")).await;
        let version = seen.headers["etag"].to_str().unwrap();
        let held = office.post_as(&owner, &hold, "k", version, &body).await;
        assert_good(&held);
        assert_eq!(held.body, json!({ "customer": ann, "repeated": false }));
        assert_problem(&office.post_as(&owner, &release, "k0", version, &body).await, 412, "version-mismatch");
        assert_eq!(office.post(&owner, &hold, "k2", &body).await.body["repeated"], true);
        let seen = office.get(&owner, &format!("/customers/{ann}")).await;
        assert_eq!(seen.body["legal_hold"], "lawsuit 17");
        let planned = office.ask(&owner, "/merges/plan", &json!({ "survivor": ben, "absorbed": ann })).await;
        assert_eq!(planned.body["refusals"][0]["name"], "legal-hold", "{}", planned.text);
        let erase = format!("/customers/{ann}/erase");
        assert_problem(&office.post(&owner, &erase, "e", &body).await, 409, "refused");
        let lifted = office.post(&owner, &release, "k3", &json!({ "reason": "settled" })).await;
        assert_eq!((lifted.status.as_u16(), &lifted.body["repeated"]), (200, &json!(false)), "{}", lifted.text);
        assert_eq!(office.get(&owner, &format!("/customers/{ann}")).await.body.get("legal_hold"), None);
        assert_good(&office.post(&owner, &erase, "e", &body).await);
        assert_problem(&office.post(&owner, &hold, "k4", &body).await, 410, "gone");
        invariants::check(env).await;
    }

    async fn a_brand_is_set_and_a_wall_is_not_crossed(env: &Env) {
        let app = TestApp::builder(env).configure(|config| config.merge.walled_brands = vec!["north".to_owned()]);
        let office = Office::of(app.start().await).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let token = office.robot(AdminRole::Merger).await;
        let brand = async |customer, key: &str, brand: Value| {
            let body = json!({ "brand": brand, "reason": "contract" });
            office.post(&token, &format!("/customers/{customer}/brand"), key, &body).await
        };
        assert_eq!(brand(ann, "k", json!("north")).await.body, json!({ "customer": ann, "repeated": false }));
        assert_eq!(brand(ann, "k2", json!("north")).await.body["repeated"], true);
        assert_good(&brand(ben, "k3", json!("south")).await);
        for (key, wrong) in [("w1", json!("")), ("w2", json!("a b")), ("w3", json!("x".repeat(65))), ("w4", json!(7))] {
            assert_problem(&brand(ann, key, wrong).await, 422, "invalid-content");
        }
        let left_out = office.post(&token, &format!("/customers/{ann}/brand"), "w5", &json!({ "reason": "x" })).await;
        assert_problem(&left_out, 422, "invalid-content");
        let seen = office.get(&token, &format!("/customers/{ann}")).await;
        assert_eq!(seen.body["members"][0]["brand"], "north");
        let wanted = json!({ "survivor": ann, "absorbed": ben });
        let planned = office.ask(&token, "/merges/plan", &wanted).await;
        assert!(!planned.body["refusals"].as_array().unwrap().is_empty(), "{}", planned.text);
        assert_good(&brand(ann, "k4", Value::Null).await);
        assert_good(&brand(ben, "k5", Value::Null).await);
        let planned = office.ask(&token, "/merges/plan", &wanted).await;
        assert_eq!(planned.body["refusals"], json!([]), "{}", planned.text);
        invariants::check(env).await;
    }
}
