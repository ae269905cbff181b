//! Signatures as others verify them: the library of Standard Webhooks for Node, and Python with nothing but its own.

use serde_json::{Value, json};

use super::receiver::{Delivery, Receiver, SECRET};
use super::{customer, start, webhook};
use crate::harness::{Env, TestApp, program, until};
use crate::on_servers;

const PREVIOUS: &str = "whsec_YW5vdGhlci1zZWNyZXQtZnJvbS1iZWZvcmUtMzItYnk=";

async fn verify(library: &str, delivery: &Delivery, secret: &str, text: &str) -> std::process::Output {
    let variables = [
        ("SECRET", secret),
        ("WEBHOOK_ID", delivery.id.as_str()),
        ("WEBHOOK_TIMESTAMP", delivery.timestamp.as_str()),
        ("WEBHOOK_SIGNATURE", delivery.signature.as_str()),
        ("BODY", text),
    ];
    program::execute(library, &variables).await
}

on_servers! {
    /// While a receiver changes over, the old secret and the new one both do.
    async fn other_libraries_verify_deliveries(env: &Env) {
        let receiver = Receiver::start().await;
        let keys = json!({"internal": true, "previous_secret": PREVIOUS});
        let app = start(TestApp::builder(env).configure(webhook("crm", &receiver, keys))).await;
        let ann = customer(&app.store.background(), &env.clock).await;
        until("the delivery", async || receiver.taken().len() == 1).await;
        let delivery = receiver.taken().pop().unwrap();
        for library in ["verify_webhook.mjs", "verify_webhook.py"] {
            for secret in [SECRET, PREVIOUS] {
                let body: Value = program::printed(library, &verify(library, &delivery, secret, &delivery.text).await);
                assert_eq!((&body["type"], &body["data"]["customer_id"]), (&json!("customer.created"), &json!(ann)));
            }
            let changed = delivery.text.replace("created", "removed");
            let other = "whsec_bmVpdGhlciBvZiB0aGUgdHdvIHRoYXQgYXJlIGtub3du";
            for (secret, text) in [(SECRET, changed.as_str()), (other, delivery.text.as_str())] {
                let verified = verify(library, &delivery, secret, text).await;
                assert!(!verified.status.success(), "{library} is careless");
            }
        }
    }
}
