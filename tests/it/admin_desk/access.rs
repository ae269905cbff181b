//! Who gets to the desk: admins who are signed in, and nobody else (experience specification, rule 10).

use samesake::protocol::admin_role::AdminRole;

use super::{ANN, BEN, CLEO, admin, give, open};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, TestApp};
use crate::on_both;

on_both! {
    async fn strangers_sign_in_and_come_back_to_the_page_they_wanted(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        give(&app, app.customer(CLEO, "Cleo").await, AdminRole::Viewer).await;
        let wanted = format!("/admin/customers/{ann}?x=%2F%2Fevil.example");
        let browser = Browser::new();
        let login = browser.get(app.url(&wanted)).await;
        assert_eq!(login.url.path(), "/login");
        assert!(!login.body.contains("Ann"));
        let page = app.log_in(&browser, app.url(&wanted), CLEO).await;
        assert_eq!((page.status.as_u16(), page.url.clone()), (200, app.url(&wanted)), "{}", page.text());
        assert_eq!(page.heading(), "Ann");
    }

    async fn somebody_without_a_role_sees_nothing(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, _) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let browser = Browser::new();
        for path in ["/admin", "/admin/search?q=Ann", &format!("/admin/customers/{ann}")] {
            let page = browser.get(app.url(path)).await;
            let fields = [("email", BEN), ("password", PASSWORD)];
            let page = if page.url.path() == "/login" { browser.submit(&page, "/login/password", &fields).await } else { page };
            assert_eq!(page.status.as_u16(), 403, "{path}: {}", page.text());
            assert!(!page.body.contains("Ann"), "{path}");
        }
    }

    async fn a_role_that_is_taken_away_counts_no_more_at_once(env: &Env) {
        let app = TestApp::start(env).await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let mut tx = app.store.background().begin().await.unwrap();
        let cleo = samesake::board::admin::find(&mut tx, CLEO).await.unwrap().unwrap();
        tx.admin_revoke(cleo).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(browser.get(app.url("/admin")).await.status.as_u16(), 403);
    }

    async fn what_is_not_there_has_a_page(env: &Env) {
        let app = TestApp::start(env).await;
        let browser = admin(&app, CLEO, AdminRole::Viewer).await;
        let nobody = "019a0000-0000-7000-8000-000000000000";
        for path in [format!("/admin/customers/{nobody}"), "/admin/customers/x".to_owned(), "/admin/nothing".to_owned()] {
            let page = browser.get(app.url(&path)).await;
            assert_eq!(page.status.as_u16(), 404, "{path}");
        }
    }

    async fn every_page_can_be_walked_by_keyboard(env: &Env) {
        let app = TestApp::start(env).await;
        let browser = admin(&app, CLEO, AdminRole::Viewer).await;
        let page = open(&app, &browser, "/admin/search").await;
        let first = page.body.split("<a ").nth(1).unwrap();
        assert!(first.contains("href=\"#content\""), "the first thing to reach skips the bar: {first}");
        for key in ["s", "q", "p", "h", "m", "o"] {
            assert!(page.body.contains(&format!("accesskey=\"{key}\"")), "{key}");
            assert!(page.body.contains(&format!("<kbd>{key}</kbd>")), "{key} is explained");
        }
        for field in page.body.split("<input ").skip(1).filter(|field| !field.contains("type=\"hidden\"")) {
            let id = field.split("id=\"").nth(1).unwrap().split('"').next().unwrap();
            assert!(page.body.contains(&format!("<label for=\"{id}\"")) || page.body.contains(&format!("for=\"{id}\"")));
        }
    }
}
