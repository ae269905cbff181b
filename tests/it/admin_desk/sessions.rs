//! What becomes of the absorbed side's sessions is chosen at the dry run, with what it means in numbers, and is part of what
//! is agreed to (identity rules 26 and 28).

use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;

use super::merging::token_of;
use super::{ANN, BEN, CLEO, DORA, admin, agree, assert_sound, is_merged, open, plan_path};
use crate::harness::{Browser, Env, Page, TestApp, invariants};
use crate::on_both;

async fn start(env: &Env, approval_from_risk: u32) -> (TestApp, CustomerId, CustomerId, Browser) {
    let app =
        TestApp::builder(env).configure(|config| config.merge.approval_from_risk = approval_from_risk).start().await;
    let (ann, ben) = (app.customer(ANN, "Ann Lee").await, app.customer(BEN, "Anne Lee").await);
    let of_ben = Browser::new();
    app.log_in(&of_ben, app.url("/account"), BEN).await;
    (app, ann, ben, of_ben)
}

/// The dry run with another choice.
async fn choose(browser: &Browser, plan: &Page, policy: &str) -> Page {
    browser.submit(plan, "/admin/merges/new", &[("sessions", policy)]).await
}

async fn is_signed_in(app: &TestApp, browser: &Browser) -> bool {
    browser.get(app.url("/account")).await.url.path() == "/account"
}

on_both! {
    async fn the_dry_run_offers_what_becomes_of_sessions_and_the_merge_does_it(env: &Env) {
        let (app, ann, ben, _) = start(env, 100).await;
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        // The undoing of each makes worthless what was signed in by then.
        for (policy, words, stays) in [
            ("keep", "Kept, seeing their own side only: 2 browsers, no refresh token.", true),
            ("downgrade", "Asked to sign in at the next step: 1 browser. Kept: no refresh token.", false),
            ("end", "Asked to sign in at the next step: 1 browser. Ended: no refresh token.", false),
        ] {
            env.clock.advance(std::time::Duration::from_secs(1));
            let of_ben = Browser::new();
            app.log_in(&of_ben, app.url("/account"), BEN).await;
            let plan = open(&app, &cleo, &plan_path(ann, ben)).await;
            assert!(plan.contains(words), "{words}: {}", plan.text());
            assert!(plan.body.contains("value=\"keep\" checked"), "whoever is signed in stays, as it is configured");
            let plan = choose(&cleo, &plan, policy).await;
            assert_sound(&plan);
            assert!(plan.body.contains(&format!("value=\"{policy}\" checked")), "{}", plan.text());
            let merged = agree(&cleo, &plan, "merge").await;
            assert_eq!(merged.heading(), "They are one customer", "{}", merged.text());
            assert_eq!(is_signed_in(&app, &of_ben).await, stays, "{policy}");
            let undo = cleo.click(&merged, "Undo …").await;
            let token = token_of(&undo);
            cleo.submit(&undo, undo.url.path(), &[("reason", "again"), ("token", &token)]).await;
            assert!(!is_merged(&app, ben).await);
            let restored = open(&app, &cleo, &format!("/admin/customers/{ben}")).await;
            cleo.submit(&restored, "/admin/not-same/lift", &[]).await;
        }
        invariants::check(env).await;
    }

    /// The choice is part of the hash: what was not shown is not done.
    async fn another_choice_than_the_one_that_was_seen_is_stale(env: &Env) {
        let (app, ann, ben, of_ben) = start(env, 100).await;
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        let plan = open(&app, &cleo, &plan_path(ann, ben)).await;
        for act in ["merge", "propose"] {
            let fields = [("reason", "x"), ("act", act), ("sessions", "end")];
            let stale = cleo.submit(&plan, "/admin/merges", &fields).await;
            assert_eq!(stale.status.as_u16(), 409, "{}", stale.text());
            assert!(stale.body.contains("value=\"end\" checked"), "the page shows what it would be: {}", stale.text());
        }
        assert!(!is_merged(&app, ben).await && is_signed_in(&app, &of_ben).await);
    }

    async fn a_proposal_keeps_what_was_chosen_for_whoever_approves(env: &Env) {
        let (app, ann, ben, of_ben) = start(env, 0).await;
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        let plan = choose(&cleo, &open(&app, &cleo, &plan_path(ann, ben)).await, "end").await;
        let proposal = agree(&cleo, &plan, "propose").await;
        assert_eq!(proposal.heading(), "A proposed merge", "{}", proposal.text());
        let dora = admin(&app, DORA, AdminRole::Approver).await;
        let look = open(&app, &dora, proposal.url.path()).await;
        assert!(look.contains("As the absorbed customer: is signed out."), "{}", look.text());
        assert!(is_signed_in(&app, &of_ben).await, "nothing has moved yet");
        let merged = dora.submit(&look, &format!("{}/approve", look.url.path()), &[]).await;
        assert_eq!(merged.heading(), "They are one customer", "{}", merged.text());
        assert!(!is_signed_in(&app, &of_ben).await);
        invariants::check(env).await;
    }

    /// A login of the last ten minutes is asked for, and what was chosen waits with the button.
    async fn what_was_chosen_waits_for_a_fresh_login(env: &Env) {
        let (app, ann, ben, of_ben) = start(env, 100).await;
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        env.clock.advance(std::time::Duration::from_secs(11 * 60));
        let plan = choose(&cleo, &open(&app, &cleo, &plan_path(ann, ben)).await, "end").await;
        let login = agree(&cleo, &plan, "merge").await;
        let fields = [("email", CLEO), ("password", crate::harness::app::PASSWORD)];
        let merged = cleo.submit(&login, "/login/password", &fields).await;
        assert_eq!(merged.heading(), "They are one customer", "{}", merged.text());
        assert!(!is_signed_in(&app, &of_ben).await);
    }
}
