//! Giving and taking roles by the API, and what holds for every change: its key, its body, its answer.

use reqwest::Method;
use samesake::protocol::admin_role::AdminRole;
use serde_json::json;

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::relying_party::answer;
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::{on_both, on_servers};

on_both! {
    async fn an_owner_gives_and_takes_roles(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.admin(ANN, AdminRole::Owner).await, office.app.customer(BEN, "Ben").await);
        let owner = office.sign_in(&Browser::new(), ANN).await.access_token;
        let of_ben = office.sign_in(&Browser::new(), BEN).await.access_token;
        assert_problem(&office.search(&of_ben, ANN).await, 403, "role-too-low");
        let grant = json!({ "role": "support", "reason": "joins the team" });
        let granted = office.post(&owner, &format!("/admins/{ben}/grant"), "k1", &grant).await;
        assert_good(&granted);
        assert_eq!(granted.body, json!({ "customer": ben.to_string(), "role": "support" }));
        assert_good(&office.search(&of_ben, ANN).await);
        let listed = office.get(&owner, "/admins").await;
        let roles: Vec<_> = listed.body["items"].as_array().unwrap().iter().map(|item| (&item["customer"], &item["role"])).collect();
        assert_eq!(roles, [(&json!(ann.to_string()), &json!("owner")), (&json!(ben.to_string()), &json!("support"))]);
        assert_eq!(listed.body["items"][1]["granted_by"], format!("admin:{ann}"));
        let revoke = json!({ "reason": "left the team" });
        assert_good(&office.post(&owner, &format!("/admins/{ben}/revoke"), "k2", &revoke).await);
        assert_problem(&office.search(&of_ben, ANN).await, 403, "role-too-low");
        assert_problem(&office.post(&owner, &format!("/admins/{ben}/revoke"), "k3", &revoke).await, 404, "not-found");
        let log = office.get(&owner, &format!("/audit?customer={ben}")).await;
        let entries = log.body["items"].as_array().unwrap();
        let of = |action: &str| entries.iter().find(|entry| entry["action"] == action).unwrap()["detail"].clone();
        assert_eq!(of("admin.granted"), json!({ "role": "support", "before": null, "reason": "joins the team" }));
        assert_eq!(of("admin.revoked"), json!({ "before": "support", "reason": "left the team" }));
        invariants::check(env).await;
    }

    async fn nobody_changes_their_own_role_or_one_of_nobody(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.admin(ANN, AdminRole::Owner).await;
        let owner = office.sign_in(&Browser::new(), ANN).await.access_token;
        let (grant, revoke) = (json!({ "role": "viewer", "reason": "x" }), json!({ "reason": "x" }));
        assert_problem(&office.post(&owner, &format!("/admins/{ann}/grant"), "k", &grant).await, 409, "refused");
        assert_problem(&office.post(&owner, &format!("/admins/{ann}/revoke"), "k", &revoke).await, 409, "refused");
        let nobody = "/admins/019a0000-0000-7000-8000-000000000000/grant";
        assert_problem(&office.post(&owner, nobody, "k", &grant).await, 404, "not-found");
        let ben = office.app.customer(BEN, "Ben").await;
        crate::store::samples::merge(env, ann, ben).await;
        assert_problem(&office.post(&owner, &format!("/admins/{ben}/grant"), "k", &grant).await, 409, "refused");
    }

    async fn a_repeated_change_gets_the_first_answer_and_has_no_second_effect(env: &Env) {
        let office = Office::start(env).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let owner = office.robot(AdminRole::Owner).await;
        let (grant, path) = (json!({ "role": "viewer", "reason": "x" }), format!("/admins/{ben}/grant"));
        let first = office.post(&owner, &path, "k", &grant).await;
        assert_good(&first);
        assert!(!first.headers.contains_key("idempotency-replayed"));
        assert_good(&office.post(&owner, &format!("/admins/{ben}/revoke"), "other", &json!({ "reason": "x" })).await);
        let again = office.post(&owner, &path, "\"k\"", &grant).await;
        assert_good(&again);
        assert_eq!((&again.body, &again.headers["idempotency-replayed"]), (&first.body, &"true".parse().unwrap()));
        let listed = office.get(&owner, "/admins").await;
        assert_eq!(listed.body["items"], json!([]), "the repetition gave nothing");
        // Another actor's key is another key.
        let ann = office.admin(ANN, AdminRole::Owner).await;
        let of_ann = office.sign_in(&Browser::new(), ANN).await.access_token;
        assert_ne!(ann, ben);
        let of_another = office.post(&of_ann, &path, "k", &json!({ "role": "merger", "reason": "y" })).await;
        assert_good(&of_another);
    }

    async fn a_key_of_another_request_is_refused(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let owner = office.robot(AdminRole::Owner).await;
        let grant = json!({ "role": "viewer", "reason": "x" });
        assert_good(&office.post(&owner, &format!("/admins/{ben}/grant"), "k", &grant).await);
        let other_body = json!({ "role": "owner", "reason": "x" });
        assert_problem(&office.post(&owner, &format!("/admins/{ben}/grant"), "k", &other_body).await, 422, "idempotency-key-reused");
        assert_problem(&office.post(&owner, &format!("/admins/{ann}/grant"), "k", &grant).await, 422, "idempotency-key-reused");
    }

    async fn a_refusal_leaves_the_key_free(env: &Env) {
        let office = Office::start(env).await;
        let owner = office.robot(AdminRole::Owner).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let path = format!("/admins/{ben}/revoke");
        let revoke = json!({ "reason": "x" });
        assert_problem(&office.post(&owner, &path, "k", &revoke).await, 404, "not-found");
        office.grant(ben, AdminRole::Viewer).await;
        assert_good(&office.post(&owner, &path, "k", &revoke).await);
    }

    async fn a_change_is_json_of_exactly_the_known_members(env: &Env) {
        let office = Office::start(env).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let owner = office.robot(AdminRole::Owner).await;
        let path = format!("/admins/{ben}/grant");
        for (status, kind, body) in [
            (400, "invalid-request", ""),
            (400, "invalid-request", "{"),
            (400, "invalid-request", r#"{"role":"viewer","reason":"x"} x"#),
            (422, "invalid-content", "[]"),
            (422, "invalid-content", "{}"),
            (422, "invalid-content", r#"{"role":"viewer"}"#),
            (422, "invalid-content", r#"{"role":"viewer","reason":""}"#),
            (422, "invalid-content", r#"{"role":"viewer","reason":"a\u0000b"}"#),
            (422, "invalid-content", r#"{"role":"king","reason":"x"}"#),
            (422, "invalid-content", r#"{"role":"viewer","reason":"x","more":1}"#),
            (422, "invalid-content", r#"{"role":"viewer","role":"owner","reason":"x"}"#),
        ] {
            let request = office.request(Method::POST, &path).bearer_auth(&owner).header("if-match", "*").header("idempotency-key", "k");
            let answer = answer(request.header("content-type", "application/json").body(body)).await;
            assert_problem(&answer, status, kind);
        }
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let request = office.request(Method::POST, &path).bearer_auth(&owner).header("if-match", "*").header("idempotency-key", "k");
        let answer_to_deep = answer(request.header("content-type", "application/json").body(deep)).await;
        assert_eq!(answer_to_deep.status.as_u16() / 100, 4, "{}", answer_to_deep.text);
        let good = json!({ "role": "viewer", "reason": "x" }).to_string();
        for (status, kind, headers) in [
            (415, "unsupported-media-type", vec![("idempotency-key", "k"), ("content-type", "text/plain")]),
            (415, "unsupported-media-type", vec![("idempotency-key", "k")]),
            (400, "invalid-request", vec![("content-type", "application/json")]),
            (400, "invalid-request", vec![("idempotency-key", ""), ("content-type", "application/json")]),
            (400, "invalid-request", vec![("idempotency-key", "a"), ("idempotency-key", "b"), ("content-type", "application/json")]),
        ] {
            let mut request = office.request(Method::POST, &path).bearer_auth(&owner).header("if-match", "*").body(good.clone());
            for (name, value) in headers {
                request = request.header(name, value);
            }
            assert_problem(&answer(request).await, status, kind);
        }
        assert_eq!(office.get(&owner, "/admins").await.body["items"], json!([]), "nothing was done");
    }
}

on_servers! {
    /// Two at once, at two replicas: one effect, and both hear of it.
    async fn of_two_equal_changes_at_once_one_has_the_effect(env: &Env) {
        let office = Office::start(env).await;
        let replica: TestApp = office.app.replica(env).await;
        let owner = office.robot(AdminRole::Owner).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let path = format!("/admins/{ben}/grant");
        let requests = (0..20).map(|number| {
            let at = if number % 2 == 0 { &office.app } else { &replica };
            let url = at.url(&format!("/api/v1{path}"));
            let request = crate::harness::browser::http_client().post(url).bearer_auth(&owner).header("if-match", "*");
            answer(request.header("idempotency-key", "k").json(&json!({ "role": "viewer", "reason": "x" })))
        });
        let answers = futures::future::join_all(requests).await;
        for answer in &answers {
            assert_good(answer);
        }
        let first = answers.iter().filter(|answer| !answer.headers.contains_key("idempotency-replayed")).count();
        assert_eq!(first, 1);
        let log = office.get(&owner, &format!("/audit?customer={ben}")).await;
        let granted = log.body["items"].as_array().unwrap().iter().filter(|item| item["action"] == "admin.granted").count();
        assert_eq!(granted, 1);
    }
}
