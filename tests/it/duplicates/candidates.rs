//! Scans of an installation's customers, on both databases.

use samesake::clock::{Clock, Timestamp};
use samesake::config::Config;
use samesake::identity::candidates::{self, Imported, Loaded, Refit, Rules};
use samesake::identity::duplicates::Pair;
use samesake::identity::duplicates::{Blocks, Model};
use samesake::ids::{CustomerId, LinkId};
use samesake::store::{Candidate, CandidateState, Customer, Link, LinkState, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use super::people;
use crate::harness::Env;
use crate::on_both;

pub(super) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

pub(super) fn profile(row: &people::Record) -> Value {
    let attribute = |value: Value| json!({ "value": value, "at": NOW.micros() });
    let address =
        json!({ "street_address": row.street, "locality": row.locality, "postal_code": row.postcode, "country": "GB" });
    json!({
        "given_name": attribute(json!(row.given)),
        "family_name": attribute(json!(row.family)),
        "birthdate": attribute(json!(row.birth)),
        "phone_number": attribute(json!(row.phone)),
        "address": attribute(address),
    })
}

pub(super) fn link(customer: CustomerId, namespace: &str, external_id: &str) -> Link {
    Link {
        id: LinkId::new(NOW),
        namespace: namespace.to_owned(),
        external_id: external_id.to_owned(),
        exclusive: namespace != "unproved_email",
        customer,
        root: customer,
        state: LinkState::Live,
        source: "import".to_owned(),
        proof: None,
        verified_at: (namespace != "unproved_email").then_some(NOW),
        display: None,
        profile: json!({}),
        first_seen: NOW,
        last_seen: NOW,
        ended_at: None,
        disabled_at: None,
        disabled_reason: None,
        mail_stopped_at: None,
    }
}

/// Customers with the population's values; the customer ID is the place in it.
pub(super) async fn fill(store: &Store, rows: &[people::Record]) {
    let mut tx = store.begin().await.unwrap();
    for (number, row) in rows.iter().enumerate() {
        let id = CustomerId(Uuid::from_u128(number as u128 + 1));
        tx.customer_insert(&Customer::new(id, profile(row), NOW)).await.unwrap();
        if !row.email.is_empty() {
            tx.link_insert(&link(id, "unproved_email", &row.email)).await.unwrap();
        }
    }
    tx.commit().await.unwrap();
}

pub(super) fn rules() -> Rules {
    let config = Config::load(None, Vec::new()).unwrap();
    Rules::new(&config.duplicates, &config.merge)
}

pub(super) async fn load(store: &Store) -> (Loaded, Blocks, Model) {
    let loaded = candidates::load(store, &rules(), NOW, |_| {}).await.unwrap();
    let blocks = Blocks::new(&loaded.records);
    let model = candidates::model(store, &loaded, &blocks, Refit::Never, Clock::system().now()).await.unwrap();
    (loaded, blocks, model)
}

pub(super) async fn scan(store: &Store) -> i64 {
    let (loaded, blocks, model) = load(store).await;
    let clock = Clock::system();
    let job = candidates::scan(store, &clock, &loaded, (&model, &blocks), &rules(), |_| true).await.unwrap();
    assert!(job.finished_at.is_some() && job.units == job.of_units, "{job:?}");
    job.kept
}

pub(super) async fn open(store: &Store) -> Vec<Candidate> {
    let first = CustomerId(Uuid::nil());
    store.begin_read().await.unwrap().candidates_after(first, first, 10_000).await.unwrap()
}

on_both! {
    async fn a_scan_finds_the_customers_that_are_one_person(env: &Env) {
        let store = env.store().await;
        let rows = people::records(400, 71);
        fill(&store, &rows).await;
        let kept = scan(&store).await;
        let found = open(&store).await;
        assert_eq!(found.len() as i64, kept);
        let person = |id: CustomerId| rows[id.0.as_u128() as usize - 1].person;
        let queued: Vec<_> = found.iter().filter(|pair| pair.band == "queue").collect();
        let right = queued.iter().filter(|pair| person(pair.a) == person(pair.b)).count();
        assert!(right > 60 && queued.len() - right <= queued.len() / 20, "{right} of {}", queued.len());
        let steps = found[0].reasons.pointer("/waterfall/steps").and_then(Value::as_array).unwrap();
        assert!(!steps.is_empty(), "it says why");
    }

    async fn a_second_scan_changes_nothing_and_a_decision_stays(env: &Env) {
        let store = env.store().await;
        fill(&store, &people::records(200, 73)).await;
        scan(&store).await;
        let before = open(&store).await;
        scan(&store).await;
        let unstamped = |pairs: Vec<Candidate>| -> Vec<Candidate> {
            pairs.into_iter().map(|pair| Candidate { updated_at: pair.created_at, ..pair }).collect()
        };
        assert_eq!(unstamped(open(&store).await), unstamped(before.clone()));

        let (a, b) = (before[0].a, before[0].b);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.candidate_decide(a, b, CandidateState::Dismissed, NOW).await.unwrap());
        assert!(!tx.candidate_decide(a, b, CandidateState::Merged, NOW).await.unwrap(), "it is decided");
        tx.commit().await.unwrap();
        scan(&store).await;
        assert!(open(&store).await.iter().all(|pair| (pair.a, pair.b) != (a, b)));
        let counts = store.begin_read().await.unwrap().candidates_count().await.unwrap();
        let dismissed = counts.iter().filter(|count| count.state == CandidateState::Dismissed);
        assert_eq!(dismissed.map(|count| count.pairs).sum::<i64>(), 1);
    }

    async fn a_pair_that_changed_its_mind_is_forgotten(env: &Env) {
        let store = env.store().await;
        fill(&store, &people::records(200, 79)).await;
        scan(&store).await;
        let gone = open(&store).await.remove(0);
        let mut tx = store.begin().await.unwrap();
        tx.customer_profile_set(gone.a, &json!({}), NOW).await.unwrap();
        tx.commit().await.unwrap();
        scan(&store).await;
        assert!(open(&store).await.iter().all(|pair| (pair.a, pair.b) != (gone.a, gone.b)));
    }

    async fn imported_pairs_name_the_living_and_keep_decisions(env: &Env) {
        let store = env.store().await;
        fill(&store, &people::records(10, 83)).await;
        let id = |number: u128| Uuid::from_u128(number).to_string();
        let pair = |left: u128, right: u128, probability: f64| Pair { left: id(left), right: id(right), probability, household: None };
        let pairs = [pair(2, 1, 0.99), pair(3, 4, 0.5), pair(5, 6, 0.01), pair(1, 999, 0.9)];
        let counts = candidates::import(&store, &pairs, &rules(), NOW).await.unwrap();
        assert_eq!(counts, Imported { kept: 2, decided: 0, dropped: 1, unknown: 1 });
        let found = open(&store).await;
        let bands: Vec<_> = found.iter().map(|pair| (pair.a.0.as_u128(), pair.b.0.as_u128(), pair.band.as_str())).collect();
        assert_eq!(bands, [(1, 2, "queue"), (3, 4, "watch")]);
        let mut tx = store.begin().await.unwrap();
        tx.candidate_decide(found[0].a, found[0].b, CandidateState::Dismissed, NOW).await.unwrap();
        tx.commit().await.unwrap();
        let counts = candidates::import(&store, &pairs, &rules(), NOW).await.unwrap();
        assert_eq!(counts, Imported { kept: 1, decided: 1, dropped: 1, unknown: 1 });
    }
}
