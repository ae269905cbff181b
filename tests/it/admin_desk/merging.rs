//! Merging at the desk: compared, planned, made or proposed and approved, and undone (identity rules 28 to 32, 35).

use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::{Candidate, CandidateState};
use serde_json::json;

use super::{ANN, BEN, CLEO, DORA, admin, agree, assert_sound, fill_in, give, hostile, is_merged, open, plan_path};
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::{on_both, on_servers};

/// A gateway in which a merge of this risk or more needs approval, with Ann and Ben, whom the shop knows.
async fn start(env: &Env, approval_from_risk: u32) -> (TestApp, CustomerId, CustomerId) {
    let app = TestApp::builder(env).web_client("shop");
    let app = app.configure(|config| {
        config.merge.approval_from_risk = approval_from_risk;
        // It leaves the pairs alone that are made up here.
        config.duplicates.follow = false;
    });
    let app = app.start().await;
    let (ann, ben) = (app.customer(ANN, "Ann Lee").await, app.customer(BEN, "Anne Lee").await);
    fill_in(&app, ann, &[("birthdate", json!("1980-02-03")), ("locale", json!("en"))]).await;
    fill_in(&app, ben, &[("birthdate", json!("1980-02-03")), ("locale", json!("de"))]).await;
    let shop = app.relying_party("shop").await;
    for email in [ANN, BEN] {
        let authorization = shop.authorization();
        let callback = app.log_in(&Browser::new(), &authorization.url, email).await;
        shop.finish(&authorization, &callback).await;
    }
    (app, ann, ben)
}

/// A search has found the two.
pub async fn propose_pair(app: &TestApp, one: CustomerId, other: CustomerId) {
    let step = |field: &str, level: &str, bits: f64| json!({ "field": field, "level": level, "bits": bits, "household_bits": 1.0 });
    let waterfall = json!({
        "model": "m1", "prior_bits": -12.5, "household_prior_bits": -11.0, "same": 0.97, "household": 0.02, "unrelated": 0.01,
        "steps": [step("given", "near", 6.5), step("birth", "exact", 14.0), step("email", "different", -2.0)],
    });
    let now = app.clock.now();
    let mut tx = app.store.background().begin().await.unwrap();
    let candidate = Candidate {
        a: one.min(other),
        b: one.max(other),
        same: 0.97,
        household: 0.02,
        reasons: json!({ "waterfall": waterfall, "rules": ["proved_phone"] }),
        model: "m1".to_owned(),
        band: "queue".to_owned(),
        cluster: None,
        needs_review: false,
        state: CandidateState::Open,
        created_at: now,
        updated_at: now,
    };
    assert!(tx.candidate_upsert(&candidate).await.unwrap());
    tx.commit().await.unwrap();
}

on_both! {
    /// Identity rule 36: a proposal explains itself.
    async fn the_queue_leads_to_a_comparison_that_says_why(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        propose_pair(&app, ann, ben).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let queue = open(&app, &browser, "/admin").await;
        assert!(queue.contains("97.0 % one person, 2.0 % one household"), "{}", queue.text());
        let compare = browser.click(&queue, "Compare").await;
        assert_sound(&compare);
        let text = compare.text();
        for words in [
            "Name differs", "Born the same", "Language differs", "Ann Lee", "Anne Lee", "1980-02-03", "the customer",
            "One person 97.0 %", "One household 2.0 %", "Strangers 1.0 %", "Both have proved the same phone number lately.",
            "Before looking", "−12.5", "Given name nearly the same +6.5", "E-mail different −2.0", "All together the sum +6.0",
            "The shop",
        ] {
            assert!(text.contains(words), "{words:?} in {text}");
        }
        let differs = compare.body.find("class=\"differs\"").unwrap();
        assert!(differs < compare.body.find("class=\"same\"").unwrap(), "differences come first");
    }

    /// Identity rule 28: executed as previewed; experience rule 12: says in numbers what will happen, and can be undone.
    async fn a_merge_is_made_as_previewed_and_undone_as_previewed(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        propose_pair(&app, ann, ben).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let compare = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
        let plan = browser.click(&compare, "Keep Ann Lee").await;
        assert_sound(&plan);
        for words in ["Customers absorbed 1", "Apps that know both 1 of 1", "Signed in as the absorbed 1", "Values that differ", "Nothing has moved yet"] {
            assert!(plan.contains(words), "{words}: {}", plan.text());
        }
        let ben_choice = format!("{ben}");
        let plan = browser.submit(&plan, "/admin/merges/new", &[("choice.locale", &ben_choice)]).await;
        let merged = agree(&browser, &plan, "merge").await;
        assert_eq!(merged.heading(), "They are one customer", "{}", merged.text());
        assert!(merged.contains("cleo") && merged.contains("they wrote to us"), "{}", merged.text());
        let whole = open(&app, &browser, &format!("/admin/customers/{ben}")).await;
        assert!(whole.contains("was merged into this one") && whole.contains("Language de"), "{}", whole.text());
        assert!(whole.body.matches("<circle ").count() == 2, "the picture shows of whom the customer is made");

        let undo = browser.click(&merged, "Undo …").await;
        assert_sound(&undo);
        for words in ["Customers restored 1", "Identifiers that go back 1", "Apps that see another 1"] {
            assert!(undo.contains(words), "{words}: {}", undo.text());
        }
        let form = undo.url.path().to_owned();
        let undone = browser.submit(&undo, &form, &[("reason", "two people after all"), ("token", &token_of(&undo))]).await;
        assert_eq!(undone.heading(), "A merge that was undone", "{}", undone.text());
        assert!(!is_merged(&app, ben).await);
        let restored = open(&app, &browser, &format!("/admin/customers/{ben}")).await;
        assert!(restored.contains("Not the same person as A Ann Lee"), "{}", restored.text());
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        assert!(plan.contains("not to be the same person") && !plan.body.contains("value=\"merge\""), "{}", plan.text());
        let lifted = browser.submit(&restored, "/admin/not-same/lift", &[]).await;
        assert!(!lifted.contains("Not the same person as"), "{}", lifted.text());
        invariants::check(env).await;
    }

    /// Identity rule 28: something has changed in between.
    async fn a_stale_page_does_nothing_and_shows_what_it_would_be(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        fill_in(&app, ben, &[("name", json!("Somebody Else"))]).await;
        for act in ["merge", "propose"] {
            let stale = agree(&browser, &plan, act).await;
            assert_eq!(stale.status.as_u16(), 409);
            assert!(stale.contains("something changed since you looked") && stale.contains("Somebody Else"), "{}", stale.text());
            assert!(stale.contains("they wrote to us"), "the reason is kept");
            assert!(!is_merged(&app, ben).await);
        }
        let stale = agree(&browser, &plan, "merge").await;
        let merged = agree(&browser, &stale, "merge").await;
        assert_eq!(merged.heading(), "They are one customer");
        invariants::check(env).await;
    }

    async fn without_a_reason_nothing_is_done(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        for reason in ["", " \n ", &"x".repeat(501), "a\u{0}b"] {
            let page = browser.submit(&plan, "/admin/merges", &[("reason", reason), ("act", "merge")]).await;
            assert_eq!(page.status.as_u16(), 422, "{reason:?}");
        }
        assert!(!is_merged(&app, ben).await);
    }

    /// Identity rule 30: the second person is another one.
    async fn a_risky_merge_is_proposed_and_approved_by_somebody_else(env: &Env) {
        let (app, ann, ben) = start(env, 0).await;
        let cleo = admin(&app, CLEO, AdminRole::Approver).await;
        let plan = open(&app, &cleo, &plan_path(ann, ben)).await;
        assert!(!plan.body.contains("value=\"merge\""), "it is not offered to be done at once");
        let proposal = agree(&cleo, &plan, "propose").await;
        assert_eq!(proposal.heading(), "A proposed merge", "{}", proposal.text());
        assert!(proposal.contains("somebody else must approve it"));
        let again = agree(&cleo, &plan, "propose").await;
        assert_eq!(again.url.path(), proposal.url.path(), "the same form twice is one proposal");
        let approve = format!("{}/approve", proposal.url.path());
        let token = token_of(&proposal);
        let origin = app.issuer.origin().ascii_serialization();
        let own = cleo.post_from(&origin, &app.url(&approve), &[("token", &token)]).await;
        assert_eq!(own.status.as_u16(), 409);
        assert!(own.contains("Nobody approves what they proposed") && !is_merged(&app, ben).await);

        let dora = admin(&app, DORA, AdminRole::Approver).await;
        let list = open(&app, &dora, "/admin/proposals").await;
        assert!(list.contains("they wrote to us") && list.contains("by cleo"), "{}", list.text());
        let look = dora.click(&list, "Look").await;
        assert_sound(&look);
        let merged = dora.submit(&look, &approve, &[]).await;
        assert_eq!(merged.heading(), "They are one customer", "{}", merged.text());
        let twice = dora.submit(&look, &approve, &[]).await;
        assert_eq!(twice.url.path(), merged.url.path(), "a second click leads to what the first one made");
        let closed = open(&app, &cleo, proposal.url.path()).await;
        assert!(closed.contains("This proposal was approved, and the merge is made."), "{}", closed.text());
        assert!(open(&app, &cleo, "/admin/proposals").await.contains("None waits."));
        invariants::check(env).await;
    }

    async fn a_proposal_is_withdrawn_or_void(env: &Env) {
        let (app, ann, ben) = start(env, 0).await;
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        let dora = admin(&app, DORA, AdminRole::Approver).await;
        let proposal = agree(&cleo, &open(&app, &cleo, &plan_path(ann, ben)).await, "propose").await;
        let look = open(&app, &dora, proposal.url.path()).await;
        let withdrawn = cleo.submit(&proposal, &format!("{}/withdraw", proposal.url.path()), &[]).await;
        assert!(withdrawn.contains("Done: the proposal is withdrawn."), "{}", withdrawn.text());
        let again = open(&app, &dora, proposal.url.path()).await;
        assert!(again.contains("This proposal was withdrawn."), "{}", again.text());
        let late = dora.submit(&look, &format!("{}/approve", look.url.path()), &[]).await;
        assert_eq!((late.status.as_u16(), late.heading().as_str()), (409, "This proposal is closed"));

        let proposal = agree(&cleo, &open(&app, &cleo, &plan_path(ann, ben)).await, "propose").await;
        let look = open(&app, &dora, proposal.url.path()).await;
        fill_in(&app, ben, &[("name", json!("Somebody Else"))]).await;
        let void = dora.submit(&look, &format!("{}/approve", look.url.path()), &[]).await;
        assert_eq!((void.status.as_u16(), void.heading().as_str()), (409, "This proposal is void"), "{}", void.text());
        assert!(!is_merged(&app, ben).await);
        invariants::check(env).await;
    }

    /// Identity rule 35.
    async fn two_people_are_marked_and_leave_the_queue(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        propose_pair(&app, ann, ben).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let compare = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
        let marked = browser.submit(&compare, "/admin/not-same", &[("reason", "father and son")]).await;
        assert!(marked.contains("Not the same person as"), "{}", marked.text());
        assert!(open(&app, &browser, "/admin").await.contains("Nothing waits."));
        let compare = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
        assert!(compare.contains("Somebody has said that they are two people."));
        invariants::check(env).await;
    }

    /// Identity rule 30: nobody is merged with an admin, and no admin with themselves.
    async fn who_cannot_be_merged_is_said_in_words(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        let cleo = admin(&app, CLEO, AdminRole::Merger).await;
        give(&app, ann, AdminRole::Owner).await;
        let plan = open(&app, &cleo, &plan_path(ann, ben)).await;
        assert!(plan.contains("nobody comes into rights by a merge"), "{}", plan.text());
        assert!(!plan.body.contains("name=\"act\""));
        let same = cleo.get(app.url(&plan_path(ben, ben))).await;
        assert_eq!(same.status.as_u16(), 409, "{}", same.text());
        let nobody = "019a0000-0000-7000-8000-000000000000".parse().unwrap();
        assert_eq!(cleo.get(app.url(&plan_path(ben, nobody))).await.status.as_u16(), 404);
        let one = cleo.get(app.url(&format!("/admin/compare?a={ben}&b={ben}"))).await;
        assert_eq!(one.status.as_u16(), 409);
    }

    async fn three_stand_side_by_side(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        let eve = app.customer("eve@example.com", "Eve Lee").await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let page = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}&c={eve}")).await;
        assert!(page.contains("Eve Lee") && page.contains("Anne Lee"));
        let (ben, eve) = (ben.to_string(), eve.to_string());
        let plan = browser.submit(&page, "/admin/merges/new", &[("survivor", &ben), ("absorbed", &eve)]).await;
        assert_eq!(plan.heading(), "What a merge would do");
        assert!(plan.contains("Eve Lee") && !plan.contains("Ann Lee"), "{}", plan.text());
    }

    async fn hostile_names_go_through_the_whole_way_as_texts(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        fill_in(&app, ann, &[("name", hostile()), ("locale", hostile())]).await;
        fill_in(&app, ben, &[("name", json!("\u{202e}evil\u{202c} متجر")), ("<b>x</b>", hostile())]).await;
        propose_pair(&app, ann, ben).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let queue = open(&app, &browser, "/admin").await;
        let compare = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        let merged = agree(&browser, &plan, "merge").await;
        let undo = browser.click(&merged, "Undo …").await;
        for page in [queue, compare, plan, merged, undo] {
            assert_sound(&page);
            assert!(page.body.contains("&#60;script&#62;") && !page.body.contains("<b>x"), "{}", page.url);
        }
    }
}

on_servers! {
    /// Identity rule 29: a double click is one merge, at whichever replica it arrives.
    async fn of_many_clicks_on_one_button_one_merges(env: &Env) {
        let (app, ann, ben) = start(env, 100).await;
        let replica = app.replica(env).await;
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        let plan = open(&app, &browser, &plan_path(ann, ben)).await;
        let elsewhere = browser.clone().via(&app.issuer, &replica.address);
        let clicks = (0..10).map(|number| {
            let at = if number % 2 == 0 { &browser } else { &elsewhere };
            agree(at, &plan, "merge")
        });
        let pages = futures::future::join_all(clicks).await;
        for page in &pages {
            let at = (page.heading(), page.url.path());
            assert_eq!(at, ("They are one customer".to_owned(), pages[0].url.path()), "{}", page.text());
        }
        invariants::check(env).await;
    }
}

pub fn token_of(page: &crate::harness::Page) -> String {
    let at = page.body.split("name=\"token\" value=\"").nth(1).unwrap();
    at.split('"').next().unwrap().to_owned()
}
