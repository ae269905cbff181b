//! What is left to do after a transaction: done at once if it can be, and else until it is.

use std::time::Duration;

use samesake::events::Actor;
use samesake::identity::erase::{self, Erased};
use samesake::ids::LinkId;
use samesake::jobs::{self, First, Task};
use serde_json::json;

use crate::harness::providers::apple::Apple;
use crate::harness::{Browser, Env, TestApp, invariants, until};
use crate::on_both;

const HOME: &str = "ann@home.example";

/// How many tasks wait.
async fn waiting(app: &TestApp) -> usize {
    let far = app.clock.now() + Duration::from_secs(30 * 86_400);
    let store = app.store.background();
    let mut tx = store.begin().await.unwrap();
    // Rolled back: it is only looked.
    tx.task_lease(far, far, 100).await.unwrap().len()
}

on_both! {
    /// Apple asks for it: the token that it gave goes back when the account is disconnected, with a client secret as Apple
    /// wants it, and again while Apple is down.
    async fn the_providers_token_is_given_back_when_the_account_is_disconnected(env: &Env) {
        let apple = Apple::start_at(env.clock.clone()).await;
        apple.stand.log_in_as(json!({"sub": "000123.abc.0456"}));
        let app = TestApp::builder(env).connector(apple.config(json!({"store_tokens": true}))).start().await;
        app.customer(HOME, "Ann").await;
        let browser = Browser::new();
        let page = app.log_in(&browser, app.url("/account"), HOME).await;
        let page = browser.submit(&page, "/account/connect", &[("connector", "apple")]).await;
        let page = browser.submit(&page, "apple", &[]).await;
        assert_eq!(page.url.path(), "/account", "{}", page.text());
        apple.stand.answer("/auth/revoke", 503, json!({}));
        let graph = invariants::check(env).await;
        let link = &graph.live("social:apple", "000123.abc.0456")[0].id;
        let link = uuid::Uuid::parse_str(link).unwrap().to_string();
        let page = browser.submit(&page, "/account/disconnect", &[("link", &link)]).await;
        assert_eq!(page.url.path(), "/account", "nobody waits for Apple: {}", page.text());
        app.app.worker.run_once().await.unwrap();
        assert_eq!((waiting(&app).await, apple.revoked()), (1, vec![]));
        apple.stand.forget("/auth/revoke");
        until("another try", async || {
            app.clock.advance(Duration::from_secs(200));
            app.app.worker.run_once().await.unwrap();
            waiting(&app).await == 0
        })
        .await;
        assert_eq!(apple.revoked(), ["r0"]);
        invariants::check(env).await;
    }

    /// Whoever is erased has no account at Apple left here either.
    async fn the_providers_token_is_given_back_when_the_customer_is_erased(env: &Env) {
        let apple = Apple::start_at(env.clock.clone()).await;
        apple.stand.log_in_as(json!({"sub": "000123.abc.0456"}));
        let app = TestApp::builder(env).connector(apple.config(json!({"store_tokens": true}))).start().await;
        let customer = app.customer(HOME, "Ann").await;
        let browser = Browser::new();
        let page = app.log_in(&browser, app.url("/account"), HOME).await;
        let page = browser.submit(&page, "/account/connect", &[("connector", "apple")]).await;
        let page = browser.submit(&page, "apple", &[]).await;
        assert_eq!(page.url.path(), "/account", "{}", page.text());
        let key = &app.app.secrets.task;
        let erase = async || erase::erase(&app.store, key, customer, (Actor::System, "asked for"), env.clock.now()).await;
        assert!(matches!(erase().await.unwrap(), Erased::Done { .. }));
        assert_eq!(erase().await.unwrap(), Erased::Already { customer });
        app.app.worker.run_once().await.unwrap();
        assert_eq!((waiting(&app).await, apple.revoked()), (0, vec!["r0".to_owned()]));
        let page = browser.get(app.url("/account")).await;
        assert_eq!(page.url.path(), "/login", "nobody is signed in any more: {}", page.text());
        invariants::check(env).await;
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
