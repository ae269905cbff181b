//! Merge and unmerge (spec/identity.md rules 22 to 35): customers made as logins make them, merged by the functions that
//! every surface calls, seen as apps see them.

mod acceptance;
mod cost;
mod erasing;
mod issued_before;
mod keeping;
mod merging;
mod naming;
pub mod program;
mod proposals;
mod random;
mod refusals;
mod settling;
mod sides;
mod undoing;

use std::collections::BTreeMap;

use samesake::clock::Timestamp;
use samesake::config::{Config, MergeConfig};
use samesake::events::{self, Actor, Event};
use samesake::identity::address::EmailAddress;
use samesake::identity::merge::own::Letters;
use samesake::identity::merge::{
    self, Executed, Initiator, Joined, Outcome, Plan, PlanRequest, Planned, Terms, UndoRequest, Undone,
};
use samesake::identity::namespace::Namespace;
use samesake::ids::{CustomerId, LinkId, MergeId};
use samesake::mail::Message;
use samesake::protocol::admin_role::AdminRole;
use samesake::secret::MasterKey;
use samesake::store::{AdminRow, Credential, Customer, Link, LinkState, Store};
use serde_json::{Value, json};

use crate::harness::invariants::Graph;

/// A moment of these tests, in seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

pub fn config() -> MergeConfig {
    Config::load(None, Vec::new()).unwrap().merge
}

/// What is merged and undone here.
pub struct Board {
    pub store: Store,
    pub config: MergeConfig,
}

impl Board {
    pub fn new(store: Store) -> Board {
        Board { store, config: config() }
    }

    /// A customer with one proved address and one account at a provider, both named after them.
    pub async fn customer(&self, name: &str, now: Timestamp) -> CustomerId {
        self.customer_with(name, json!({"name": {"value": name, "at": now}}), now).await
    }

    pub async fn customer_with(&self, name: &str, profile: Value, now: Timestamp) -> CustomerId {
        let id = CustomerId::new(now);
        let mut tx = self.store.begin().await.unwrap();
        tx.customer_insert(&Customer::new(id, profile, now)).await.unwrap();
        let links = [
            link(Namespace::Social("google".to_owned()), name, id, now),
            link(Namespace::Email, &format!("{name}@shop.example"), id, now),
        ];
        let mut events = vec![Event::CustomerCreated {}];
        for link in &links {
            assert!(tx.link_insert(link).await.unwrap());
            events.push(added(link));
        }
        events::record_all(&mut tx, id, Actor::Customer, events, now).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// One more identifier of a customer.
    pub async fn link(&self, customer: CustomerId, namespace: Namespace, external_id: &str, now: Timestamp) -> LinkId {
        let mut tx = self.store.begin().await.unwrap();
        let root = tx.customer_lock(customer).await.unwrap().unwrap().id;
        let link = Link { root, ..link(namespace, external_id, customer, now) };
        assert!(tx.link_insert(&link).await.unwrap());
        events::record(&mut tx, customer, Actor::Customer, added(&link), now).await.unwrap();
        tx.commit().await.unwrap();
        link.id
    }

    pub async fn password(&self, customer: CustomerId, phc: &str, now: Timestamp) {
        let mut tx = self.store.begin().await.unwrap();
        let id = samesake::ids::CredentialId::new(now);
        assert!(tx.credential_insert(&Credential::password(id, customer, phc, now)).await.unwrap());
        let event = Event::CredentialAdded { kind: "password" };
        events::record(&mut tx, customer, Actor::Customer, event, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    pub async fn subject(&self, sector: &str, customer: CustomerId, sub: &str, now: Timestamp) {
        let mut tx = self.store.begin().await.unwrap();
        assert_eq!(tx.subject_issue(sector, customer, sub, now).await.unwrap(), sub);
        tx.commit().await.unwrap();
    }

    pub async fn consent(&self, customer: CustomerId, client: &str, scope: &str, now: Timestamp) {
        let mut tx = self.store.begin().await.unwrap();
        tx.consent_put(customer, client, scope, now).await.unwrap();
        tx.commit().await.unwrap();
    }

    /// What a sector calls an ID today.
    pub async fn sub(&self, sector: &str, customer: CustomerId, now: Timestamp) -> Option<String> {
        let rows = self.store.begin_read().await.unwrap().members_seen(sector, customer).await.unwrap();
        merge::side::see(&rows, customer, &self.config, now).unwrap().sub
    }

    pub async fn plan(&self, request: &PlanRequest, now: Timestamp) -> Plan {
        match merge::plan(&self.store, &self.config, request, now).await.unwrap() {
            Outcome::Done(Planned::New(plan)) | Outcome::Refused(plan) => *plan,
            other => panic!("{other:?}"),
        }
    }

    pub async fn execute(&self, request: &PlanRequest, terms: Terms<'_>, now: Timestamp) -> Outcome<Executed> {
        merge::execute(&self.store, &self.config, request, terms, now).await.unwrap()
    }

    /// A merge by the operator that nothing speaks against.
    pub async fn merge(&self, survivor: CustomerId, absorbed: CustomerId, now: Timestamp) -> Executed {
        done(self.execute(&by_operator(survivor, absorbed), Terms::default(), now).await)
    }

    /// A merge by the customer, who has just proved both sides.
    pub async fn merge_own(&self, survivor: CustomerId, absorbed: CustomerId, now: Timestamp) -> Executed {
        done(self.execute(&by_customer(survivor, absorbed, now), Terms::default(), now).await)
    }

    pub async fn undo(&self, merge: MergeId, now: Timestamp) -> Undone {
        merge::undo(&self.store, &self.config, &undo_request(merge), None, now).await.unwrap()
    }

    /// Gives a customer rights of administration.
    pub async fn make_admin(&self, customer: CustomerId) {
        let granted_by = "admin:root".to_owned();
        let row = AdminRow { customer, role: AdminRole::Support, granted_by, granted_at: at(0) };
        let mut tx = self.store.begin().await.unwrap();
        assert!(tx.admin_grant(&row).await.unwrap());
        tx.commit().await.unwrap();
    }

    pub async fn living(&self, customer: CustomerId) -> CustomerId {
        self.store.begin_read().await.unwrap().customer_living(customer).await.unwrap().unwrap().id
    }
}

pub fn done<T: std::fmt::Debug>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(done) => done,
        other => panic!("{other:?}"),
    }
}

/// The customer of `side` has proved a channel of `proved`; the letters about it are not looked at.
pub async fn join_keys(store: &Store, side: CustomerId, proved: CustomerId, now: Timestamp) -> Joined {
    let key = MasterKey::generate().derive("mail");
    let write =
        |to: &EmailAddress| Message { to: to.clone(), subject: "Joined".into(), text: "".into(), html: "".into() };
    merge::join_keys(store, side, proved, Letters { key: &key, write: &write }, now).await.unwrap()
}

pub fn by_operator(survivor: CustomerId, absorbed: CustomerId) -> PlanRequest {
    PlanRequest {
        survivor,
        absorbed,
        by: Initiator::Operator { name: "root".to_owned() },
        reason: "the same person".to_owned(),
        choices: BTreeMap::new(),
        sessions: None,
    }
}

pub fn by_admin(name: &str, survivor: CustomerId, absorbed: CustomerId) -> PlanRequest {
    PlanRequest { by: Initiator::Admin { name: name.to_owned(), customer: None }, ..by_operator(survivor, absorbed) }
}

pub fn by_customer(survivor: CustomerId, absorbed: CustomerId, now: Timestamp) -> PlanRequest {
    PlanRequest { by: Initiator::Customer { proved: [now, now] }, ..by_operator(survivor, absorbed) }
}

pub fn undo_request(merge: MergeId) -> UndoRequest {
    let by = Initiator::Operator { name: "root".to_owned() };
    UndoRequest { merge, by, reason: "two people".to_owned(), take: Vec::new() }
}

pub fn link(namespace: Namespace, external_id: &str, customer: CustomerId, now: Timestamp) -> Link {
    let is_way_in = matches!(namespace, Namespace::Social(_) | Namespace::Email);
    Link {
        id: LinkId::new(now),
        namespace: namespace.to_string(),
        external_id: external_id.to_owned(),
        exclusive: namespace.is_exclusive(),
        customer,
        root: customer,
        state: LinkState::Live,
        source: "test".to_owned(),
        proof: is_way_in.then(|| "email_code".to_owned()),
        verified_at: is_way_in.then_some(now),
        display: None,
        profile: Value::Null,
        first_seen: now,
        last_seen: now,
        ended_at: None,
        disabled_at: None,
        disabled_reason: None,
        mail_stopped_at: None,
    }
}

pub fn added(link: &Link) -> Event {
    Event::LinkAdded { link: link.id, namespace: link.namespace.clone(), external_id: link.external_id.clone() }
}

/// Everything that a merge and its undoing must leave as it was: all but versions, times and logs.
pub fn picture(graph: &Graph) -> Vec<String> {
    let customers =
        graph.customers.iter().map(|(id, row)| format!("{id} {} {} {}", row.canonical, row.state, row.profile));
    let links = graph.links.iter().map(|row| format!("{row:?}"));
    let subjects = graph.subjects.iter().map(|row| format!("{row:?}"));
    let credentials = graph.credentials.iter().map(|row| format!("credential {row:?}"));
    let consents = graph.consents.iter().map(|row| format!("consent {row:?}"));
    let mut picture: Vec<String> = customers.chain(links).chain(subjects).chain(credentials).chain(consents).collect();
    picture.sort();
    picture
}

/// An ID as the rows of the graph have it.
pub fn hex(id: CustomerId) -> String {
    id.0.simple().to_string()
}
