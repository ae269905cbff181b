//! A customer's page lists what waits for a decision about them (identity rules 13, 16, 30 and 36).

use std::time::Duration;

use samesake::clock::uuid_v7;
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::{Conflict, ConflictKind, MergeRequest, MergeRequestState};
use serde_json::json;

use super::merging::propose_pair;
use super::{ANN, BEN, CLEO, DORA, admin, agree, assert_sound, fill_in, hostile, open, plan_path};
use crate::admin::Office;
use crate::harness::{Env, TestApp, invariants};
use crate::on_both;

/// A gateway whose search for duplicates leaves the pairs alone that a test has made up.
async fn undisturbed(env: &Env, approval_from_risk: u32) -> TestApp {
    let app = TestApp::builder(env).configure(|config| {
        config.merge.approval_from_risk = approval_from_risk;
        config.duplicates.follow = false;
    });
    app.start().await
}

async fn ask_and_doubt(app: &TestApp, one: CustomerId, other: CustomerId) {
    let now = app.clock.now();
    let mut tx = app.store.background().begin().await.unwrap();
    let request = MergeRequest {
        id: uuid_v7(now),
        a: one.min(other),
        b: one.max(other),
        proofs: json!([]),
        opened_at: now,
        state: MergeRequestState::Open,
        closed_at: None,
        declined: false,
    };
    assert!(tx.merge_request_open(&request).await.unwrap());
    let conflict = Conflict {
        id: uuid_v7(now),
        kind: ConflictKind::ProofAged,
        customer: other,
        other: one,
        detail: json!({}),
        created_at: now,
        closed_at: None,
    };
    tx.conflict_open(&conflict).await.unwrap();
    tx.commit().await.unwrap();
}

on_both! {
    async fn a_customers_page_lists_what_waits_about_them(env: &Env) {
        let app = undisturbed(env, 0).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        let page = open(&app, &cleo, &format!("/admin/customers/{ann}")).await;
        assert!(!page.contains("Waits for a decision"), "{}", page.text());
        propose_pair(&app, ann, ben).await;
        ask_and_doubt(&app, ann, ben).await;
        let proposal = agree(&cleo, &open(&app, &cleo, &plan_path(ann, ben)).await, "propose").await;
        let viewer = admin(&app, "eve@example.com", AdminRole::Viewer).await;
        for (one, other, name) in [(ann, ben, "Ben"), (ben, ann, "Ann")] {
            let page = open(&app, &viewer, &format!("/admin/customers/{one}")).await;
            for words in [
                "Waits for a decision", "97.0 % one person, 2.0 % one household", "proved both to be theirs",
                "cleo proposed to merge the two", "they wrote to us", "had proved too long ago to keep",
            ] {
                assert!(page.contains(words), "{words}: {}", page.text());
            }
            assert!(page.body.contains(&format!("/admin/compare?a={one}&#38;b={other}")), "{}", page.body);
            assert_eq!(viewer.click(&page, &format!("Look at {name}")).await.url.path(), proposal.url.path());
            assert_eq!(viewer.click(&page, &format!("Compare at {name}")).await.heading(), "Are they one person?");
        }
        let of_cleo = open(&app, &cleo, &format!("/admin/customers/{ann}")).await;
        assert!(of_cleo.contains("you proposed to merge the two"), "{}", of_cleo.text());
        let withdrawn = cleo.submit(&proposal, &format!("{}/withdraw", proposal.url.path()), &[]).await;
        assert_eq!(withdrawn.status.as_u16(), 200);
        let after = open(&app, &cleo, &format!("/admin/customers/{ann}")).await;
        assert!(!after.contains("proposed to merge the two") && after.contains("97.0 %"), "{}", after.text());
    }

    /// Rule 30: at the desk and by the API, from the moment on in which its time is over.
    async fn a_lapsed_proposal_is_listed_nowhere_and_says_so(env: &Env) {
        let app = TestApp::builder(env).configure(|config| {
            config.merge.approval_from_risk = 0;
            config.merge.proposal_lifetime = Duration::from_secs(60);
            config.duplicates.follow = false;
        });
        let office = Office::of(app.start().await).await;
        let app = &office.app;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let cleo = admin(app, CLEO, AdminRole::Merger).await;
        let proposal = agree(&cleo, &open(app, &cleo, &plan_path(ann, ben)).await, "propose").await;
        let dora = admin(app, DORA, AdminRole::Approver).await;
        let page = open(app, &dora, proposal.url.path()).await;
        let token = office.robot(AdminRole::Viewer).await;
        let id = proposal.url.path().rsplit('/').next().unwrap().to_owned();
        let state = async || office.get(&token, &format!("/proposals/{id}")).await.body["state"].clone();
        let listed = async || office.get(&token, "/proposals").await.body["items"].as_array().unwrap().len();
        assert_eq!((state().await, listed().await), (json!("open"), 1));
        env.clock.advance(Duration::from_secs(60));
        assert_eq!((state().await, listed().await), (json!("lapsed"), 0));
        assert!(open(app, &cleo, "/admin/proposals").await.contains("None waits."));
        assert!(!open(app, &cleo, "/admin").await.contains("waits for approval"));
        for customer in [ann, ben] {
            assert!(!open(app, &cleo, &format!("/admin/customers/{customer}")).await.contains("proposed to merge the two"));
        }
        let late = open(app, &dora, proposal.url.path()).await;
        assert!(late.contains("This proposal has lapsed") && late.contains("Lapsed 20"), "{}", late.text());
        assert!(!late.body.contains("/approve") && !late.body.contains("/withdraw"), "{}", late.text());
        let refused = dora.submit(&page, &format!("{}/approve", page.url.path()), &[]).await;
        assert_eq!(refused.status.as_u16(), 409, "{}", refused.text());
        assert_eq!((state().await, listed().await), (json!("lapsed"), 0), "closed, and still said so");
        for customer in [ann, ben] {
            let page = open(app, &cleo, &format!("/admin/customers/{customer}")).await;
            assert!(page.contains("A proposal was closed") && page.contains("State lapsed"), "{}", page.text());
        }
        invariants::check(env).await;
    }

    /// Identity rule 20: what waited about somebody who was merged waits about whom they are today.
    async fn what_waits_follows_a_merge_and_says_the_other_ones_name_as_a_text(env: &Env) {
        let app = undisturbed(env, 100).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let eve = app.customer("eve@example.com", "Eve").await;
        fill_in(&app, eve, &[("name", hostile())]).await;
        propose_pair(&app, ben, eve).await;
        propose_pair(&app, ann, ben).await;
        ask_and_doubt(&app, ben, eve).await;
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        agree(&cleo, &open(&app, &cleo, &plan_path(ann, ben)).await, "merge").await;
        let page = open(&app, &cleo, &format!("/admin/customers/{ann}")).await;
        assert_sound(&page);
        assert_eq!(page.body.matches("one person, ").count(), 1, "the pair that was merged waits no more: {}", page.text());
        assert!(page.contains("proved both to be theirs") && page.body.contains(&format!("b={eve}")), "{}", page.text());
        assert!(page.body.contains("&#60;script&#62;") && !page.body.contains("<img src=x"));
        let of_eve = open(&app, &cleo, &format!("/admin/customers/{eve}")).await;
        assert!(of_eve.contains("97.0 %"), "{}", of_eve.text());
        invariants::check(env).await;
    }
}
