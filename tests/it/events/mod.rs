//! Events leave the house: signed, in order, at least once, and to nobody whom they do not concern (spec/handoff.md
//! rules 16 to 19, spec/identity.md rules 31 and 45).

mod audience;
mod command;
mod interop;
mod lease;
mod merging;
pub mod order;
mod power_cut;
pub mod receiver;
mod replay;
mod retention;
mod retry;
mod stream;

use std::time::Duration;

use samesake::clock::Clock;
use samesake::config::{Config, Webhook};
use samesake::events::relay::{Receiver as Configured, Relay, Whose};
use samesake::events::webhook::{Selection, SigningKey};
use samesake::events::{self, Actor, Event};
use samesake::ids::CustomerId;
use samesake::oidc::client::ClientRegistry;
use samesake::outbound::{Outbound, OutboundPolicy};
use samesake::store::{Customer, Store, WebhookState};
use serde_json::{Value, json};

use self::receiver::{Receiver, SECRET};
use crate::harness::app::Builder;
use crate::harness::{Env, TestApp, until};

/// A receiver's place in the configuration, in the words of the file.
pub fn webhook(id: &str, receiver: &Receiver, more: Value) -> impl FnOnce(&mut Config) {
    let mut table = json!({ "id": id, "url": receiver.url, "secret": SECRET });
    for (key, value) in more.as_object().unwrap() {
        table[key] = value.clone();
    }
    let webhook: Webhook = serde_json::from_value(table).unwrap();
    move |config| config.webhooks.push(webhook)
}

/// The same as a configured value, for a relay without a gateway around it: one who may see everything.
pub fn internal(id: &str, receiver: &Receiver) -> Configured {
    Configured {
        id: id.to_owned(),
        url: receiver.url.clone(),
        whose: Whose::Company,
        events: Selection::parse(&["*".to_owned()]).unwrap(),
        keys: vec![SigningKey::parse(SECRET).unwrap()],
        timeout: Duration::from_secs(2),
    }
}

/// A relay on this test's database, as another replica would have it; it does nothing by itself.
pub async fn relay(env: &Env, receivers: Vec<Configured>) -> Relay {
    relay_by(env, receivers, &["127.0.0.1"]).await
}

/// The same, with these hosts allowed for outgoing requests.
pub async fn relay_by(env: &Env, receivers: Vec<Configured>, allow: &[&str]) -> Relay {
    let allow = allow.iter().map(|host| (*host).to_owned()).collect();
    let outbound = Outbound::new(OutboundPolicy { allow, ..OutboundPolicy::default() }).unwrap();
    let relay = Relay::new(&env.store().await, outbound, ClientRegistry::default(), env.clock.clone(), receivers);
    // A receiver hears what happens from the first time on that somebody knows it.
    relay.run_once().await.unwrap();
    relay
}

/// A new customer, recorded as one.
pub async fn customer(store: &Store, clock: &Clock) -> CustomerId {
    let now = clock.now();
    let id = CustomerId::new(now);
    let mut tx = store.begin().await.unwrap();
    tx.customer_insert(&Customer::new(id, json!({}), now)).await.unwrap();
    events::record(&mut tx, id, Actor::System, Event::CustomerCreated {}, now).await.unwrap();
    tx.commit().await.unwrap();
    id
}

/// Something that happens to a customer, told apart by `what`. Internal receivers hear of it.
pub async fn happen(store: &Store, clock: &Clock, customer: CustomerId, what: &str) {
    let mut tx = store.begin().await.unwrap();
    let event = Event::ConflictOpened { kind: what.to_owned() };
    events::record(&mut tx, customer, Actor::System, event, clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

/// A gateway whose receivers have all been noticed: they hear what happens from now on.
pub async fn start(builder: Builder<'_>) -> TestApp {
    let app = builder.start().await;
    let store = app.store.background();
    until("the receivers to be known", async || {
        store.begin_read().await.unwrap().webhooks_all().await.unwrap().len() == app.app.config.webhooks.len()
    })
    .await;
    app
}

/// How a receiver stands.
pub async fn state(store: &Store, id: &str) -> WebhookState {
    let all = store.begin_read().await.unwrap().webhooks_all().await.unwrap();
    all.into_iter().find(|state| state.id == id).unwrap()
}

/// What the taken deliveries said, where [`happen`] made them.
pub fn whats(receiver: &Receiver) -> Vec<String> {
    let what = |delivery: &receiver::Delivery| delivery.body["data"]["kind"].as_str().map(str::to_owned);
    receiver.taken().iter().filter_map(what).collect()
}
