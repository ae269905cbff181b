//! What is left to do after a transaction: done at once if it can be, and else until it is.

use std::time::Duration;

use samesake::ids::LinkId;
use samesake::jobs::{self, First, Sealable, Task};
use samesake::secret::Secret;
use serde_json::json;

use crate::harness::providers::apple::Apple;
use crate::harness::{Env, TestApp, until};
use crate::on_both;

/// The rows that wait: attempts, and what went wrong last.
async fn waiting(app: &TestApp) -> usize {
    let far = app.clock.now() + Duration::from_secs(30 * 86_400);
    let store = app.store.background();
    let mut tx = store.begin().await.unwrap();
    // Rolled back: it is only looked.
    tx.task_lease(far, far, 100).await.unwrap().len()
}

on_both! {
    /// A token that Apple gave is given back, with a client secret as Apple wants it, and tried again while Apple is down.
    async fn a_token_is_given_back_until_the_provider_takes_it(env: &Env) {
        let apple = Apple::start_at(env.clock.clone()).await;
        let app = TestApp::builder(env).connector(apple.config(json!({}))).start().await;
        let token = Secret::new("r.refresh-token-of-apple".to_owned());
        let task = Task::Revoke { connector: "apple".to_owned(), token: Sealable::new(&token) };
        apple.stand.answer("/auth/revoke", 503, json!({}));
        let store = app.store.background();
        let mut tx = store.begin().await.unwrap();
        jobs::queue(&mut tx, &app.app.secrets.task, &task, First::Job, app.clock.now()).await.unwrap();
        let sealed = tx.task_lease(app.clock.now(), app.clock.now(), 1).await.unwrap().remove(0).sealed;
        assert!(!String::from_utf8_lossy(&sealed).contains("refresh-token-of-apple"));
        tx.commit().await.unwrap();
        app.app.worker.run_once().await.unwrap();
        assert_eq!((waiting(&app).await, apple.revoked().len()), (1, 0));
        apple.stand.forget("/auth/revoke");
        until("another try", async || {
            app.clock.advance(Duration::from_secs(200));
            app.app.worker.run_once().await.unwrap();
            waiting(&app).await == 0
        })
        .await;
        assert_eq!(apple.revoked(), ["r.refresh-token-of-apple"]);
    }

    /// A task that nobody finishes, because the one who queued it died, is done by a job.
    async fn a_task_left_behind_is_done_by_a_job(env: &Env) {
        let app = TestApp::start(env).await;
        let task = Task::EndSessions { link: LinkId::new(app.clock.now()), until: app.clock.now() };
        let store = app.store.background();
        let mut tx = store.begin().await.unwrap();
        jobs::queue(&mut tx, &app.app.secrets.task, &task, First::Caller, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(waiting(&app).await, 1, "whoever queued it has a head start");
        until("the job", async || {
            app.clock.advance(Duration::from_secs(10));
            app.app.worker.run_once().await.unwrap();
            waiting(&app).await == 0
        })
        .await;
    }
}
