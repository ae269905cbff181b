//! Sessions at the desk: where a customer is signed in, and ending one of them or all (identity rules 19 and 26;
//! experience rules 11 and 12).

use std::time::Duration;

use samesake::protocol::admin_role::AdminRole;

use super::{ANN, BEN, CLEO, actions_of, admin, agree, assert_sound, open, plan_path};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::on_both;

async fn is_signed_in(app: &TestApp, browser: &Browser) -> bool {
    browser.get(app.url("/account")).await.url.path() == "/account"
}

on_both! {
    async fn a_customer_is_signed_out_everywhere_from_their_page(env: &Env) {
        let app = TestApp::builder(env).web_client("shop").configure(|config| config.merge.approval_from_risk = 100).start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let edge = "Mozilla/5.0 (Windows NT 10.0) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0";
        let (of_ann, of_ben) = (Browser::new().with_header("user-agent", edge), Browser::new());
        let shop = app.relying_party("shop").await;
        let authorization = shop.authorization();
        let callback = app.log_in(&of_ann, &authorization.url, ANN).await;
        shop.finish(&authorization, &callback).await;
        app.log_in(&of_ben, app.url("/account"), BEN).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        agree(&browser, &open(&app, &browser, &plan_path(ann, ben)).await, "merge").await;
        let customer = open(&app, &browser, &format!("/admin/customers/{ben}")).await;
        for words in ["Edge on Windows", "by password", "The shop", "Signed in 2 browsers"] {
            assert!(customer.contains(words), "{words}: {}", customer.text());
        }
        let page = browser.click(&customer, "Sign out everywhere …").await;
        assert_sound(&page);
        for words in ["Signed in 2 ended at once", "Refresh tokens 1", "signs in again", "What stays"] {
            assert!(page.contains(words), "{words}: {}", page.text());
        }
        let path = page.url.path().to_owned();
        assert_eq!(browser.submit(&page, &path, &[("reason", " ")]).await.status.as_u16(), 422, "for a reason");
        assert!(is_signed_in(&app, &of_ann).await && is_signed_in(&app, &of_ben).await, "nothing has happened yet");
        let done = browser.submit(&page, &path, &[("reason", "lost phone, case 4712")]).await;
        assert_eq!(done.url.path(), format!("/admin/customers/{ann}"), "{}", done.text());
        assert!(done.contains("Was signed out by an admin") && done.contains("lost phone, case 4712"), "{}", done.text());
        assert!(!is_signed_in(&app, &of_ann).await && !is_signed_in(&app, &of_ben).await);
        let twice = browser.submit(&page, &path, &[("reason", "lost phone, case 4712")]).await;
        assert_eq!(twice.url.path(), done.url.path(), "a second click finds it done: {}", twice.text());
        let ended = actions_of(&app, ann).await.into_iter().filter(|done| done == "session.ended").count();
        assert_eq!(ended, 1);
        let nothing = open(&app, &browser, &path).await;
        assert!(nothing.contains("They are signed in nowhere.") && !nothing.body.contains("name=\"version\""));
        invariants::check(env).await;
    }

    async fn one_session_is_ended_from_the_customers_page(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let (old, new) = (Browser::new(), Browser::new());
        app.log_in(&old, app.url("/account"), ANN).await;
        env.clock.advance(Duration::from_secs(60));
        app.log_in(&new, app.url("/account"), ANN).await;
        let browser = admin(&app, CLEO, AdminRole::Support).await;
        let customer = open(&app, &browser, &format!("/admin/customers/{ann}")).await;
        // The newest comes first.
        let page = browser.click(&customer, "End … the session in").await;
        assert_sound(&page);
        assert!(page.contains("Every other session goes on."), "{}", page.text());
        let path = page.url.path().to_owned();
        let done = browser.submit(&page, &path, &[("reason", "not theirs")]).await;
        assert_eq!(done.url.path(), format!("/admin/customers/{ann}"), "{}", done.text());
        assert!(!is_signed_in(&app, &new).await && is_signed_in(&app, &old).await);
        let gone = open(&app, &browser, &path).await;
        assert!(gone.contains("This session has ended.") && !gone.body.contains("name=\"version\""), "{}", gone.text());
        for path in [path.replace("/end", "/nonsense"), format!("/admin/customers/{ann}/sessions/{}/end", "y".repeat(65))] {
            assert_eq!(browser.get(app.url(&path)).await.status.as_u16(), 404, "{path}");
        }
        invariants::check(env).await;
    }

    /// A viewer is offered neither, and what was pressed waits for a login of the last ten minutes.
    async fn ending_sessions_takes_its_role_and_a_fresh_login(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let of_ann = Browser::new();
        app.log_in(&of_ann, app.url("/account"), ANN).await;
        let viewer = admin(&app, BEN, AdminRole::Viewer).await;
        let customer = open(&app, &viewer, &format!("/admin/customers/{ann}")).await;
        assert!(customer.contains("Signed in") && !customer.contains("Sign out everywhere") && !customer.contains("End …"));
        assert_eq!(viewer.get(app.url(&format!("/admin/customers/{ann}/sign-out"))).await.status.as_u16(), 403);
        let browser = admin(&app, CLEO, AdminRole::Support).await;
        env.clock.advance(Duration::from_secs(11 * 60));
        let page = open(&app, &browser, &format!("/admin/customers/{ann}/sign-out")).await;
        let login = browser.submit(&page, page.url.path(), &[("reason", "lost phone")]).await;
        assert_eq!(login.url.path(), "/login", "{}", login.text());
        assert!(is_signed_in(&app, &of_ann).await, "not before the login");
        let fields = [("email", CLEO), ("password", PASSWORD)];
        let done = browser.submit(&login, "/login/password", &fields).await;
        assert_eq!(done.url.path(), format!("/admin/customers/{ann}"), "{}", done.text());
        assert!(!is_signed_in(&app, &of_ann).await);
    }
}
