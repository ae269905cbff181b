//! Customers weighed one by one, as they sign up and change.

use std::collections::BTreeMap;

use samesake::clock::Clock;
use samesake::events::{self, Actor, Event};
use samesake::identity::candidates::{self, Follower, IndexState};
use samesake::identity::{erase, merge, not_same};
use samesake::ids::CustomerId;
use samesake::secret::MasterKey;
use samesake::store::{Candidate, Customer, CustomerState, Probe, Store};
use serde_json::{Value, json};
use uuid::Uuid;

use super::candidates::{NOW, fill, open, rules, scan};
use super::{TOWN, people};
use crate::harness::sent::{Sent, sent};
use crate::harness::{Env, invariants};
use crate::identity::merge::by_operator;
use crate::store::{plans, samples};
use crate::{on_both, on_servers};

pub(super) fn id(number: u128) -> CustomerId {
    CustomerId(Uuid::from_u128(number))
}

/// Somebody with everything known, and nothing of it in the town.
pub(super) fn somebody() -> Value {
    let attribute = |value: Value| json!({ "value": value, "at": NOW.micros() });
    json!({
        "given_name": attribute(json!("Leopoldine")),
        "family_name": attribute(json!("Quastenflosser")),
        "birthdate": attribute(json!("1971-11-23")),
        "email": attribute(json!("l.quastenflosser@mail.example")),
        "phone_number": attribute(json!("+493055512345")),
        "address": attribute(json!({ "street_address": "Lachsweg 117", "locality": "Husum", "postal_code": "25813",
                                     "country": "DE" })),
    })
}

/// Signs a customer up.
pub(super) async fn sign_up(store: &Store, number: u128, profile: Value) -> CustomerId {
    let mut tx = store.begin().await.unwrap();
    tx.customer_insert(&Customer::new(id(number), profile, NOW)).await.unwrap();
    events::record(&mut tx, id(number), Actor::Customer, Event::CustomerCreated {}, NOW).await.unwrap();
    tx.commit().await.unwrap();
    id(number)
}

async fn change(store: &Store, customer: CustomerId, profile: Value) {
    let mut tx = store.begin().await.unwrap();
    tx.member_profile_set(customer, &profile, NOW).await.unwrap();
    let event = Event::ProfileUpdated { fields: vec!["family_name".to_owned()] };
    events::record(&mut tx, customer, Actor::Customer, event, NOW).await.unwrap();
    tx.commit().await.unwrap();
}

/// An installation without customers that has a model, and somebody who follows what happens there.
pub(super) async fn empty(env: &Env) -> (Store, Follower) {
    let store = env.store().await;
    candidates::keep_model(&store, &TOWN.1.model, Clock::system().now()).await.unwrap();
    candidates::index(&store, &rules(), &Clock::system(), |_| {}).await.unwrap();
    let follower = Follower::new(&store, rules(), Clock::system());
    (store, follower)
}

/// Goes through all events there are.
pub(super) async fn follow(follower: &mut Follower) {
    while follower.run_once().await.unwrap() > 0 {}
}

async fn weigh_often(follower: &mut Follower, customer: CustomerId) {
    for _ in 0..15 {
        follower.weigh(customer).await.unwrap();
    }
}

fn names(pairs: &[Candidate]) -> Vec<(u128, u128, &str)> {
    pairs.iter().map(|pair| (pair.a.0.as_u128(), pair.b.0.as_u128(), pair.band.as_str())).collect()
}

on_both! {
    async fn following_and_scanning_find_the_same_with_the_same_scores(env: &Env) {
        let store = env.store().await;
        fill(&store, &people::records(250, 71)).await;
        scan(&store).await;
        candidates::index(&store, &rules(), &Clock::system(), |_| {}).await.unwrap();
        let mut follower = Follower::new(&store, rules(), Clock::system());
        let scanned: BTreeMap<_, _> =
            open(&store).await.into_iter().map(|pair| ((pair.a, pair.b), (pair.same, pair.household))).collect();
        let mut tx = store.begin().await.unwrap();
        for (a, b) in scanned.keys() {
            tx.candidate_withdraw(*a, *b).await.unwrap();
        }
        let everybody = tx.customers_living_after(id(0), 10_000).await.unwrap();
        tx.commit().await.unwrap();
        assert!(open(&store).await.is_empty() && scanned.len() > 40);
        // In another order than theirs.
        for customer in everybody.iter().rev() {
            follower.weigh(*customer).await.unwrap();
        }
        let followed: BTreeMap<_, _> =
            open(&store).await.into_iter().map(|pair| ((pair.a, pair.b), (pair.same, pair.household))).collect();
        assert_eq!(followed, scanned);
        let before = open(&store).await;
        for customer in &everybody {
            follower.weigh(*customer).await.unwrap();
        }
        assert_eq!(names(&open(&store).await), names(&before), "weighing again changes nothing");
    }

    async fn a_sign_up_is_weighed_and_a_change_withdraws_what_no_longer_holds(env: &Env) {
        let (store, mut follower) = empty(env).await;
        sign_up(&store, 9_001, somebody()).await;
        follow(&mut follower).await;
        assert_eq!(open(&store).await, []);
        let mut again = somebody();
        again["family_name"]["value"] = json!("Quastenfloser");
        again["address"]["value"]["street_address"] = json!("Lachsweg 171");
        let other = sign_up(&store, 9_002, again.clone()).await;
        follow(&mut follower).await;
        let found = open(&store).await;
        assert_eq!(names(&found), [(9_001, 9_002, "queue")]);
        assert!(found[0].same > 0.99 && found[0].cluster == Some(id(9_001)), "{found:?}");
        assert!(found[0].reasons.pointer("/waterfall/steps/0/bits").is_some(), "it says why");

        let mut moved = somebody();
        for (field, value) in [("given_name", "Bo"), ("family_name", "Ek"), ("birthdate", "2001-02-03"),
                               ("email", "bo@ek.example"), ("phone_number", "+46855501234")] {
            moved[field]["value"] = json!(value);
        }
        moved.as_object_mut().unwrap().remove("address");
        let keys = store.begin_read().await.unwrap().duplicate_keys_of(other).await.unwrap().unwrap();
        change(&store, other, moved).await;
        follow(&mut follower).await;
        assert_eq!(open(&store).await, []);
        let mut tx = store.begin_read().await.unwrap();
        let now = tx.duplicate_keys_of(other).await.unwrap().unwrap();
        assert!(now.iter().all(|key| !keys.contains(key)), "none of the old keys is left");
        let probes: Vec<Probe> = keys.iter().map(|key| Probe { customer: id(1), key: *key, most: 100 }).collect();
        let found = tx.compared_sharing(&probes, 100, &[]).await.unwrap();
        let found: Vec<_> = found.iter().map(|(finder, row)| (*finder, row.member.id)).collect();
        assert_eq!(found, [(id(1), id(9_001))], "nor does any find it");
        change(&store, other, again).await;
        follow(&mut follower).await;
        assert_eq!(names(&open(&store).await), [(9_001, 9_002, "queue")]);
        let fresh = Follower::new(&store, rules(), Clock::system()).run_once().await.unwrap();
        assert_eq!(fresh, 0, "it is written down how far it is");
    }

    async fn nobody_who_is_gone_is_proposed(env: &Env) {
        let (store, mut follower) = empty(env).await;
        for number in 9_001..=9_004 {
            sign_up(&store, number, somebody()).await;
        }
        follow(&mut follower).await;
        assert_eq!(open(&store).await.len(), 6);

        let key = MasterKey::generate().derive("task");
        erase::erase(&store, &key, id(9_004), (Actor::Customer, "asked"), NOW).await.unwrap();
        // At once: keys are made of personal data.
        assert_eq!(store.begin_read().await.unwrap().duplicate_keys_of(id(9_004)).await.unwrap(), None);
        assert_eq!(open(&store).await.len(), 3);
        follow(&mut follower).await;
        assert_eq!(open(&store).await.len(), 3);

        let request = by_operator(id(9_001), id(9_003));
        let merged = merge::execute(&store, &rules().merge, &request, merge::Terms::default(), NOW).await.unwrap();
        assert!(matches!(merged, merge::Outcome::Done(_)), "{merged:?}");
        follow(&mut follower).await;
        assert_eq!(names(&open(&store).await), [(9_001, 9_002, "queue")]);
        assert_eq!(store.begin_read().await.unwrap().duplicate_keys_of(id(9_003)).await.unwrap(), None);

        let mut tx = store.begin().await.unwrap();
        tx.customer_state_set(id(9_002), CustomerState::Blocked, NOW).await.unwrap();
        tx.commit().await.unwrap();
        follower.weigh(id(9_002)).await.unwrap();
        follower.weigh(id(9_001)).await.unwrap();
        assert_eq!(open(&store).await, []);
        scan(&store).await;
        assert_eq!(open(&store).await, []);
        invariants::check(env).await;
    }

    /// Rule 22: a customer is who all rows say, those that were merged into it too.
    async fn a_merged_customer_is_weighed_by_the_values_of_all_its_rows(env: &Env) {
        let (store, mut follower) = empty(env).await;
        let mut bare = somebody();
        bare.as_object_mut().unwrap().retain(|name, _| name == "given_name" || name == "family_name");
        sign_up(&store, 9_001, bare).await;
        let mut rest = somebody();
        rest.as_object_mut().unwrap().retain(|name, _| name != "given_name" && name != "family_name");
        sign_up(&store, 9_002, rest).await;
        follow(&mut follower).await;
        let request = by_operator(id(9_001), id(9_002));
        merge::execute(&store, &rules().merge, &request, merge::Terms::default(), NOW).await.unwrap();
        sign_up(&store, 9_003, somebody()).await;
        follow(&mut follower).await;
        let found = open(&store).await;
        assert_eq!(names(&found), [(9_001, 9_003, "queue")]);
        let fields = found[0].reasons.pointer("/waterfall/steps").unwrap().as_array().unwrap().len();
        assert!(fields >= 6, "{found:?}");
        scan(&store).await;
        assert_eq!(open(&store).await[0].same, found[0].same);
    }

    async fn who_is_not_the_same_is_never_proposed_until_it_is_lifted(env: &Env) {
        let (store, mut follower) = empty(env).await;
        for number in 9_001..=9_002 {
            sign_up(&store, number, somebody()).await;
        }
        follow(&mut follower).await;
        let admin = || Actor::Admin("ann".to_owned());
        not_same::mark(&store, id(9_002), id(9_001), admin(), "twins", NOW).await.unwrap();
        let kept = store.begin_read().await.unwrap().candidate_find(id(9_001), id(9_002)).await.unwrap().unwrap().candidate;
        assert_eq!(kept.state, samesake::store::CandidateState::Dismissed, "the decision is remembered with its score");
        follow(&mut follower).await;
        scan(&store).await;
        assert_eq!(open(&store).await, []);
        not_same::lift(&store, id(9_001), id(9_002), admin(), NOW).await.unwrap();
        follow(&mut follower).await;
        assert_eq!(names(&open(&store).await), [(9_001, 9_002, "queue")]);
    }

    /// A key that many share joins strangers; how many is too many a scan of all says.
    async fn a_key_that_more_share_than_the_last_scan_looked_at_finds_nobody(env: &Env) {
        let (store, mut follower) = empty(env).await;
        for number in 9_001..=9_003 {
            sign_up(&store, number, somebody()).await;
        }
        follow(&mut follower).await;
        assert_eq!(open(&store).await.len(), 3);
        let scanned = || async { store.begin_read().await.unwrap().duplicate_basis().await.unwrap().1 };
        assert_eq!(scanned().await, None);
        scan(&store).await;
        let mut caps = scanned().await.unwrap();
        for cap in caps.as_array_mut().unwrap() {
            *cap = json!(3);
        }
        let mut tx = store.begin().await.unwrap();
        tx.duplicate_caps_put(&caps).await.unwrap();
        tx.commit().await.unwrap();
        sign_up(&store, 9_004, somebody()).await;
        follow(&mut follower).await;
        assert_eq!(open(&store).await.len(), 3, "four share each of its keys");
        follower.weigh(id(9_001)).await.unwrap();
        assert_eq!(open(&store).await.len(), 3, "who was found before is compared whatever the keys");
        let mut other = somebody();
        other["family_name"]["value"] = json!("Quastenfloser");
        let known = sign_up(&store, 9_005, other.clone()).await;
        other["birthdate"]["value"] = json!("1971-11-24");
        change(&store, known, other.clone()).await;
        sign_up(&store, 9_006, other).await;
        follow(&mut follower).await;
        assert!(names(&open(&store).await).contains(&(9_005, 9_006, "queue")), "two share some of their keys");
    }

    async fn whoever_weighs_a_customer_at_once_the_index_has_what_it_is_now(env: &Env) {
        let (store, mut one) = empty(env).await;
        let mut two = Follower::new(&env.store().await, rules(), Clock::system());
        let mut three = Follower::new(&env.store().await, rules(), Clock::system());
        let customer = sign_up(&store, 9_001, somebody()).await;
        let moves = async {
            for number in 0..15 {
                let mut moved = somebody();
                moved["family_name"]["value"] = json!(format!("Quasten{number}"));
                moved["address"]["value"]["postal_code"] = json!(format!("258{number:02}"));
                change(&store, customer, moved).await;
            }
        };
        tokio::join!(weigh_often(&mut one, customer), weigh_often(&mut two, customer), weigh_often(&mut three, customer), moves);
        let keys = || async { store.begin_read().await.unwrap().duplicate_keys_of(customer).await.unwrap().unwrap() };
        one.weigh(customer).await.unwrap();
        let now = keys().await;
        change(&store, customer, somebody()).await;
        one.weigh(customer).await.unwrap();
        assert_ne!(keys().await, now, "the name and the town are in them");
        invariants::check(env).await;
    }

    async fn two_replicas_that_follow_do_not_get_in_each_others_way(env: &Env) {
        let (store, mut one) = empty(env).await;
        let mut other = Follower::new(&env.store().await, rules(), Clock::system());
        for number in 9_001..=9_012 {
            sign_up(&store, number, somebody()).await;
        }
        for _ in 0..20 {
            let (x, y) = tokio::join!(one.run_once(), other.run_once());
            x.unwrap();
            y.unwrap();
        }
        let mut tx = store.begin_read().await.unwrap();
        let state = tx.duplicate_follower().await.unwrap();
        assert_eq!((state.cursor, state.last), (12, 12));
        assert_eq!(candidates::index_state(&store).await.unwrap(), IndexState::Whole);
        assert_eq!(open(&store).await.len(), 66);
    }
}

/// Somebody who is like nobody else.
fn stranger(number: u128) -> Value {
    let word = |of: u128| (0..6).map(|at| char::from(b'a' + ((of * 7919) >> (at * 3)) as u8 % 26)).collect::<String>();
    let mut profile = somebody();
    profile["given_name"]["value"] = json!(word(number));
    profile["family_name"]["value"] = json!(word(number + 5_000));
    profile["email"]["value"] = json!(format!("{number}@mail.example"));
    profile["phone_number"]["value"] = json!(format!("+49305{number}"));
    profile["birthdate"]["value"] =
        json!(format!("{}-{:02}-{:02}", 1920 + number % 83, 1 + number % 12, 1 + number % 27));
    profile.as_object_mut().unwrap().remove("address");
    profile
}

/// What it sends to weigh somebody who signs up, and who changes everything then.
async fn cost(store: &Store, follower: &mut Follower, number: u128, names: [&str; 2]) -> Vec<Sent> {
    let mut all = Vec::new();
    for (name, is_new) in names.into_iter().zip([true, false]) {
        let mut profile = somebody();
        profile["given_name"]["value"] = json!(name);
        profile["family_name"]["value"] = json!(format!("{name}son"));
        profile["email"]["value"] = json!(format!("{name}@mail.example"));
        profile["phone_number"]["value"] = json!(format!("+4930555{}", 10_000 + number * 2 + u128::from(is_new)));
        profile["address"]["value"]["street_address"] = json!(format!("{name}weg 7"));
        profile["address"]["value"]["locality"] = json!(format!("{name}dorf"));
        profile["address"]["value"]["postal_code"] = json!((30_000 + number * 2 + u128::from(is_new)).to_string());
        profile["birthdate"]["value"] = json!(format!("19{}-0{}-11", 40 + number % 50, 2 + 3 * u8::from(is_new)));
        if is_new {
            sign_up(store, number, profile).await;
        } else {
            change(store, id(number), profile).await;
        }
        let (weighed, statements) = sent(follower.weigh(id(number))).await;
        weighed.unwrap();
        all.extend(statements);
    }
    all
}

on_servers! {
    async fn weighing_a_customer_costs_the_same_whatever_the_size_of_the_company(env: &Env) {
        let (store, mut follower) = empty(env).await;
        // The first time the model is read.
        cost(&store, &mut follower, 9_001, ["Aurelia", "Balduin"]).await;
        let small = cost(&store, &mut follower, 9_002, ["Cordula", "Dankwart"]).await;
        plans::fill(env).await;
        samples::execute(env, "VACUUM ANALYZE").await;
        let big = cost(&store, &mut follower, 9_003, ["Edeltraud", "Friedemann"]).await;
        assert_eq!(small.len(), 13, "six for a sign-up, seven for a change: {small:#?}");
        assert!(small.iter().all(|sent| sent.rows < 100), "{small:#?}");
        assert_eq!(small, big, "the same statements and rows, whoever else there is");
    }

    async fn twenty_who_sign_up_are_weighed_in_as_many_statements_as_one(env: &Env) {
        let (store, mut follower) = empty(env).await;
        let mut counts = Vec::new();
        // The first time the model is read.
        for numbers in [9_001..=9_001, 9_002..=9_002, 9_003..=9_022] {
            for number in numbers {
                sign_up(&store, number, stranger(number)).await;
            }
            let (events, statements) = sent(follower.run_once()).await;
            assert!(events.unwrap() > 0);
            counts.push(statements.len());
        }
        assert_eq!(counts[1], counts[2], "{counts:?}");
        for number in 9_001..=9_022 {
            let keys = store.begin_read().await.unwrap().duplicate_keys_of(id(number)).await.unwrap();
            assert!(keys.is_some_and(|keys| !keys.is_empty()), "{number}");
        }
        assert_eq!(open(&store).await, []);
    }
}
