//! Receivers of events as admins see them, and what was put aside delivered again (spec/handoff.md rule 17).

use samesake::protocol::admin_role::AdminRole;
use serde_json::json;

use super::{Office, assert_good, assert_problem};
use crate::events::order::put_aside;
use crate::events::receiver::{Receiver, Reply};
use crate::events::{customer, happen, start, webhook, whats};
use crate::harness::{Env, TestApp, until};
use crate::on_both;

on_both! {
    async fn what_was_put_aside_is_listed_and_delivered_again(env: &Env) {
        let receiver = Receiver::start().await;
        let app = start(TestApp::builder(env).configure(webhook("crm", &receiver, json!({"internal": true})))).await;
        let store = app.store.background();
        let ann = customer(&store, &env.clock).await;
        for what in ["one", "two", "three"] {
            happen(&store, &env.clock, ann, what).await;
        }
        until("the deliveries", async || whats(&receiver).len() == 3).await;
        let office = Office::of(app).await;
        let (owner, support) = (office.robot(AdminRole::Owner).await, office.robot(AdminRole::Support).await);
        put_aside(env, &[2, 3, 4]).await;
        let seen = office.get(&support, "/webhooks/crm").await;
        assert_good(&seen);
        assert_eq!((&seen.body["put_aside"], &seen.body["delivered"]), (&json!(3), &json!(4)), "{}", seen.text);
        assert_eq!(office.get(&support, "/webhooks").await.body["items"][0]["id"], "crm");
        let first = office.get(&support, "/webhooks/crm/dead-letters?limit=2").await;
        assert_eq!(first.body["items"].as_array().unwrap().len(), 2);
        let next = first.body["next"].as_str().unwrap();
        let rest = office.get(&support, &format!("/webhooks/crm/dead-letters?limit=2&cursor={next}")).await;
        assert_eq!(rest.body["items"][0]["sequence"], 4);

        let path = "/webhooks/crm/retry";
        assert_problem(&office.post(&support, path, "k", &json!({})).await, 403, "role-too-low");
        let one = office.post(&owner, path, "k", &json!({ "sequence": 3 })).await;
        assert_good(&one);
        assert_eq!(one.body, json!({ "delivered": 2 }), "the one before it is the same customer's");
        assert_eq!(whats(&receiver), ["one", "two", "three", "one", "two"]);
        assert_eq!(office.post(&owner, path, "k", &json!({ "sequence": 3 })).await.body, one.body);
        assert_eq!(whats(&receiver).len(), 5, "a repetition delivers nothing");
        assert_problem(&office.post(&owner, path, "k2", &json!({ "sequence": 3 })).await, 404, "not-found");
        assert_problem(&office.post(&owner, "/webhooks/other/retry", "k3", &json!({})).await, 404, "not-found");

        receiver.answer(|body| Reply::Status(if body["data"]["kind"] == "three" { 422 } else { 200 }));
        let all = office.post(&owner, path, "k4", &json!({})).await;
        assert_eq!(all.body, json!({ "delivered": 0, "refused": "it answered 422" }), "{}", all.text);
        let left = office.get(&support, "/webhooks/crm/dead-letters").await;
        assert_eq!((left.body["items"].as_array().unwrap().len(), &left.body["items"][0]["sequence"]), (1, &json!(4)));
        receiver.take_all();
        assert_eq!(office.post(&owner, path, "k5", &json!({})).await.body, json!({ "delivered": 1 }));
        let seen = office.get(&support, "/webhooks/crm").await;
        assert_eq!((&seen.body["put_aside"], &seen.body["state"]), (&json!(0), &json!("up to date")), "{}", seen.text);
    }
}
