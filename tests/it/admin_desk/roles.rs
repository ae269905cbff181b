//! Each role sees and does what it may, and nothing else; a form counts from its own page only (experience rule 10).

use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;

use super::{ANN, BEN, CLEO, DORA, admin, agree, give, is_merged, open, plan_path};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, Page, TestApp, invariants};
use crate::on_both;

const NOBODY: &str = "019a0000-0000-7000-8000-000000000000";

/// Each page with the lowest role that sees it.
async fn pages(app: &TestApp, ann: CustomerId, ben: CustomerId) -> Vec<(String, AdminRole)> {
    let link = app.store.background().begin_read().await.unwrap().links_live(ann).await.unwrap()[0].id;
    vec![
        ("/admin".to_owned(), AdminRole::Viewer),
        ("/admin/search?q=ann".to_owned(), AdminRole::Viewer),
        (format!("/admin/customers/{ann}"), AdminRole::Viewer),
        (format!("/admin/compare?a={ann}&b={ben}"), AdminRole::Viewer),
        ("/admin/proposals".to_owned(), AdminRole::Viewer),
        (plan_path(ann, ben), AdminRole::Support),
        (format!("/admin/customers/{ann}/links/{link}/disconnect"), AdminRole::Support),
        (format!("/admin/customers/{ann}/links/{link}/enable"), AdminRole::Support),
        (format!("/admin/customers/{ann}/brand"), AdminRole::Merger),
        (format!("/admin/customers/{ann}/hold"), AdminRole::Owner),
        ("/admin/audit".to_owned(), AdminRole::Support),
        ("/admin/audit/chains".to_owned(), AdminRole::Support),
        ("/admin/roles".to_owned(), AdminRole::Owner),
        (format!("/admin/roles/{ben}"), AdminRole::Owner),
        (format!("/admin/customers/{ann}/release"), AdminRole::Owner),
        (format!("/admin/customers/{ann}/erase"), AdminRole::Owner),
    ]
}

/// Each form with the lowest role that may send it. None of these finds what it is about.
const FORMS: &[(&str, &str, AdminRole)] = &[
    ("/admin/merges", "merge", AdminRole::Merger),
    ("/admin/merges", "propose", AdminRole::Merger),
    ("/admin/merges/019a0000-0000-7000-8000-000000000000/undo", "", AdminRole::Merger),
    ("/admin/proposals/019a0000-0000-7000-8000-000000000000/approve", "", AdminRole::Approver),
    ("/admin/proposals/019a0000-0000-7000-8000-000000000000/withdraw", "", AdminRole::Merger),
    ("/admin/queue/watch", "", AdminRole::Merger),
    ("/admin/queue/decline", "", AdminRole::Merger),
    ("/admin/queue/close", "", AdminRole::Merger),
    ("/admin/not-same", "", AdminRole::Merger),
    ("/admin/not-same/lift", "", AdminRole::Merger),
    ("/admin/customers/019a0000-0000-7000-8000-000000000000/brand", "", AdminRole::Merger),
    ("/admin/roles/019a0000-0000-7000-8000-000000000000", "", AdminRole::Owner),
    ("/admin/customers/019a0000-0000-7000-8000-000000000000/hold", "", AdminRole::Owner),
    ("/admin/customers/019a0000-0000-7000-8000-000000000000/release", "", AdminRole::Owner),
    ("/admin/customers/019a0000-0000-7000-8000-000000000000/erase", "", AdminRole::Owner),
    (
        "/admin/customers/019a0000-0000-7000-8000-000000000000/links/019a0000-0000-7000-8000-000000000000/disconnect",
        "",
        AdminRole::Support,
    ),
    (
        "/admin/customers/019a0000-0000-7000-8000-000000000000/links/019a0000-0000-7000-8000-000000000000/enable",
        "",
        AdminRole::Support,
    ),
];

/// The token that a session puts into its forms.
async fn token(app: &TestApp, browser: &Browser, ann: CustomerId, ben: CustomerId) -> String {
    let page = open(app, browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
    let at = page.body.split("name=\"token\" value=\"").nth(1).unwrap();
    at.split('"').next().unwrap().to_owned()
}

async fn post(app: &TestApp, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let origin = app.issuer.origin().ascii_serialization();
    browser.post_from(&origin, &app.url(path), fields).await
}

on_both! {
    async fn every_page_asks_for_its_role(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        for role in AdminRole::ALL {
            let browser = admin(&app, &format!("{role}@example.com"), role).await;
            for (path, needs) in pages(&app, ann, ben).await {
                let page = browser.get(app.url(&path)).await;
                let expected = if role >= needs { 200 } else { 403 };
                assert_eq!(page.status.as_u16(), expected, "{role} at {path}: {}", page.text());
                assert!(role >= needs || !page.body.contains("Ben"), "{role} at {path}");
            }
        }
    }

    async fn every_form_asks_for_its_role_and_its_own_token(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        for role in AdminRole::ALL {
            let email = format!("{role}@example.com");
            let browser = admin(&app, &email, AdminRole::Owner).await;
            let own = token(&app, &browser, ann, ben).await;
            let mut tx = app.store.background().begin_read().await.unwrap();
            let customer = samesake::board::admin::find(&mut tx, &email).await.unwrap().unwrap();
            drop(tx);
            if role != AdminRole::Owner {
                give(&app, customer, role).await;
            }
            for (path, act, needs) in FORMS {
                let fields = [("act", *act), ("reason", "x"), ("survivor", NOBODY), ("absorbed", NOBODY), ("a", NOBODY),
                    ("b", NOBODY), ("hash", "h"), ("key", "k"), ("version", "1"), ("role", "viewer"), ("seen", "none"), ("token", own.as_str())];
                let page = post(&app, &browser, path, &fields).await;
                assert_eq!(page.status.as_u16() == 403, role < *needs, "{role} at {path}: {} {}", page.status, page.text());
                for token in ["", "x", &own[1..]] {
                    let forged: Vec<_> = fields.into_iter().filter(|(name, _)| *name != "token").chain([("token", token)]).collect();
                    let page = post(&app, &browser, path, &forged).await;
                    assert_eq!(page.status.as_u16(), 400, "{role} at {path}: {}", page.text());
                }
                let foreign = browser.post_from("https://evil.example", &app.url(path), &fields).await;
                assert_eq!(foreign.status.as_u16(), 403, "{path} from another site");
            }
        }
        invariants::check(env).await;
    }

    /// What a role may not do is not offered to it.
    async fn a_viewer_is_offered_nothing_to_change(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let viewer = admin(&app, CLEO, AdminRole::Viewer).await;
        for (path, _) in pages(&app, ann, ben).await.into_iter().filter(|(_, needs)| *needs == AdminRole::Viewer) {
            let page = open(&app, &viewer, &path).await;
            assert!(!page.forms().iter().any(|form| form.method == "post" && form.action.starts_with("/admin")), "{path}");
            assert!(!page.body.contains("/admin/merges/new"), "{path}");
        }
        let support = admin(&app, DORA, AdminRole::Support).await;
        let plan = open(&app, &support, &plan_path(ann, ben)).await;
        assert!(!plan.forms().iter().any(|form| form.action == "/admin/merges"), "it sees and does not do");
        assert!(plan.contains("takes the role merger"));
    }

    /// Experience rule 10: merging wants a login of the last ten minutes; the button waits for it.
    async fn a_merge_with_an_old_login_signs_in_first_and_goes_on(env: &Env) {
        let app = TestApp::builder(env).web_client("shop");
        let app = app.configure(|config| config.merge.approval_from_risk = 100).start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        env.clock.advance(std::time::Duration::from_secs(11 * 60));
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        let login = agree(&browser, &plan, "merge").await;
        assert_eq!((login.status.as_u16(), login.url.path()), (200, "/login"), "{}", login.text());
        assert!(!is_merged(&app, ben).await, "nothing has happened yet");
        let merged = browser.submit(&login, "/login/password", &[("email", CLEO), ("password", PASSWORD)]).await;
        assert_eq!(merged.heading(), "They are one customer", "{}", merged.text());
        assert!(is_merged(&app, ben).await);
        invariants::check(env).await;
    }

    /// The button waits for its own admin only, and the role is asked for again.
    async fn a_button_that_waits_is_nobody_elses(env: &Env) {
        let app = TestApp::builder(env).web_client("shop");
        let app = app.configure(|config| config.merge.approval_from_risk = 100).start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        admin(&app, DORA, AdminRole::Owner).await;
        env.clock.advance(std::time::Duration::from_secs(11 * 60));
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        let login = agree(&browser, &plan, "merge").await;
        let other = browser.submit(&login, "/login/password", &[("email", DORA), ("password", PASSWORD)]).await;
        assert_eq!(other.url.path(), "/admin", "{}", other.text());
        assert!(!is_merged(&app, ben).await, "she has pressed nothing");

        let browser = Browser::new();
        app.log_in(&browser, app.url("/admin"), CLEO).await;
        env.clock.advance(std::time::Duration::from_secs(11 * 60));
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        let login = agree(&browser, &plan, "merge").await;
        let mut tx = app.store.background().begin().await.unwrap();
        let cleo = samesake::board::admin::find(&mut tx, CLEO).await.unwrap().unwrap();
        tx.admin_revoke(cleo).await.unwrap();
        tx.commit().await.unwrap();
        let refused = browser.submit(&login, "/login/password", &[("email", CLEO), ("password", PASSWORD)]).await;
        assert_eq!(refused.status.as_u16(), 403, "{}", refused.text());
        assert!(!is_merged(&app, ben).await);
        invariants::check(env).await;
    }
}
