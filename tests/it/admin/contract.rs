//! What holds for every operation of the table, whatever it does: pages, versions, keys, bounds, problems (experience rule
//! 9). The document is read as a program reads it, and the gateway is asked.

use std::collections::BTreeSet;

use reqwest::Method;
use samesake::http::admin_api::operation::Conditions;
use samesake::http::admin_api::{Operation, operations};
use samesake::protocol::admin_role::AdminRole;
use samesake::protocol::problem::ProblemKind;
use serde_json::{Value, json};

use super::queues::{candidate, conflict, request};
use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::Env;
use crate::harness::relying_party::answer;
use crate::on_both;

/// Operations that make something new: there is no version of it to be seen.
const CREATIONS: &[&str] = &["customer_link_add", "not_same_mark", "not_same_lift", "webhook_retry"];

/// The path with something that has the form of each variable and is nobody's.
fn filled(operation: &Operation) -> String {
    let nobody = "019a0000-0000-7000-8000-000000000000";
    let parts = operation.path.split('/').map(|part| if part.starts_with('{') { nobody } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// What a reference of the document means.
fn resolved<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn names<'d>(described: &'d Value, place: &str) -> BTreeSet<&'d str> {
    let parameters = described["parameters"].as_array().unwrap().iter();
    parameters
        .filter(|parameter| parameter["in"] == place)
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect()
}

/// Whatever may be sent in a body has an end.
fn assert_bounded(document: &Value, schema: &Value, at: &str) {
    let schema = resolved(document, schema);
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(|one| one.as_str().unwrap()).collect(),
        _ => vec![],
    };
    if types.contains(&"string") {
        let bounded =
            ["maxLength", "enum", "const"].iter().any(|word| schema.get(word).is_some()) || schema["format"] == "uuid";
        assert!(bounded, "{at}: a text without an end: {schema}");
    }
    if types.contains(&"array") {
        assert!(schema["maxItems"].is_u64(), "{at}: a list without an end");
        assert_bounded(document, &schema["items"], &format!("{at}[]"));
    }
    if types.contains(&"object") {
        match schema["properties"].as_object() {
            Some(properties) => {
                assert_eq!(schema["additionalProperties"], false, "{at}: unknown members");
                for (name, property) in properties {
                    assert_bounded(document, property, &format!("{at}.{name}"));
                }
            }
            None if schema.get("maxProperties").is_some() => {
                assert!(schema["propertyNames"]["pattern"].is_string(), "{at}: names without an end");
                assert_bounded(document, &schema["additionalProperties"], &format!("{at}.*"));
            }
            None => assert_eq!(schema["additionalProperties"], false, "{at}: an object without an end"),
        }
    }
}

on_both! {
    /// Lists have pages, single things have versions, changes want them, and every text has an end.
    async fn every_operation_keeps_the_contract_in_the_document(env: &Env) {
        let office = Office::start(env).await;
        let document = office.get("", "/openapi.json").await.body;
        let mut lists = 0;
        for operation in operations().filter(|operation| operation.id != "openapi") {
            let id = operation.id;
            let described = &document["paths"][operation.path][operation.method.as_str().to_lowercase()];
            let response = &described["responses"]["200"];
            let answer = resolved(&document, &response["content"]["application/json"]["schema"]);
            let (query, header) = (names(described, "query"), names(described, "header"));
            let is_list = answer["properties"].get("items").is_some();
            let is_thing = operation.method.as_str() == "GET" && operation.path.ends_with('}');
            assert!(!is_list || query.is_superset(&BTreeSet::from(["cursor", "limit"])), "{id}: a list without pages");
            assert!(!(is_list && is_thing), "{id}");
            assert_eq!(response["headers"].get("ETag").is_some(), is_thing, "{id}: each single thing has a version");
            assert_eq!(header.contains("Idempotency-Key"), operation.conditions != Conditions::None, "{id}");
            assert_eq!(header.contains("If-Match"), operation.conditions == Conditions::KeyAndVersion, "{id}");
            if let Some(body) = described.get("requestBody") {
                let schema = &body["content"]["application/json"]["schema"];
                assert_bounded(&document, schema, id);
                let required = resolved(&document, schema)["required"].to_string();
                assert_eq!(required.contains("plan_hash"), operation.conditions == Conditions::KeyAndPlan, "{id}");
                let is_creation = CREATIONS.contains(&id);
                assert_eq!(operation.conditions == Conditions::Key, is_creation, "{id}: a change of what was seen");
                assert_eq!(operation.conditions == Conditions::None, id.ends_with("_plan"), "{id}");
            }
            for (status, response) in described["responses"].as_object().unwrap() {
                let is_problem = response["content"].get("application/problem+json").is_some();
                assert_eq!(is_problem, status != "200", "{id} {status}");
            }
            lists += usize::from(is_list);
        }
        assert!(lists >= 10, "{lists}");
        let kinds = document["components"]["schemas"]["Problem"]["properties"]["type"]["oneOf"].as_array().unwrap();
        let described: BTreeSet<&str> = kinds.iter().map(|kind| kind["const"].as_str().unwrap()).collect();
        let all: BTreeSet<String> = ProblemKind::ALL.into_iter().map(ProblemKind::uri).collect();
        assert_eq!(described, all.iter().map(String::as_str).collect(), "each type of problem is described");
        assert!(kinds.iter().all(|kind| kind["description"].as_str().is_some_and(|words| words.len() > 20)));
    }

    /// And the gateway holds every one of them to it.
    async fn every_operation_keeps_the_contract_when_asked(env: &Env) {
        let office = Office::start(env).await;
        let token = office.robot(AdminRole::Owner).await;
        for operation in operations().filter(|operation| operation.id != "openapi") {
            let (id, path) = (operation.id, filled(operation));
            if operation.method.as_str() == "GET" {
                assert_problem(&office.get(&token, &format!("{path}?unknown=1")).await, 400, "invalid-request");
                if operation.query.iter().any(|parameter| parameter.name == "limit") {
                    let required: String = operation.query.iter().filter(|one| one.required).map(|one| format!("&{}=a", one.name)).collect();
                    for (wrong, kind) in [("limit=101", "invalid-request"), ("cursor=AAAA", "invalid-cursor")] {
                        assert_problem(&office.get(&token, &format!("{path}?{wrong}{required}")).await, 400, kind);
                    }
                }
                continue;
            }
            let sent = |key: Option<&str>, version: Option<&str>, body: &'static str, media_type: &'static str| {
                let mut request = office.request(Method::POST, &path).bearer_auth(&token);
                for (name, value) in [("idempotency-key", key), ("if-match", version)] {
                    if let Some(value) = value {
                        request = request.header(name, value);
                    }
                }
                answer(request.header("content-type", media_type).body(body))
            };
            if operation.conditions != Conditions::None {
                let refused = sent(None, Some("*"), "{}", "application/json").await;
                assert_problem(&refused, 400, "invalid-request");
                assert_eq!(refused.body["errors"][0]["at"], "Idempotency-Key", "{id}");
            }
            if operation.conditions == Conditions::KeyAndVersion {
                assert_problem(&sent(Some("k"), None, "{}", "application/json").await, 428, "version-required");
            }
            assert_problem(&sent(Some("k"), Some("*"), "{}", "text/plain").await, 415, "unsupported-media-type");
            assert_problem(&sent(Some("k"), Some("*"), "{", "application/json").await, 400, "invalid-request");
            let unknown = sent(Some("k"), Some("*"), "{\"unknown\":1}", "application/json").await;
            assert_problem(&unknown, 422, "invalid-content");
        }
    }

    /// Each change of one thing is refused by another version of it, and done by the one that reading it gave.
    async fn each_change_of_one_thing_wants_what_was_seen(env: &Env) {
        let app = crate::harness::TestApp::builder(env).configure(|config| config.merge.approval_from_risk = 0);
        let office = Office::of(app.start().await).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let (owner, approver) = (office.robot(AdminRole::Owner).await, office.robot(AdminRole::Approver).await);
        candidate(&office, ann, ben, 0.9, "queue").await;
        let (asked, case) = (request(&office, ann, ben).await, conflict(&office, ann, ben).await);
        let plan = office.ask(&owner, "/merges/plan", &json!({ "survivor": ann, "absorbed": ben })).await;
        let agreed = json!({ "survivor": ann, "absorbed": ben, "plan_hash": plan.body["hash"], "reason": "x" });
        let mut proposals = Vec::new();
        for key in ["p1", "p2"] {
            let proposed = office.post(&owner, "/proposals", key, &agreed).await;
            assert_good(&proposed);
            proposals.push(format!("/proposals/{}", proposed.body["id"].as_str().unwrap()));
        }
        let link = json!({ "namespace": "ext:crm", "external_id": "1", "reason": "x" });
        let link = office.post(&owner, &format!("/customers/{ben}/links"), "l", &link).await;
        let link = format!("/customers/{ben}/links/{}", link.body["link"].as_str().unwrap());
        let (why, nothing) = (json!({ "reason": "x" }), json!({}));
        let brand = json!({ "reason": "x", "brand": "north" });
        office.app.log_in(&crate::harness::Browser::new(), office.app.url("/account"), BEN).await;
        office.app.log_in(&crate::harness::Browser::new(), office.app.url("/account"), BEN).await;
        let sessions = office.get(&owner, &format!("/customers/{ben}/sessions")).await;
        let end_one = format!("sessions/{}/end", sessions.body["items"][0]["sid"].as_str().unwrap());
        let (of_ann, of_ben) = (format!("/customers/{ann}"), format!("/customers/{ben}"));
        let pair = format!("/candidates/{ann}/{ben}");
        let mut tried = BTreeSet::new();
        for (id, token, thing, verb, body) in [
            ("proposal_withdraw", &owner, &proposals[0], "withdraw", &nothing),
            ("candidate_watch", &owner, &pair, "watch", &why),
            ("merge_request_decline", &owner, &format!("/merge-requests/{asked}"), "decline", &why),
            ("conflict_close", &owner, &format!("/conflicts/{case}"), "close", &why),
            ("customer_link_enable", &owner, &link, "enable", &why),
            ("customer_link_remove", &owner, &link, "remove", &why),
            ("customer_session_end", &owner, &of_ben, end_one.as_str(), &why),
            ("customer_sessions_end", &owner, &of_ben, "sessions/end", &why),
            ("customer_brand", &owner, &of_ben, "brand", &brand),
            ("customer_hold", &owner, &of_ben, "hold", &why),
            ("customer_release", &owner, &of_ben, "release", &why),
            ("admin_grant", &owner, &format!("/admins/{ben}"), "grant", &json!({ "role": "viewer", "reason": "x" })),
            ("admin_revoke", &owner, &format!("/admins/{ben}"), "revoke", &why),
            ("candidate_dismiss", &owner, &pair, "dismiss", &why),
            ("proposal_approve", &approver, &proposals[1], "approve", &nothing),
            ("customer_erase", &owner, &of_ann, "erase", &why),
        ] {
            let seen = office.get(token, thing).await;
            assert_good(&seen);
            let version = seen.headers["etag"].to_str().unwrap();
            let path = format!("{thing}/{verb}");
            for (key, other) in [("w1", "\"another\""), ("w2", "W/*"), ("w3", &format!("W/{version}"))] {
                assert_problem(&office.post_as(token, &path, &format!("{id}-{key}"), other, body).await, 412, "version-mismatch");
            }
            let unchanged = office.get(token, thing).await;
            assert_eq!(unchanged.headers["etag"].to_str().unwrap(), version, "{id}: a refusal changes nothing");
            let done = office.post_as(token, &path, &format!("{id}-w1"), version, body).await;
            // Somebody has said by now that they are two people: the proposal is void, which is a decision too.
            let expected: &[u16] = if id == "proposal_approve" { &[200, 409] } else { &[200] };
            assert!(expected.contains(&done.status.as_u16()), "{id}: {}", done.text);
            tried.insert(id);
        }
        let all: BTreeSet<&str> =
            operations().filter(|one| one.conditions == Conditions::KeyAndVersion).map(|one| one.id).collect();
        assert_eq!(tried, all, "every change of one thing is tried");
    }
}
