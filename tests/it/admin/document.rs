//! The OpenAPI document: somebody else's validator finds it sound, and every answer is as it says.

use std::collections::BTreeSet;

use reqwest::Method;
use samesake::http::admin_api::operations;
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use super::queues::{candidate, conflict, request};
use super::{ANN, BEN, Office};
use crate::events::receiver::Receiver;
use crate::events::{start, webhook};
use crate::harness::relying_party::{Answer, answer};
use crate::harness::{Browser, Env, TestApp, program};
use crate::on_servers;
use crate::store::samples::link;

/// The operations, as method and path.
fn table() -> BTreeSet<String> {
    operations().map(|operation| format!("{} {}", operation.method.as_str(), operation.path)).collect()
}

fn sample(id: &str, answer: Answer) -> Value {
    json!({ "id": id, "status": answer.status.as_u16(), "body": answer.body })
}

/// The whole way of a merge there and back, and of a proposal, until Ben is Ann.
async fn merging(office: &Office, ann: CustomerId, ben: CustomerId) -> Vec<Value> {
    let (token, approver) = (office.robot(AdminRole::Owner).await, office.robot(AdminRole::Approver).await);
    let post = async |path: &str, key: &str, body: Value| office.post(&token, path, key, &body).await;
    let both = json!({ "survivor": ann, "absorbed": ben });
    let plan = post("/merges/plan", "-", both.clone()).await;
    let mut agreed = both.clone();
    (agreed["plan_hash"], agreed["reason"]) = (json!("stale"), json!("x"));
    let mut samples = vec![sample("merge_execute", post("/merges", "m1", agreed.clone()).await)];
    agreed["plan_hash"] = plan.body["hash"].clone();
    let proposed = post("/proposals", "m2", agreed.clone()).await;
    let first = format!("/proposals/{}", proposed.body["id"].as_str().unwrap());
    samples.push(sample("proposal_list", office.get(&token, "/proposals").await));
    samples.push(sample("proposal_withdraw", post(&format!("{first}/withdraw"), "m3", json!({})).await));
    samples.push(sample("proposal_get", office.get(&token, &first).await));
    let second = post("/proposals", "m4", agreed.clone()).await;
    let approve = format!("/proposals/{}/approve", second.body["id"].as_str().unwrap());
    let approved = office.post(&approver, &approve, "m5", &json!({})).await;
    let merge = format!("/merges/{}", approved.body["merge"]["merge"].as_str().unwrap());
    samples.push(sample("merge_get", office.get(&token, &merge).await));
    samples.push(sample("customer_merges", office.get(&token, &format!("/customers/{ben}/merges")).await));
    samples.extend([sample("proposal_make", proposed), sample("proposal_approve", approved)]);
    let undo_plan = post(&format!("{merge}/undo/plan"), "-", json!({})).await;
    let undo = json!({ "reason": "x", "plan_hash": undo_plan.body["hash"] });
    samples.push(sample(
        "merge_undo",
        post(&format!("{merge}/undo"), "m6", json!({ "reason": "x", "plan_hash": "x" })).await,
    ));
    samples.push(sample("merge_undo", post(&format!("{merge}/undo"), "m6", undo).await));
    samples.push(sample("customer_not_same", office.get(&token, &format!("/customers/{ben}/not-same")).await));
    samples.push(sample("merge_plan", post("/merges/plan", "-", both.clone()).await));
    samples.push(sample("merge_execute", post("/merges", "m7", agreed.clone()).await));
    let pair = json!({ "a": ann, "b": ben });
    samples.push(sample("not_same_lift", post("/not-same/lift", "m8", pair.clone()).await));
    samples.push(sample("not_same_mark", post("/not-same", "m9", json!({ "a": ann, "b": ben, "reason": "x" })).await));
    samples.push(sample("not_same_lift", post("/not-same/lift", "m10", pair).await));
    let plan = post("/merges/plan", "-", both).await;
    agreed["plan_hash"] = plan.body["hash"].clone();
    let made = post("/merges", "m11", agreed).await;
    samples.extend([sample("merge_plan", plan), sample("merge_undo_plan", undo_plan), sample("merge_execute", made)]);
    samples
}

/// What waits for a person is settled, and links are changed: of Cleo and Dan, and of nobody.
async fn settling(office: &Office) -> Vec<Value> {
    let token = office.robot(AdminRole::Owner).await;
    let (cleo, dan) =
        (office.app.customer("cleo@example.com", "Cleo").await, office.app.customer("dan@example.com", "Dan").await);
    candidate(office, cleo, dan, 0.9, "queue").await;
    let (asked, case) = (request(office, cleo, dan).await, conflict(office, cleo, dan).await);
    let (pair, links) = (format!("/candidates/{dan}/{cleo}"), format!("/customers/{cleo}/links"));
    let why = json!({ "reason": "x" });
    let new = json!({ "namespace": "ext:crm", "external_id": "1", "reason": "x" });
    let added = office.post(&token, &links, "s1", &new).await;
    let link = format!("{links}/{}", added.body["link"].as_str().unwrap());
    let mut samples = vec![sample("customer_link_add", added)];
    let of_dan = format!("/customers/{dan}/links");
    samples.push(sample("customer_link_add", office.post(&token, &of_dan, "s2", &new).await));
    for (id, path) in [
        ("candidate_list", "/candidates?limit=1".to_owned()),
        ("candidate_list", "/candidates?band=x".to_owned()),
        ("candidate_get", pair.clone()),
        ("customer_candidates", format!("/customers/{dan}/candidates")),
        ("merge_request_list", "/merge-requests".to_owned()),
        ("merge_request_get", format!("/merge-requests/{asked}")),
        ("merge_request_get", format!("/merge-requests/{case}")),
        ("conflict_list", "/conflicts".to_owned()),
        ("conflict_get", format!("/conflicts/{case}")),
        ("customer_links", format!("{links}?limit=1")),
        ("customer_link_get", link.clone()),
        ("admin_get", format!("/admins/{cleo}")),
        ("webhook_list", "/webhooks".to_owned()),
        ("webhook_get", "/webhooks/crm".to_owned()),
        ("webhook_get", "/webhooks/other".to_owned()),
        ("webhook_dead_letters", "/webhooks/crm/dead-letters".to_owned()),
    ] {
        samples.push(sample(id, office.get(&token, &path).await));
    }
    let brand = json!({ "reason": "x", "brand": "north" });
    for _ in 0..2 {
        office.app.log_in(&Browser::new(), office.app.url("/account"), "cleo@example.com").await;
    }
    let live = office.get(&token, &format!("/customers/{cleo}/sessions")).await;
    let end_one = format!("/customers/{cleo}/sessions/{}/end", live.body["items"][0]["sid"].as_str().unwrap());
    samples.push(sample("customer_sessions", live));
    for (number, (id, path, body)) in [
        ("candidate_watch", format!("{pair}/watch"), &why),
        ("candidate_dismiss", format!("{pair}/dismiss"), &why),
        ("candidate_dismiss", format!("{pair}/dismiss"), &why),
        ("merge_request_decline", format!("/merge-requests/{asked}/decline"), &why),
        ("merge_request_decline", format!("/merge-requests/{asked}/decline"), &why),
        ("conflict_close", format!("/conflicts/{case}/close"), &why),
        ("customer_link_enable", format!("{link}/enable"), &why),
        ("customer_link_remove", format!("{link}/remove"), &why),
        ("customer_session_end", end_one.clone(), &why),
        ("customer_session_end", end_one, &why),
        ("customer_sessions_end", format!("/customers/{cleo}/sessions/end"), &why),
        ("customer_sessions_end", format!("/customers/{cleo}/sessions/end"), &why),
        ("customer_brand", format!("/customers/{cleo}/brand"), &brand),
        ("customer_hold", format!("/customers/{cleo}/hold"), &why),
        ("customer_brand", format!("/customers/{cleo}/brand"), &json!({ "reason": "x", "brand": null })),
        ("customer_release", format!("/customers/{cleo}/release"), &why),
    ]
    .into_iter()
    .enumerate()
    {
        samples.push(sample(id, office.post(&token, &path, &format!("t{number}"), body).await));
    }
    samples.push(sample("merge_request_get", office.get(&token, &format!("/merge-requests/{asked}")).await));
    samples.push(sample("webhook_retry", office.post(&token, "/webhooks/crm/retry", "w", &json!({})).await));
    samples.push(sample("conflict_get", office.get(&token, &format!("/conflicts/{case}")).await));
    samples.push(sample("candidate_get", office.get(&token, &pair).await));
    samples
}

/// Good answers and problems of every operation.
async fn answers(office: &Office) -> Vec<Value> {
    let (owner, viewer) = (office.robot(AdminRole::Owner).await, office.robot(AdminRole::Viewer).await);
    let (ann, ben) = (office.app.customer(ANN, "Ann Example").await, office.app.customer(BEN, "Ben").await);
    let mut tx = office.app.store.background().begin().await.unwrap();
    assert!(tx.link_insert(&link("app:shop", "user-17", ben)).await.unwrap());
    tx.commit().await.unwrap();
    let grant = json!({ "role": "viewer", "reason": "x" });
    let mut samples = vec![
        sample("admin_grant", office.post(&owner, &format!("/admins/{ann}/grant"), "1", &grant).await),
        sample("admin_grant", office.post(&owner, &format!("/admins/{ann}/grant"), "2", &json!({})).await),
        sample("admin_list", office.get(&owner, "/admins").await),
        sample(
            "admin_revoke",
            office.post(&owner, &format!("/admins/{ann}/revoke"), "3", &json!({ "reason": "x" })).await,
        ),
        sample(
            "admin_revoke",
            office.post(&viewer, &format!("/admins/{ann}/revoke"), "4", &json!({ "reason": "x" })).await,
        ),
    ];
    samples.extend(settling(office).await);
    samples.extend(merging(office, ann, ben).await);
    for (id, path) in [
        ("customer_search", "/customers?q=ann&limit=1".to_owned()),
        ("customer_search", format!("/customers?q={BEN}")),
        ("customer_search", format!("/customers?q={ann}")),
        ("customer_search", "/customers".to_owned()),
        ("customer_get", format!("/customers/{ben}")),
        ("customer_get", "/customers/x".to_owned()),
        ("customer_timeline", format!("/customers/{ben}/timeline?limit=1")),
        ("link_resolve", "/links?namespace=app:shop&external_id=user-17".to_owned()),
        ("link_resolve", "/links?namespace=app:shop&external_id=nobody".to_owned()),
        ("audit_list", "/audit".to_owned()),
        ("audit_list", "/audit?cursor=x".to_owned()),
        ("openapi", "/openapi.json".to_owned()),
    ] {
        samples.push(sample(id, office.get(&owner, &path).await));
    }
    samples.push(sample("customer_get", answer(office.request(Method::GET, "/customers/x")).await));
    let erase = |tag: &str| {
        let request = office.request(Method::POST, &format!("/customers/{ann}/erase")).bearer_auth(&owner);
        answer(request.header("idempotency-key", tag).header("if-match", tag).json(&json!({ "reason": "x" })))
    };
    samples.extend([sample("customer_erase", erase("\"0\"").await), sample("customer_erase", erase("*").await)]);
    samples.push(sample("audit_list", office.get(&viewer, "/audit").await));
    samples
}

on_servers! {
    async fn the_document_is_openapi_and_the_answers_are_as_it_says(env: &Env) {
        let receiver = Receiver::start().await;
        let app = TestApp::builder(env).web_client("shop").configure(webhook("crm", &receiver, json!({"internal": true})));
        let app = start(app.configure(|config| config.merge.approval_from_risk = 100)).await;
        let office = Office::of(app).await;
        let samples = answers(&office).await;
        let answered: BTreeSet<&str> =
            samples.iter().filter(|sample| sample["status"] == 200).map(|sample| sample["id"].as_str().unwrap()).collect();
        let all: BTreeSet<&str> = operations().map(|operation| operation.id).collect();
        assert_eq!(answered, all, "a good answer of every operation is compared");
        let file = env.directory().join("answers.json");
        std::fs::write(&file, json!(samples).to_string()).unwrap();
        let url = office.app.url("/api/v1/openapi.json");
        let variables = [("DOCUMENT", url.as_str()), ("ANSWERS", file.to_str().unwrap())];
        let report = program::run("openapi.mjs", &variables).await;
        let described: BTreeSet<String> =
            report["operations"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect();
        let events = "GET /events".to_owned();
        let routes = table().into_iter().chain([events]).collect();
        assert_eq!(described, routes, "each route is in the document, and nothing else");
        assert_names(&office.get("", "/openapi.json").await.body);
        assert_eq!(report["checked"], samples.len());
    }
}

/// What generators of clients stumble over: types that differ in a number only, and `true` for a schema.
fn assert_names(document: &Value) {
    fn walk(value: &Value, at: &str) {
        match value {
            Value::Object(members) => {
                if at.ends_with("/properties") {
                    assert!(members.values().all(Value::is_object), "{at}");
                }
                members.iter().for_each(|(name, value)| walk(value, &format!("{at}/{name}")));
            }
            Value::Array(values) => values.iter().for_each(|value| walk(value, at)),
            _ => {}
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "{name}");
    }
    walk(&document["components"], "");
    assert!(schemas.contains_key("CustomerSummaryPage"));
}

#[test]
fn each_operation_has_a_name_and_a_place_of_its_own() {
    let ids: BTreeSet<&str> = operations().map(|operation| operation.id).collect();
    assert_eq!((ids.len(), table().len()), (operations().count(), operations().count()));
    for operation in operations() {
        assert!(operation.summary.ends_with('.') && operation.path.starts_with('/'), "{}", operation.id);
        assert!(operation.query.iter().all(|parameter| serde_json::from_str::<Value>(parameter.schema).is_ok()));
        // What would be done is asked by POST as well: choices do not fit into an address.
        let asks = operation.method.as_str() == "GET" || operation.path.ends_with("/plan");
        let guarded = operation.conditions != samesake::http::admin_api::operation::Conditions::None;
        assert_eq!(asks, !guarded, "{}: each change has a key, and nothing else has", operation.id);
        assert_eq!(operation.method.as_str() == "GET", operation.body.is_none(), "{}", operation.id);
    }
}
