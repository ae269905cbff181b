//! What waits at the desk and is no merge: pairs put on watch, requests declined, conflicts closed (identity rules 13, 16, 39).

use samesake::clock::uuid_v7;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::{Conflict, ConflictKind, MergeRequest, MergeRequestState};
use serde_json::json;

use super::merging::propose_pair;
use super::{ANN, BEN, CLEO, admin, open};
use crate::harness::{Env, TestApp, invariants};
use crate::on_both;

on_both! {
    async fn what_waits_is_settled_once_and_with_a_reason(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let now = app.clock.now();
        let mut tx = app.store.background().begin().await.unwrap();
        let (a, b) = (ann.min(ben), ann.max(ben));
        let request = MergeRequest {
            id: uuid_v7(now), a, b, proofs: json!([]), opened_at: now, state: MergeRequestState::Open, closed_at: None, declined: false,
        };
        assert!(tx.merge_request_open(&request).await.unwrap());
        let conflict = Conflict {
            id: uuid_v7(now), kind: ConflictKind::ValueTaken, customer: ann, other: ben, detail: json!({}), created_at: now, closed_at: None,
        };
        tx.conflict_open(&conflict).await.unwrap();
        tx.commit().await.unwrap();
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let queue = open(&app, &browser, "/admin").await;
        assert!(queue.contains("proved both to be theirs") && queue.contains("restored from a merge"), "{}", queue.text());

        let unsaid = browser.submit(&queue, "/admin/queue/decline", &[]).await;
        assert_eq!(unsaid.status.as_u16(), 422);
        let after = browser.submit(&queue, "/admin/queue/decline", &[("reason", "not their accounts")]).await;
        assert_eq!(after.url.path(), "/admin", "{}", after.text());
        assert!(!after.contains("proved both to be theirs"), "{}", after.text());
        assert!(app.mail_to(ANN).await.text.contains("both accounts stay as they are"));
        assert!(app.mail_to(BEN).await.text.contains("both accounts stay as they are"));
        let again = browser.submit(&queue, "/admin/queue/decline", &[("reason", "again")]).await;
        assert_eq!((again.status.as_u16(), again.heading().as_str()), (409, "It waits no more"));

        let after = browser.submit(&queue, "/admin/queue/close", &[("reason", "looked into it")]).await;
        assert!(after.contains("Nothing waits."), "{}", after.text());
        let again = browser.submit(&queue, "/admin/queue/close", &[("reason", "again")]).await;
        assert_eq!(again.status.as_u16(), 409);
        invariants::check(env).await;
    }

    async fn a_pair_on_watch_leaves_the_queue_and_stays_to_be_compared(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        propose_pair(&app, ann, ben).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let compare = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
        let token = compare.body.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let (one, other) = (ann.to_string(), ben.to_string());
        let fields = [("token", token), ("a", one.as_str()), ("b", other.as_str()), ("reason", "not enough yet")];
        let origin = app.issuer.origin().ascii_serialization();
        let watched = browser.post_from(&origin, &app.url("/admin/queue/watch"), &fields).await;
        assert_eq!(watched.status.as_u16(), 303, "{}", watched.text());
        assert!(open(&app, &browser, "/admin").await.contains("Nothing waits."));
        let compare = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
        assert!(compare.contains("97.0 %") && !compare.body.contains("/admin/queue/watch"), "{}", compare.text());
        invariants::check(env).await;
    }
}
