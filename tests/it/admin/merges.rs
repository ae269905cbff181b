//! Merging by the API: planned, made by the plan's hash, undone, proposed and approved (identity rules 28 to 32, 35).

use samesake::ids::{CustomerId, ProposalId};
use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use super::{ANN, BEN, Office, assert_good, assert_problem, ids};
use crate::harness::relying_party::Answer;
use crate::harness::{Browser, Env, TestApp, invariants, until};
use crate::identity::merge::program::waiting;
use crate::{on_both, on_servers};

/// An office in which a merge of this risk or more needs approval, with Ann and Ben.
async fn office(env: &Env, approval_from_risk: u32) -> (Office, CustomerId, CustomerId) {
    let app = TestApp::builder(env).web_client("shop");
    let app = app.configure(|config| config.merge.approval_from_risk = approval_from_risk).start().await;
    let office = Office::of(app).await;
    let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
    (office, ann, ben)
}

async fn plan(office: &Office, token: &str, survivor: CustomerId, absorbed: CustomerId) -> Answer {
    let wanted = json!({ "survivor": survivor, "absorbed": absorbed });
    let request = office.request(reqwest::Method::POST, "/merges/plan").bearer_auth(token);
    crate::harness::relying_party::answer(request.json(&wanted)).await
}

/// What is sent to execute or propose a plan.
fn agreed(plan: &Answer) -> Value {
    assert_good(plan);
    json!({
        "survivor": plan.body["survivor"], "absorbed": plan.body["absorbed"], "plan_hash": plan.body["hash"],
        "reason": "they wrote to us",
    })
}

on_both! {
    async fn a_merge_is_made_as_planned_and_undone_as_planned(env: &Env) {
        let (office, ann, ben) = office(env, 100).await;
        let token = office.robot(AdminRole::Merger).await;
        let planned = plan(&office, &token, ann, ben).await;
        assert_eq!((&planned.body["refusals"], &planned.body["kind"]), (&json!([]), &json!("profile")));
        assert_eq!(planned.body["moved"], json!([ben]));
        assert_eq!((&planned.body["sessions"], &planned.body["live_sessions"]["absorbed"]["sso"]), (&json!("keep"), &json!(0)));
        let made = office.post(&token, "/merges", "k", &agreed(&planned)).await;
        assert_good(&made);
        assert_eq!((&made.body["survivor"], &made.body["repeated"]), (&json!(ann), &json!(false)));
        let again = office.post(&token, "/merges", "k", &agreed(&planned)).await;
        assert_eq!((&again.body, &again.headers["idempotency-replayed"]), (&made.body, &"true".parse().unwrap()));
        let seen = office.get(&token, &format!("/customers/{ben}")).await;
        assert_eq!((&seen.body["id"], &seen.body["merged_from"]), (&json!(ann), &json!(ben)));
        assert_eq!(ids(&office.search(&token, BEN).await), [ann.to_string()]);

        let merges = office.get(&token, &format!("/customers/{ann}/merges")).await;
        assert_eq!(ids(&merges), [made.body["merge"].as_str().unwrap()]);
        let merge = format!("/merges/{}", made.body["merge"].as_str().unwrap());
        let recorded = office.get(&token, &merge).await;
        assert_eq!(recorded.body["actor"], "admin:client:robot-merger");
        assert!(recorded.body["reason"].to_string().contains("they wrote to us"), "{}", recorded.text);
        let request = office.request(reqwest::Method::POST, &format!("{merge}/undo/plan")).bearer_auth(&token);
        let undo_plan = crate::harness::relying_party::answer(request.json(&json!({}))).await;
        assert_good(&undo_plan);
        assert_eq!(undo_plan.body["restored"], json!(ben));
        assert_eq!(undo_plan.body["live_sessions"]["restored"], json!({"sso": 0, "refresh_tokens": 0}));
        let undo = json!({ "reason": "two people after all", "plan_hash": undo_plan.body["hash"] });
        let undone = office.post(&token, &format!("{merge}/undo"), "u", &undo).await;
        assert_good(&undone);
        assert_eq!((&undone.body["restored"], &undone.body["repeated"]), (&json!(ben), &json!(false)));
        let seen = office.get(&token, &format!("/customers/{ben}")).await;
        assert_eq!((&seen.body["id"], &seen.body["merged_from"]), (&json!(ben), &Value::Null));
        let pairs = office.get(&token, &format!("/customers/{ben}/not-same")).await;
        assert_eq!(pairs.body["items"].as_array().unwrap().len(), 1, "the pair is remembered: {}", pairs.text);
        invariants::check(env).await;
    }

    /// Rule 28: something has changed in between.
    async fn a_stale_plan_is_not_executed_and_its_key_stays_free(env: &Env) {
        let (office, ann, ben) = office(env, 100).await;
        let token = office.robot(AdminRole::Merger).await;
        let before = agreed(&plan(&office, &token, ann, ben).await);
        let shop = office.app.relying_party("shop").await;
        let authorization = shop.authorization();
        let callback = office.app.log_in(&Browser::new(), &authorization.url, BEN).await;
        shop.finish(&authorization, &callback).await;
        let refused = office.post(&token, "/merges", "k", &before).await;
        assert_problem(&refused, 409, "stale-plan");
        let mut now = before.clone();
        now["plan_hash"] = refused.body["plan"]["hash"].clone();
        assert_problem(&office.post(&token, "/proposals", "p", &before).await, 409, "stale-plan");
        assert_good(&office.post(&token, "/merges", "k", &now).await);
        invariants::check(env).await;
    }

    /// Rule 30: the second person is another one.
    async fn a_risky_merge_waits_for_somebody_else(env: &Env) {
        let (office, ann, ben) = office(env, 0).await;
        office.admin("cleo@example.com", AdminRole::Approver).await;
        let cleo = office.sign_in(&Browser::new(), "cleo@example.com").await.access_token;
        let robot = office.robot(AdminRole::Approver).await;
        let planned = plan(&office, &cleo, ann, ben).await;
        assert_eq!(planned.body["needs_approval"], true);
        assert_problem(&office.post(&cleo, "/merges", "k", &agreed(&planned)).await, 409, "approval-needed");
        let proposed = office.post(&cleo, "/proposals", "k2", &agreed(&planned)).await;
        assert_good(&proposed);
        let again = office.post(&cleo, "/proposals", "k2", &agreed(&planned)).await;
        assert_eq!(again.body["id"], proposed.body["id"]);
        let listed = office.get(&robot, "/proposals").await;
        assert_eq!(ids(&listed), [proposed.body["id"].as_str().unwrap()]);
        assert_eq!(listed.body["items"][0]["reason"], "they wrote to us");
        let path = format!("/proposals/{}", proposed.body["id"].as_str().unwrap());
        assert_problem(&office.post(&cleo, &format!("{path}/approve"), "a", &json!({})).await, 409, "refused");
        let merger = office.robot(AdminRole::Merger).await;
        assert_problem(&office.post(&merger, &format!("{path}/approve"), "a", &json!({})).await, 403, "role-too-low");
        let approved = office.post(&robot, &format!("{path}/approve"), "a", &json!({})).await;
        assert_good(&approved);
        assert_eq!((&approved.body["outcome"], &approved.body["merge"]["absorbed"]), (&json!("executed"), &json!(ben)));
        assert_eq!(office.get(&robot, &path).await.body["state"], "executed");
        assert_problem(&office.post(&cleo, &format!("{path}/withdraw"), "w", &json!({})).await, 409, "refused");
        invariants::check(env).await;
    }

    /// A client that proposes and approves is one and the same, whatever its token.
    async fn a_program_does_not_approve_what_it_proposed(env: &Env) {
        let (office, ann, ben) = office(env, 0).await;
        let robot = office.robot(AdminRole::Approver).await;
        let planned = plan(&office, &robot, ann, ben).await;
        let proposed = office.post(&robot, "/proposals", "k", &agreed(&planned)).await;
        let path = format!("/proposals/{}", proposed.body["id"].as_str().unwrap());
        let another_token = office.robot(AdminRole::Approver).await;
        assert_problem(&office.post(&another_token, &format!("{path}/approve"), "a", &json!({})).await, 409, "refused");
        let withdrawn = office.post(&robot, &format!("{path}/withdraw"), "w", &json!({})).await;
        assert_eq!(withdrawn.body["state"], "withdrawn", "{}", withdrawn.text);
        assert_eq!(office.get(&robot, "/proposals").await.body["items"], json!([]));
    }

    /// Rule 30: nobody is merged with an admin, and no admin with themselves.
    async fn nobody_is_merged_into_rights(env: &Env) {
        let (office, ann, ben) = office(env, 100).await;
        office.grant(ann, AdminRole::Owner).await;
        let robot = office.robot(AdminRole::Merger).await;
        let own = office.sign_in(&Browser::new(), ANN).await.access_token;
        for (token, name) in [(&robot, "upward-in-rights"), (&own, "oneself")] {
            let planned = plan(&office, token, ann, ben).await;
            let names: Vec<_> = planned.body["refusals"].as_array().unwrap().iter().map(|refusal| &refusal["name"]).collect();
            assert!(names.contains(&&json!(name)), "{names:?}");
            let refused = office.post(token, "/merges", "k", &agreed(&planned)).await;
            assert_problem(&refused, 409, "refused");
            assert!(refused.body["plan"]["refusals"].as_array().is_some_and(|refusals| !refusals.is_empty()));
        }
        invariants::check(env).await;
    }

    /// Rule 35: remembered until it is lifted.
    async fn who_is_not_the_same_is_not_merged(env: &Env) {
        let (office, ann, ben) = office(env, 100).await;
        let token = office.robot(AdminRole::Merger).await;
        let pair = json!({ "a": ann, "b": ben, "reason": "father and son" });
        let marked = office.post(&token, "/not-same", "m1", &pair).await;
        assert_good(&marked);
        assert_eq!(marked.body, json!({ "not_same": true, "repeated": false }));
        assert_eq!(office.post(&token, "/not-same", "m2", &pair).await.body["repeated"], true);
        let pairs = office.get(&token, &format!("/customers/{ben}/not-same")).await;
        assert_eq!(pairs.body["items"].as_array().unwrap().len(), 1);
        assert!(pairs.text.contains("father and son"), "{}", pairs.text);
        let planned = plan(&office, &token, ann, ben).await;
        assert_eq!(planned.body["refusals"][0]["name"], "not-same");
        assert_problem(&office.post(&token, "/merges", "k", &agreed(&planned)).await, 409, "refused");
        assert_good(&office.post(&token, "/not-same/lift", "l", &json!({ "a": ben, "b": ann })).await);
        let planned = plan(&office, &token, ann, ben).await;
        assert_good(&office.post(&token, "/merges", "k", &agreed(&planned)).await);
        assert_problem(&office.post(&token, "/not-same", "m3", &pair).await, 409, "refused");
        invariants::check(env).await;
    }

    async fn what_is_not_there_is_not_merged(env: &Env) {
        let (office, ann, ben) = office(env, 100).await;
        let token = office.robot(AdminRole::Merger).await;
        let nobody: CustomerId = "019a0000-0000-7000-8000-000000000000".parse().unwrap();
        assert_problem(&plan(&office, &token, ann, nobody).await, 404, "not-found");
        let mut wanted = agreed(&plan(&office, &token, ann, ben).await);
        wanted["choices"] = json!({ "na\u{0}me": ann });
        assert_problem(&office.post(&token, "/merges", "k", &wanted).await, 422, "invalid-content");
        wanted["choices"] = json!({});
        wanted["absorbed"] = json!(nobody);
        assert_problem(&office.post(&token, "/merges", "k", &wanted).await, 404, "not-found");
        for path in [format!("/merges/{nobody}"), format!("/proposals/{nobody}"), "/merges/x".to_owned()] {
            assert_problem(&office.get(&token, &path).await, 404, "not-found");
        }
        let undo = json!({ "reason": "x", "plan_hash": "x" });
        assert_problem(&office.post(&token, &format!("/merges/{nobody}/undo"), "u", &undo).await, 404, "not-found");
        assert_problem(&office.post(&token, "/not-same", "m", &json!({ "a": ann, "b": nobody, "reason": "x" })).await, 404, "not-found");
    }
}

on_servers! {
    /// Rule 30, RFC 9110 §13.1.1: of two who decide by the same version, and are both at it, one decides.
    async fn of_two_decisions_by_one_version_one_counts(env: &Env) {
        let app = TestApp::builder(env).web_client("shop");
        let app = app.configure(|config| (config.merge.approval_from_risk, config.merge.approvals) = (0, 2)).start().await;
        let office = Office::of(app).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let mut tokens = Vec::new();
        for email in ["cleo@example.com", "dora@example.com"] {
            office.admin(email, AdminRole::Approver).await;
            tokens.push(office.sign_in(&Browser::new(), email).await.access_token);
        }
        let robot = office.robot(AdminRole::Approver).await;
        for verbs in [["approve", "approve"], ["approve", "withdraw"]] {
            let proposed = office.post(&robot, "/proposals", verbs[1], &agreed(&plan(&office, &robot, ann, ben).await)).await;
            let id: ProposalId = proposed.body["id"].as_str().unwrap().parse().unwrap();
            let seen = office.get(&robot, &format!("/proposals/{id}")).await;
            let version = seen.headers["etag"].to_str().unwrap().to_owned();
            assert_eq!(version, "\"open.0\"");
            let mut held = office.app.store.background().begin().await.unwrap();
            held.proposal_lock(id).await.unwrap();
            let decide = async |number: usize| {
                let path = format!("/proposals/{id}/{}", verbs[number]);
                office.post_as(&tokens[number], &path, &format!("{id}-{number}"), &version, &json!({})).await
            };
            let release = async {
                // Both have been let in by then, and wait.
                until("both wait", async || waiting(env).await >= 2).await;
                held.commit().await.unwrap();
            };
            let (first, second, ()) = tokio::join!(decide(0), decide(1), release);
            let mut answers = [first.status.as_u16(), second.status.as_u16()];
            answers.sort_unstable();
            assert_eq!(answers, [200, 412], "{verbs:?}: {} {}", first.text, second.text);
            let refused = if first.status.as_u16() == 412 { &first } else { &second };
            assert_problem(refused, 412, "version-mismatch");
            // What was done is done, and asked for again it is what it was.
            let winner = usize::from(first.status.as_u16() == 412);
            let again = decide(winner).await;
            assert_eq!(again.headers["idempotency-replayed"], "true");
            let now = office.get(&robot, &format!("/proposals/{id}")).await;
            let after = if verbs[winner] == "withdraw" { "\"withdrawn.0\"" } else { "\"open.1\"" };
            assert_eq!(now.headers["etag"], after);
        }
        invariants::check(env).await;
    }

    /// Rule 29 by the API: twenty of one request at two replicas are one merge, and all hear of it.
    async fn of_equal_merges_at_once_one_is_made(env: &Env) {
        let (office, ann, ben) = office(env, 100).await;
        let replica = office.app.replica(env).await;
        let token = office.robot(AdminRole::Merger).await;
        let agreed = agreed(&plan(&office, &token, ann, ben).await);
        let requests = (0..20).map(|number| {
            let at = if number % 2 == 0 { &office.app } else { &replica };
            let request = crate::harness::browser::http_client().post(at.url("/api/v1/merges")).bearer_auth(&token);
            crate::harness::relying_party::answer(request.header("idempotency-key", "k").json(&agreed))
        });
        let answers = futures::future::join_all(requests).await;
        for answer in &answers {
            assert_good(answer);
            assert_eq!(answer.body["merge"], answers[0].body["merge"]);
        }
        invariants::check(env).await;
    }
}
