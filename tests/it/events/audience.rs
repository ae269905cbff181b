//! Who hears what (spec/handoff.md rule 18, spec/identity.md rules 23 and 31): an app its own subjects and what is for
//! apps; a receiver inside the company everything.

use samesake::events::{self, Actor, Event};
use samesake::ids::{CustomerId, LinkId};
use serde_json::{Value, json};

use super::order::happen_as;
use super::receiver::Receiver;
use super::{customer, happen, start, state, webhook};
use crate::harness::app::{CLIENT_SECRET, web_client};
use crate::harness::relying_party::Tokens;
use crate::harness::{Browser, Env, TestApp, until};
use crate::on_both;

const ANN: &str = "ann@shop.example";

/// Two apps that know customers by other names, and three who listen: one for each, and the company's own.
struct House {
    app: TestApp,
    shop: Receiver,
    club: Receiver,
    crm: Receiver,
}

impl House {
    async fn start(env: &Env) -> House {
        let (shop, club, crm) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
        let pairwise = json!({"subject_type": "pairwise"});
        let builder = TestApp::builder(env)
            .client(web_client("shop", pairwise.clone()), Some(CLIENT_SECRET))
            .client(web_client("club", pairwise), Some(CLIENT_SECRET))
            .configure(webhook("shop-hook", &shop, json!({"audience": "shop"})))
            .configure(webhook("club-hook", &club, json!({"sector": "club.example"})))
            .configure(webhook("crm", &crm, json!({"internal": true})));
        House { app: start(builder).await, shop, club, crm }
    }

    /// Ann logs in at an app, which so learns its name for her.
    async fn log_in(&self, client: &str, browser: &Browser) -> Tokens {
        let party = self.app.relying_party(client).await;
        let authorization = party.authorization();
        let page = self.app.log_in(browser, &authorization.url, ANN).await;
        party.finish(&authorization, &page).await
    }

    async fn record(&self, customer: CustomerId, event: Event) {
        let mut tx = self.app.store.background().begin().await.unwrap();
        events::record(&mut tx, customer, Actor::System, event, self.app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// Waits until all have heard of everything: the last event is for all of them.
    async fn settle(&self, customer: CustomerId) {
        self.record(customer, Event::CredentialAdded { kind: "last" }).await;
        for receiver in [&self.shop, &self.club, &self.crm] {
            until("the last event", async || receiver.taken().iter().any(|it| it.body["data"]["kind"] == "last")).await;
        }
    }
}

/// What a receiver was told, without the last.
fn told(receiver: &Receiver) -> Vec<(String, Value)> {
    let mut told: Vec<_> = receiver.taken().iter().map(|it| (it.kind().to_owned(), it.body["data"].clone())).collect();
    told.pop();
    told
}

fn sub(tokens: &Tokens) -> String {
    tokens.claims["sub"].as_str().unwrap().to_owned()
}

on_both! {
    async fn an_app_hears_of_customers_it_knows_by_its_own_names_for_them(env: &Env) {
        let house = House::start(env).await;
        let ann = house.app.customer(ANN, "Ann").await;
        let (stranger, browser) = (customer(&house.app.store.background(), &env.clock).await, Browser::new());
        let at_shop = sub(&house.log_in("shop", &browser).await);
        house.record(ann, Event::CredentialAdded { kind: "passkey" }).await;
        let at_club = sub(&house.log_in("club", &browser).await);
        let link = LinkId::new(env.clock.now());
        let added = Event::LinkAdded { link, namespace: "email".to_owned(), external_id: "new@shop.example".to_owned() };
        house.record(ann, added).await;
        house.record(stranger, Event::CredentialAdded { kind: "password" }).await;
        let consent = |client: &str| Event::ConsentGranted { client_id: client.to_owned(), scope: "openid".to_owned() };
        house.record(ann, consent("shop")).await;
        house.record(ann, Event::ConflictOpened { kind: "address_reassigned".to_owned() }).await;
        house.settle(ann).await;

        let passkey = ("credential.added".to_owned(), json!({"sub": at_shop, "kind": "passkey"}));
        let new_link = |sub: &str| ("link.added".to_owned(), json!({"sub": sub}));
        let allowed = json!({"sub": at_shop, "client_id": "shop", "scope": "openid"});
        assert_eq!(told(&house.shop), [passkey, new_link(&at_shop), ("consent.granted".to_owned(), allowed)]);
        assert_eq!(told(&house.club), [new_link(&at_club)], "what was before it met her is not told");
        let all = told(&house.crm);
        assert_eq!(all.len(), 9, "{all:#?}");
        assert!(all.iter().all(|(_, data)| data["customer_id"] == json!(ann) || data["customer_id"] == json!(stranger)));
    }

    /// Not the customer ID, not another app's name, no address, no identifier at a provider: not in any text.
    async fn no_app_learns_what_another_knows(env: &Env) {
        let house = House::start(env).await;
        let ann = house.app.customer(ANN, "Ann").await;
        let bob = customer(&house.app.store.background(), &env.clock).await;
        let browser = Browser::new();
        let (at_shop, at_club) = (sub(&house.log_in("shop", &browser).await), sub(&house.log_in("club", &browser).await));
        let upstream = "upstream-subject-1157";
        for kind in ["added", "removed", "proved"] {
            let (link, namespace, external_id) =
                (LinkId::new(env.clock.now()), "social:google".to_owned(), upstream.to_owned());
            house
                .record(ann, match kind {
                    "added" => Event::LinkAdded { link, namespace, external_id },
                    "removed" => Event::LinkRemoved { link, namespace, external_id },
                    _ => Event::LinkProved { link, namespace, external_id, proof: "upstream".to_owned() },
                })
                .await;
        }
        // A merge as it is recorded: the shop knew both, the club one of them, and hears nothing.
        let merged = json!({ "absorbed": bob, "moved": [bob], "audiences": [
            { "sector": "shop.example", "sub": at_shop, "merged_from": ["another name at the shop"] },
            { "sector": "third.example", "sub": "a name at a third", "merged_from": ["another name at a third"] },
        ] });
        happen_as(&house.app.store.background(), &env.clock, ann, "customer.merged", merged).await;
        house.settle(ann).await;

        let (ann, bob) = (ann.to_string(), bob.to_string());
        for (receiver, own, others) in [(&house.shop, &at_shop, &at_club), (&house.club, &at_club, &at_shop)] {
            let texts: Vec<String> = receiver.taken().into_iter().map(|delivery| delivery.text).collect();
            assert!(texts.len() >= 4 && texts.iter().all(|text| text.contains(own.as_str())), "{texts:#?}");
            for secret in [others.as_str(), &ann, &bob, ANN, upstream, "google", "at a third"] {
                assert!(!texts.iter().any(|text| text.contains(secret)), "{secret}: {texts:#?}");
            }
        }
        let last = told(&house.shop).pop().unwrap();
        assert_eq!(last, ("customer.merged".to_owned(), json!({"sub": at_shop, "merged_from": ["another name at the shop"]})));
        assert!(told(&house.club).iter().all(|(kind, _)| kind != "customer.merged"));
    }

    async fn a_receiver_hears_only_of_what_it_asked_for(env: &Env) {
        let receiver = Receiver::start().await;
        let asked = json!({"internal": true, "events": ["credential.*", "customer.created"]});
        let app = start(TestApp::builder(env).configure(webhook("crm", &receiver, asked))).await;
        let store = app.store.background();
        let ann = customer(&store, &env.clock).await;
        happen(&store, &env.clock, ann, "not asked for").await;
        let mut tx = store.begin().await.unwrap();
        let added = Event::CredentialAdded { kind: "password" };
        events::record(&mut tx, ann, Actor::System, added, env.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        until("the last of them", async || receiver.kinds() == ["customer.created", "credential.added"]).await;
    }

    /// An audience that nobody is: nothing is told, and nothing is passed over until somebody is.
    async fn a_receiver_of_an_unknown_app_waits_for_it(env: &Env) {
        let receiver = Receiver::start().await;
        let asked = json!({"audience": "shop"});
        let app = start(TestApp::builder(env).configure(webhook("crm", &receiver, asked))).await;
        let store = app.store.background();
        customer(&store, &env.clock).await;
        until("it to be said", async || {
            state(&store, "crm").await.last_error.as_deref() == Some("there is no client or destination shop")
        })
        .await;
        assert_eq!(state(&store, "crm").await.cursor, 0);
    }
}
