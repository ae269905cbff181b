//! What waits for a person: pairs that may be one person, requests of customers, conflict cases (identity rules 13, 16,
//! 33, 35, 36 and 39).

use std::collections::BTreeSet;

use samesake::identity::merge_request::{self, Proved, Requested};
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::{Candidate, CandidateState, Conflict, ConflictKind};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::{Env, invariants};
use crate::{on_both, on_servers};

/// Keeps a pair as a scan does.
pub async fn candidate(office: &Office, one: CustomerId, other: CustomerId, same: f64, band: &str) {
    let waterfall = json!({
        "model": "m1", "prior_bits": -12.5, "household_prior_bits": -9.0, "same": same, "household": 0.01, "unrelated": 0.0,
        "steps": [{ "field": "email", "level": "exact", "bits": 14.25, "household_bits": 3.0 }],
    });
    let now = office.app.clock.now();
    let candidate = Candidate {
        a: one.min(other),
        b: one.max(other),
        same,
        household: 0.01,
        reasons: json!({ "waterfall": waterfall, "rules": ["proved_email"] }),
        model: "m1".to_owned(),
        band: band.to_owned(),
        state: CandidateState::Open,
        created_at: now,
        updated_at: now,
    };
    let mut tx = office.app.store.background().begin().await.unwrap();
    tx.candidate_upsert(&candidate).await.unwrap();
    tx.commit().await.unwrap();
}

/// Both prove to be one, as the login pages have it.
pub async fn request(office: &Office, one: CustomerId, other: CustomerId) -> Uuid {
    let now = office.app.clock.now();
    let proved =
        |customer| Proved { customer, via: "email".to_owned(), link: None, amr: vec!["pwd".to_owned()], at: now };
    let mut tx = office.app.store.background().begin().await.unwrap();
    let requested = merge_request::open(&mut tx, &proved(one), &proved(other), now).await.unwrap();
    tx.commit().await.unwrap();
    let Requested::Opened { request, .. } = requested else { panic!("{requested:?}") };
    request
}

/// A case about two customers.
pub async fn conflict(office: &Office, customer: CustomerId, other: CustomerId) -> Uuid {
    let now = office.app.clock.now();
    let conflict = Conflict {
        id: samesake::clock::uuid_v7(now),
        kind: ConflictKind::AddressReassigned,
        customer,
        other,
        detail: json!({ "email": "ann@example.com" }),
        created_at: now,
        closed_at: None,
    };
    let mut tx = office.app.store.background().begin().await.unwrap();
    tx.conflict_open(&conflict).await.unwrap();
    tx.commit().await.unwrap();
    conflict.id
}

async fn two(env: &Env) -> (Office, CustomerId, CustomerId) {
    let office = Office::start(env).await;
    let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
    (office, ann, ben)
}

/// Every item of a list, by pages of one.
async fn all(office: &Office, token: &str, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let mark = if path.contains('?') { '&' } else { '?' };
        let page = office.get(token, &format!("{path}{mark}limit=1{cursor}")).await;
        assert_good(&page);
        items.extend(page.body["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page.body["next"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

on_both! {
    /// Rules 36 and 39: by band and score, equal scores too, everybody once.
    async fn candidates_come_in_pages_the_likeliest_first(env: &Env) {
        let (office, ann, ben) = two(env).await;
        let cleo = office.app.customer("cleo@example.com", "Cleo").await;
        let dan = office.app.customer("dan@example.com", "Dan").await;
        // A third of one has no end in binary; its neighbor differs in the last bit.
        let third = 1.0_f64 / 3.0;
        for (one, other, same, band) in [
            (ann, ben, 0.99, "queue"), (ann, cleo, third, "queue"), (ben, cleo, third, "queue"),
            (ann, dan, third.next_up(), "queue"), (ben, dan, 0.5, "watch"),
        ] {
            candidate(&office, one, other, same, band).await;
        }
        let token = office.robot(AdminRole::Viewer).await;
        let scores = |items: &[Value]| items.iter().map(|item| item["same"].as_f64().unwrap()).collect::<Vec<_>>();
        let queue = all(&office, &token, "/candidates").await;
        assert_eq!(scores(&queue), [0.99, third.next_up(), third, third]);
        let pairs: BTreeSet<String> = queue.iter().map(|item| format!("{}{}", item["a"]["id"], item["b"]["id"])).collect();
        assert_eq!(pairs.len(), 4);
        assert_eq!((&queue[0]["a"]["name"], &queue[0]["b"]["email"]), (&json!("Ann"), &json!(BEN)));
        let sum = |item: &Value| ["same", "household", "unrelated"].map(|name| item[name].as_f64().unwrap()).iter().sum::<f64>();
        assert!(queue.iter().all(|item| (sum(item) - 1.0).abs() < 1e-9), "three probabilities");
        assert_eq!(scores(&all(&office, &token, "/candidates?band=watch").await), [0.5]);
        assert_eq!(all(&office, &token, "/candidates?band=automatic").await.len(), 0);
        assert_problem(&office.get(&token, "/candidates?band=drop").await, 400, "invalid-request");
        let of_dan = all(&office, &token, &format!("/customers/{dan}/candidates")).await;
        assert_eq!(scores(&of_dan), [0.5, third.next_up()]);
    }

    /// Rule 36: each explains itself.
    async fn a_candidate_shows_its_waterfall_and_three_probabilities(env: &Env) {
        let (office, ann, ben) = two(env).await;
        candidate(&office, ann, ben, 0.97, "queue").await;
        let token = office.robot(AdminRole::Viewer).await;
        let seen = office.get(&token, &format!("/candidates/{ann}/{ben}")).await;
        assert_good(&seen);
        assert_eq!(seen.body["waterfall"]["prior_bits"], -12.5);
        let step = json!({ "field": "email", "level": "exact", "bits": 14.25, "household_bits": 3.0 });
        assert_eq!(seen.body["waterfall"]["steps"], json!([step]));
        assert_eq!((&seen.body["rules"], &seen.body["state"]), (&json!(["proved_email"]), &json!("open")));
        assert_eq!((&seen.body["same"], &seen.body["household"]), (&json!(0.97), &json!(0.01)));
        let turned = office.get(&token, &format!("/candidates/{ben}/{ann}")).await;
        assert_eq!(turned.body, seen.body, "in whichever order");
        assert_eq!(turned.headers["etag"], seen.headers["etag"]);
        assert_problem(&office.get(&token, &format!("/candidates/{ann}/{ann}")).await, 404, "not-found");
    }

    /// Rule 35: whoever dismisses a pair says that they are two people, and the pair stays dismissed.
    async fn dismissing_a_candidate_remembers_that_they_are_two_people(env: &Env) {
        let (office, ann, ben) = two(env).await;
        candidate(&office, ann, ben, 0.97, "queue").await;
        let token = office.robot(AdminRole::Merger).await;
        let pair = format!("/candidates/{ann}/{ben}");
        let seen = office.get(&token, &pair).await;
        let tag = seen.headers["etag"].to_str().unwrap();
        let body = json!({ "reason": "father and son" });
        let (viewer, path) = (office.robot(AdminRole::Viewer).await, format!("{pair}/dismiss"));
        assert_problem(&office.post(&viewer, &path, "k", &body).await, 403, "role-too-low");
        assert_problem(&office.post_as(&token, &path, "k", "\"open.1\"", &body).await, 412, "version-mismatch");
        let dismissed = office.post_as(&token, &path, "k", tag, &body).await;
        assert_good(&dismissed);
        assert_eq!(dismissed.body["state"], "dismissed");
        assert_eq!(office.post_as(&token, &path, "k", tag, &body).await.body, dismissed.body);
        assert_problem(&office.post(&token, &path, "k2", &body).await, 409, "refused");
        assert_eq!(all(&office, &token, "/candidates").await.len(), 0);
        let pairs = office.get(&token, &format!("/customers/{ann}/not-same")).await;
        assert_eq!(pairs.body["items"][0]["reason"]["text"], "father and son", "{}", pairs.text);
        candidate(&office, ann, ben, 0.99, "queue").await;
        assert_eq!(all(&office, &token, "/candidates").await.len(), 0, "no scan opens it again");
        invariants::check(env).await;
    }

    /// And marking them by hand answers the question too.
    async fn marking_two_people_takes_their_pair_off_the_queue(env: &Env) {
        let (office, ann, ben) = two(env).await;
        candidate(&office, ann, ben, 0.97, "queue").await;
        let token = office.robot(AdminRole::Merger).await;
        let mark = json!({ "a": ben, "b": ann, "reason": "twins" });
        assert_good(&office.post(&token, "/not-same", "k", &mark).await);
        assert_eq!(office.get(&token, &format!("/candidates/{ann}/{ben}")).await.body["state"], "dismissed");
        invariants::check(env).await;
    }

    /// Rule 39: put off until more speaks for it, whatever scans come by.
    async fn a_pair_on_watch_comes_back_when_more_speaks_for_it(env: &Env) {
        let (office, ann, ben) = two(env).await;
        candidate(&office, ann, ben, 0.97, "queue").await;
        let token = office.robot(AdminRole::Merger).await;
        let path = format!("/candidates/{ann}/{ben}/watch");
        let watched = office.post(&token, &path, "k", &json!({ "reason": "asked them by mail" })).await;
        assert_good(&watched);
        assert_eq!(watched.body, json!({ "state": "open", "band": "watch" }));
        let bands = async || {
            let queue = all(&office, &token, "/candidates").await;
            (queue.len(), all(&office, &token, "/candidates?band=watch").await)
        };
        for same in [0.97, 0.96, 0.97] {
            candidate(&office, ann, ben, same, "queue").await;
            let (queue, watch) = bands().await;
            assert_eq!((queue, watch.len(), &watch[0]["watched"]), (0, 1, &json!(true)));
        }
        candidate(&office, ann, ben, 0.98, "queue").await;
        let (queue, watch) = bands().await;
        assert_eq!((queue, watch.len()), (1, 0));
        let log = office.get(&office.robot(AdminRole::Support).await, "/audit").await;
        assert!(log.text.contains("asked them by mail") && log.text.contains("admin.candidate_watched"), "{}", log.text);
        invariants::check(env).await;
    }

    /// Rule 16: an admin says no, and both accounts hear of it.
    async fn declining_a_request_tells_both_accounts(env: &Env) {
        let (office, ann, ben) = two(env).await;
        let (cleo, dan) = (office.app.customer("cleo@example.com", "Cleo").await, office.app.customer("dan@example.com", "Dan").await);
        let first = request(&office, ann, ben).await;
        let second = request(&office, cleo, dan).await;
        let token = office.robot(AdminRole::Merger).await;
        let ids = async || all(&office, &token, "/merge-requests").await.iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids().await, [json!(first), json!(second)]);
        let path = format!("/merge-requests/{first}");
        let seen = office.get(&token, &path).await;
        assert_eq!((&seen.body["state"], &seen.body["proofs"][0]["via"]), (&json!("open"), &json!("email")));
        let tag = seen.headers["etag"].to_str().unwrap().to_owned();
        let body = json!({ "reason": "a shared phone: two people" });
        let declined = office.post_as(&token, &format!("{path}/decline"), "k", &tag, &body).await;
        assert_good(&declined);
        for address in [ANN, BEN] {
            let mail = office.app.mail_to(address).await;
            assert!(mail.subject.contains("stay two"), "{}", mail.subject);
            assert!(!mail.text.contains("shared phone"), "the reason is for the log");
        }
        assert_eq!(ids().await, [json!(second)]);
        assert_eq!(office.get(&token, &path).await.body["state"], "declined");
        assert_problem(&office.post_as(&token, &format!("{path}/decline"), "k2", &tag, &body).await, 412, "version-mismatch");
        assert_problem(&office.post(&token, &format!("{path}/decline"), "k3", &body).await, 409, "refused");
        let graph = invariants::check(env).await;
        let told: Vec<_> = graph.events.iter().filter(|event| event.kind == "merge.request_declined").collect();
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].payload["reason"], "a shared phone: two people");
        // They may ask again.
        let again = request(&office, ann, ben).await;
        assert_ne!(again, first);
    }

    /// Rules 13 and 33: a person looks into it, once.
    async fn a_conflict_is_listed_until_somebody_closes_it(env: &Env) {
        let (office, ann, ben) = two(env).await;
        let (first, second) = (conflict(&office, ann, ben).await, conflict(&office, ben, ann).await);
        let token = office.robot(AdminRole::Merger).await;
        let listed = all(&office, &token, "/conflicts").await;
        assert_eq!(listed.iter().map(|item| item["id"].clone()).collect::<Vec<_>>(), [json!(first), json!(second)]);
        assert_eq!((&listed[0]["kind"], &listed[0]["other"]), (&json!("address_reassigned"), &json!(ben)));
        let path = format!("/conflicts/{first}");
        let tag = office.get(&token, &path).await.headers["etag"].to_str().unwrap().to_owned();
        let body = json!({ "reason": "called them: the address is Ben's" });
        assert_good(&office.post_as(&token, &format!("{path}/close"), "k", &tag, &body).await);
        assert_problem(&office.post_as(&token, &format!("{path}/close"), "k2", &tag, &body).await, 412, "version-mismatch");
        assert_problem(&office.post(&token, &format!("{path}/close"), "k3", &body).await, 409, "refused");
        assert_eq!(all(&office, &token, "/conflicts").await.len(), 1);
        let graph = invariants::check(env).await;
        let closed: Vec<_> = graph.events.iter().filter(|event| event.kind == "conflict.closed").collect();
        assert_eq!((closed.len(), &closed[0].payload["reason"]), (1, &body["reason"]));
    }
}

on_servers! {
    /// Of any number of admins at once one settles it, and one mail goes to each account.
    async fn of_several_who_decline_at_once_one_does(env: &Env) {
        let (office, ann, ben) = two(env).await;
        let replica = office.app.replica(env).await;
        let request = request(&office, ann, ben).await;
        let token = office.robot(AdminRole::Merger).await;
        let requests = (0..10).map(|number| {
            let at = if number % 2 == 0 { &office.app } else { &replica };
            let url = at.url(&format!("/api/v1/merge-requests/{request}/decline"));
            let sent = crate::harness::browser::http_client().post(url).bearer_auth(&token).header("if-match", "*");
            let sent = sent.header("idempotency-key", format!("k{number}"));
            crate::harness::relying_party::answer(sent.json(&json!({ "reason": "no" })))
        });
        let answers = futures::future::join_all(requests).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 409].contains(status)), "{statuses:?}");
        let graph = invariants::check(env).await;
        assert_eq!(graph.events.iter().filter(|event| event.kind == "merge.request_declined").count(), 2);
    }
}
