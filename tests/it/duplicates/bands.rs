//! What becomes of likely pairs: clusters that somebody objects to, large ones, and merging without asking.

use samesake::clock::Clock;
use samesake::events::{self, Actor};
use samesake::identity::candidates::{self, Calibration, Follower, Rules};
use samesake::identity::not_same;
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::{AdminRow, Candidate, CandidateState, Store};
use serde_json::{Value, json};

use super::candidates::{NOW, fill, link, open, rules, scan};
use super::follow::{empty, follow, id, sign_up, somebody};
use super::people;
use crate::harness::{Env, Gateway, invariants};
use crate::identity::merge::added;
use crate::on_both;

/// Signs the same person up once more, with an address and a number that they proved. No two customers have the same
/// proved address, but mail to one and the same person goes to several.
async fn sign_up_proved(store: &Store, number: u128, mut profile: Value) -> CustomerId {
    let now = Clock::system().now();
    profile["phone_number_verified"] = json!({ "value": true, "at": now.micros() });
    let customer = sign_up(store, number, profile).await;
    let address = link(customer, "email", &format!("quastenflosser+{number}@gmail.com"));
    let mut tx = store.begin().await.unwrap();
    assert!(tx.link_insert(&address).await.unwrap());
    events::record(&mut tx, customer, Actor::Customer, added(&address), now).await.unwrap();
    tx.commit().await.unwrap();
    customer
}

fn automatic() -> Rules {
    let mut rules = rules();
    rules.policy.automatic = true;
    rules
}

/// What is kept of the first two strangers.
async fn first(store: &Store) -> Candidate {
    store.begin_read().await.unwrap().candidate_find(id(9_001), id(9_002)).await.unwrap().unwrap().candidate
}

on_both! {
    async fn a_chain_never_joins_who_is_kept_apart(env: &Env) {
        let (store, mut follower) = empty(env).await;
        for number in 9_001..=9_003 {
            sign_up(&store, number, somebody()).await;
        }
        let admin = Actor::Admin("ann".to_owned());
        not_same::mark(&store, id(9_001), id(9_003), admin, "father and son", NOW).await.unwrap();
        follow(&mut follower).await;
        // 9002 looks like both. It is proposed with one of them only.
        follower.weigh(id(9_002)).await.unwrap();
        let found = open(&store).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].band, "queue");
        scan(&store).await;
        let scanned = open(&store).await;
        assert_eq!(scanned.len(), 1, "{scanned:?}");
        assert_eq!((scanned[0].a, scanned[0].b), (found[0].a, found[0].b));
    }

    async fn two_verified_birth_dates_and_two_ids_of_one_system_are_two_people(env: &Env) {
        let (store, mut follower) = empty(env).await;
        for (number, born) in [(9_001, "1971-11-23"), (9_002, "1971-11-24")] {
            let mut profile = somebody();
            profile["birthdate"]["value"] = json!(born);
            profile["birthdate_verified"] = json!({ "value": true, "at": NOW.micros() });
            sign_up(&store, number, profile).await;
        }
        let mut other = somebody();
        for (field, value) in [("given_name", "Ottokar"), ("email", "o@mail.example"), ("phone_number", "+493055599999"), ("birthdate", "1950-05-06"), ("family_name", "Zwirbel")] {
            other[field]["value"] = json!(value);
        }
        other.as_object_mut().unwrap().remove("address");
        for number in [9_011, 9_012] {
            let customer = sign_up(&store, number, other.clone()).await;
            let link = link(customer, "ext:crm", &format!("crm-{number}"));
            let mut tx = store.begin().await.unwrap();
            tx.link_insert(&link).await.unwrap();
            tx.commit().await.unwrap();
        }
        follow(&mut follower).await;
        assert_eq!(open(&store).await, []);
        scan(&store).await;
        assert_eq!(open(&store).await, []);
    }

    async fn a_large_cluster_needs_review(env: &Env) {
        let (store, mut follower) = empty(env).await;
        for number in 9_001..=9_008 {
            sign_up_proved(&store, number, somebody()).await;
        }
        let mut follower_of_all = Follower::new(&store, automatic(), Clock::system());
        follow(&mut follower_of_all).await;
        follow(&mut follower).await;
        let found = open(&store).await;
        assert_eq!(found.len(), 28);
        let last = id(9_008);
        assert!(found.iter().filter(|pair| pair.b == last).all(|pair| pair.needs_review), "as one after the other came");
        scan(&store).await;
        let found = open(&store).await;
        assert!(found.iter().all(|pair| pair.needs_review && pair.band == "queue"), "{found:?}");
        assert!(found.iter().all(|pair| pair.cluster == Some(id(9_001))));
    }

    async fn what_is_certain_is_merged_only_where_that_is_switched_on(env: &Env) {
        let (store, mut follower) = empty(env).await;
        sign_up_proved(&store, 9_001, somebody()).await;
        sign_up_proved(&store, 9_002, somebody()).await;
        follow(&mut follower).await;
        assert_eq!((first(&store).await.band.as_str(), first(&store).await.state), ("queue", CandidateState::Open));

        let mut follower = Follower::new(&store, automatic(), Clock::system());
        follower.weigh(id(9_002)).await.unwrap();
        assert_eq!(first(&store).await.band, "automatic");
        // One event more, so that there is something to follow.
        sign_up(&store, 9_500, json!({})).await;
        follow(&mut follower).await;
        let merged = first(&store).await;
        assert_eq!(merged.state, CandidateState::Merged);
        let mut tx = store.begin_read().await.unwrap();
        assert_eq!(tx.customer_living(id(9_002)).await.unwrap().unwrap().id, id(9_001), "who came first lives on");
        let merge = tx.merge_of(id(9_002)).await.unwrap().unwrap();
        assert_eq!(merge.actor, "rule:duplicates");
        assert!(merge.reason["text"].as_str().unwrap().contains(&merged.model), "{:?}", merge.reason);
        invariants::check(env).await;
    }

    /// P alone is not enough: it takes two independent proved identifiers.
    async fn one_proved_identifier_waits_for_a_person(env: &Env) {
        let (store, _) = empty(env).await;
        for number in 9_001..=9_002 {
            let mut profile = somebody();
            profile.as_object_mut().unwrap().remove("phone_number");
            sign_up_proved(&store, number, profile).await;
        }
        follow(&mut Follower::new(&store, automatic(), Clock::system())).await;
        let pair = first(&store).await;
        assert!(pair.same > 0.999 && pair.reasons["rules"] == json!(["proved_email"]), "{pair:?}");
        assert_eq!((pair.band.as_str(), pair.state), ("queue", CandidateState::Open));
    }

    async fn what_a_merge_refuses_goes_before_a_person_with_the_reason(env: &Env) {
        let (store, _) = empty(env).await;
        sign_up_proved(&store, 9_001, somebody()).await;
        sign_up_proved(&store, 9_002, somebody()).await;
        let mut tx = store.begin().await.unwrap();
        let admin = AdminRow { customer: id(9_002), role: AdminRole::Viewer, granted_by: "test".to_owned(), granted_at: NOW };
        tx.admin_grant(&admin).await.unwrap();
        tx.commit().await.unwrap();
        let mut follower = Follower::new(&store, automatic(), Clock::system());
        follow(&mut follower).await;
        let pair = first(&store).await;
        assert_eq!((pair.band.as_str(), pair.state), ("queue", CandidateState::Open), "{pair:?}");
        assert_eq!(pair.reasons["not_merged"][0]["refusal"], "upward_in_rights", "{pair:?}");
        let living = store.begin_read().await.unwrap().customer_living(id(9_002)).await.unwrap().unwrap();
        assert_eq!(living.id, id(9_002));
        invariants::check(env).await;
    }

    async fn five_hundred_decisions_propose_a_correction_that_somebody_applies(env: &Env) {
        let store = env.store().await;
        assert_eq!(candidates::calibration(&store).await.unwrap(), Calibration::NoModel);
        fill(&store, &people::records(60, 71)).await;
        scan(&store).await;
        let model = store.begin_read().await.unwrap().duplicate_basis().await.unwrap().0.unwrap();
        let mut tx = store.begin().await.unwrap();
        // A model that is too sure of itself: of what it calls 0.95, every third pair was one person.
        let pairs = (1..=40_u128).flat_map(|a| (a + 1..=40).map(move |b| (a, b)));
        for (number, (a, b)) in pairs.take(600).enumerate() {
            let pair = Candidate {
                a: id(a),
                b: id(b),
                same: 0.95,
                household: 0.0,
                reasons: json!({}),
                model: model.clone(),
                band: "queue".to_owned(),
                cluster: None,
                needs_review: false,
                state: CandidateState::Open,
                created_at: NOW,
                updated_at: NOW,
            };
            tx.candidate_undismiss(id(a), id(b)).await.unwrap();
            tx.candidate_withdraw(id(a), id(b)).await.unwrap();
            assert!(tx.candidate_upsert(&pair).await.unwrap());
            let state = if number % 3 == 0 { CandidateState::Merged } else { CandidateState::Dismissed };
            assert!(tx.candidate_decide(id(a), id(b), state, NOW).await.unwrap());
        }
        tx.commit().await.unwrap();
        let gateway = Gateway::configured(env, "").await;
        let said = |arguments: &[&str]| {
            let output = gateway.run(arguments);
            (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
        };
        let (shown, text) = said(&["duplicates", "calibration", "show", "--json"]);
        let proposal: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert!(shown && proposal["decisions"] == 600 && proposal["model"] == model.as_str(), "{text}");
        let latest = || async { store.begin_read().await.unwrap().duplicate_basis().await.unwrap().0.unwrap() };
        assert_eq!(latest().await, model, "showing applies nothing");
        let (applied, text) = said(&["duplicates", "calibration", "apply", "--model", "another"]);
        assert!(!applied && text.contains("no correction of this model"), "{text}");
        let (applied, text) = said(&["duplicates", "calibration", "apply", "--model", &model]);
        assert!(applied, "{text}");
        assert_ne!(latest().await, model, "a corrected model is another one");
        let (shown, text) = said(&["duplicates", "calibration", "show"]);
        assert!(!shown && text.contains("0 decisions are too few"), "{text}");
    }
}
