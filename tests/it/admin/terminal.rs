//! The command line does what the API does: queues, proposals and links, by the program itself (experience rule 9).

use samesake::clock::Clock;
use samesake::identity::merge_request::{self, Proved, Requested};
use samesake::ids::CustomerId;
use samesake::store::{Candidate, CandidateState, Conflict, ConflictKind, Store};
use serde_json::{Value, json};

use super::{ANN, BEN};
use crate::harness::{Env, Gateway, invariants};
use crate::on_both;

/// What a command printed, or what it said went wrong and the code it ended with.
fn run(gateway: &Gateway, words: &str) -> Result<String, (String, i32)> {
    let arguments: Vec<String> = words.split(' ').map(|word| word.replace('_', " ")).collect();
    let output = gateway.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err((text(&output.stderr), output.status.code().unwrap()))
    }
}

fn json_of(gateway: &Gateway, words: &str) -> Value {
    let printed = run(gateway, &format!("{words} --json")).unwrap_or_else(|error| panic!("{words}: {error:?}"));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{words}: {error}: {printed}"))
}

/// That a command fails with these words and the exit code of what failed.
fn fails(gateway: &Gateway, words: &str, said: &str) {
    let (error, code) = run(gateway, words).unwrap_err();
    assert!(error.contains(said), "{words}: {error}");
    assert_eq!(code, 1, "{words}");
}

/// A customer who signed up at the gateway's database.
async fn customer(store: &Store, email: &str) -> CustomerId {
    let address = samesake::identity::address::EmailAddress::parse(email).unwrap();
    let now = Clock::system().now();
    match samesake::identity::sign_in::sign_up(store, &address, "$argon2id$x", Some("Somebody"), now).await.unwrap() {
        samesake::identity::sign_in::SignedUp::Created(customer) => customer,
        _ => panic!("{email} is taken"),
    }
}

async fn with_two(env: &Env) -> (Gateway, Store, CustomerId, CustomerId) {
    let gateway = Gateway::start(env, "").await;
    let store = env.store().await;
    let (ann, ben) = (customer(&store, ANN).await, customer(&store, BEN).await);
    (gateway, store, ann, ben)
}

on_both! {
    async fn candidates_are_listed_shown_watched_and_dismissed_at_the_command_line(env: &Env) {
        let (gateway, store, ann, ben) = with_two(env).await;
        let now = Clock::system().now();
        let step = json!({ "field": "email", "level": "exact", "bits": 14.25, "household_bits": 3.0 });
        let waterfall = json!({
            "model": "m1", "prior_bits": -12.5, "household_prior_bits": -9.0, "same": 0.97, "household": 0.01,
            "unrelated": 0.02, "steps": [step],
        });
        let candidate = Candidate {
            a: ann.min(ben), b: ann.max(ben), same: 0.97, household: 0.01, model: "m1".to_owned(), band: "queue".to_owned(), cluster: None, needs_review: false,
            reasons: json!({ "waterfall": waterfall, "rules": [] }), state: CandidateState::Open, created_at: now, updated_at: now,
        };
        let mut tx = store.begin().await.unwrap();
        tx.candidate_upsert(&candidate).await.unwrap();
        tx.commit().await.unwrap();
        assert!(run(&gateway, "candidates list").unwrap().contains("same 0.9700"));
        let listed = json_of(&gateway, "candidates list");
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["same"]), (1, &json!(0.97)));
        let shown = json_of(&gateway, &format!("candidates show {ben} {ann}"));
        assert_eq!(shown["waterfall"]["steps"][0]["bits"], 14.25);
        let words = run(&gateway, &format!("candidates show {ann} {ben}")).unwrap();
        assert!(words.contains("email") && words.contains("+14.25 bits") && words.contains("-12.50 bits"), "{words}");
        run(&gateway, &format!("candidates watch {ann} {ben} --reason asked_them --as carl")).unwrap();
        assert_eq!(json_of(&gateway, "candidates list"), json!([]));
        assert_eq!(json_of(&gateway, "candidates list --band watch").as_array().unwrap().len(), 1);
        run(&gateway, &format!("candidates dismiss {ann} {ben} --reason twins --as carl")).unwrap();
        fails(&gateway, &format!("candidates dismiss {ann} {ben} --reason twins"), "the pair is dismissed");
        fails(&gateway, &format!("candidates watch {ann} {ben} --reason twins"), "the pair is dismissed");
        fails(&gateway, &format!("candidates show {ann} {ann}"), "there is no such pair");
        let wrong = run(&gateway, &format!("candidates dismiss {ann} {ben}")).unwrap_err();
        assert_eq!(wrong.1, 2, "wrong usage: {}", wrong.0);
        let graph = invariants::check(env).await;
        assert!(graph.history(&ann.0.simple().to_string()).contains(&"not_same.marked") || graph.history(&ben.0.simple().to_string()).contains(&"not_same.marked"));
        store.close().await;
    }

    async fn requests_and_conflicts_are_settled_at_the_command_line(env: &Env) {
        let (gateway, store, ann, ben) = with_two(env).await;
        let now = Clock::system().now();
        let proved = |customer| Proved { customer, via: "email".to_owned(), link: None, amr: vec!["pwd".to_owned()], at: now };
        let mut tx = store.begin().await.unwrap();
        let requested = merge_request::open(&mut tx, &proved(ann), &proved(ben), now).await.unwrap();
        let Requested::Opened { request, .. } = requested else { panic!("{requested:?}") };
        let conflict = Conflict {
            id: samesake::clock::uuid_v7(now), kind: ConflictKind::ValueTaken, customer: ann, other: ben, detail: json!({}),
            created_at: now, closed_at: None,
        };
        tx.conflict_open(&conflict).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(json_of(&gateway, "merge-requests list")[0]["id"], json!(request));
        assert!(run(&gateway, "merge-requests list").unwrap().contains(&request.to_string()));
        assert_eq!(json_of(&gateway, &format!("merge-requests show {request}"))["proofs"][0]["via"], "email");
        fails(&gateway, &format!("merge-requests decline {request} --reason _"), "--reason must say why");
        run(&gateway, &format!("merge-requests decline {request} --reason two_people")).unwrap();
        fails(&gateway, &format!("merge-requests decline {request} --reason again"), "settled by now");
        fails(&gateway, &format!("merge-requests decline {} --reason x", conflict.id), "there is no such request");
        crate::harness::until("the mails", async || gateway.mails().len() == 2).await;
        assert_eq!(json_of(&gateway, "conflicts list")[0]["kind"], "value_taken");
        assert!(run(&gateway, &format!("conflicts show {}", conflict.id)).unwrap().contains("value_taken"));
        run(&gateway, &format!("conflicts close {} --reason looked", conflict.id)).unwrap();
        fails(&gateway, &format!("conflicts close {} --reason looked", conflict.id), "closed already");
        assert!(run(&gateway, "conflicts list").unwrap().contains("no case waits"));
        invariants::check(env).await;
        store.close().await;
    }

    /// Identity rule 30 at the terminal: another person approves.
    async fn a_merge_is_proposed_and_approved_at_the_command_line(env: &Env) {
        let (gateway, store, ann, ben) = with_two(env).await;
        let proposed = json_of(&gateway, &format!("customer propose {ann} {ben} --reason same_person --as carl"));
        let id = proposed["id"].as_str().unwrap();
        let listed = json_of(&gateway, "customer proposals");
        assert_eq!((&listed[0]["id"], &listed[0]["proposed_by"]), (&json!(id), &json!("admin:carl")));
        assert!(run(&gateway, "customer proposals").unwrap().contains("same person"));
        fails(&gateway, &format!("customer approve {id} --as carl"), "nobody approves what they proposed");
        fails(&gateway, &format!("customer propose {ann} {ben} --reason x --hash other"), "the plan has changed");
        let approved = json_of(&gateway, &format!("customer approve {id} --as dora"));
        assert_eq!((&approved["outcome"], &approved["merge"]["absorbed"]), (&json!("executed"), &json!(ben)));
        fails(&gateway, &format!("customer withdraw {id}"), "the proposal is executed");
        assert!(run(&gateway, "customer proposals").unwrap().contains("nothing waits"));
        let cleo = customer(&store, "cleo@example.com").await;
        let second = json_of(&gateway, &format!("customer propose {ann} {cleo} --reason x --as carl"));
        let second = second["id"].as_str().unwrap();
        assert_eq!(json_of(&gateway, &format!("customer withdraw {second}"))["state"], "withdrawn");
        fails(&gateway, &format!("customer approve {second} --as dora"), "the proposal is withdrawn");
        invariants::check(env).await;
        store.close().await;
    }
}
