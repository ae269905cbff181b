//! The audit log at the desk: read page by page, of everybody or of one customer, and its chains checked (identity rule 45).

use samesake::protocol::admin_role::AdminRole;

use super::{ANN, BEN, CLEO, admin, agree, assert_sound, fill_in, hostile, open, plan_path};
use crate::harness::{Env, Page, TestApp, invariants};
use crate::on_both;
use crate::store::samples::execute;

fn entries(page: &Page) -> usize {
    page.body.matches("<dt>Entry</dt>").count()
}

on_both! {
    async fn the_audit_log_is_read_page_by_page_of_everybody_or_of_one(env: &Env) {
        let app = TestApp::builder(env).configure(|config| config.merge.approval_from_risk = 100).start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        for number in 0..20 {
            app.customer(&format!("zoe{number}@example.com"), "Zoe").await;
        }
        let browser = admin(&app, CLEO, AdminRole::Merger).await;
        agree(&browser, &open(&app, &browser, &plan_path(ann, ben)).await, "merge").await;
        let first = open(&app, &browser, "/admin/audit").await;
        assert_eq!(entries(&first), 50, "{}", first.text());
        assert!(first.contains("Looked at by cleo") && first.contains("Absorbed another customer"), "{}", first.text());
        let second = browser.click(&first, "Earlier").await;
        assert!(entries(&second) > 0 && second.contains("Became a customer"), "{}", second.text());
        assert!(!second.contains("Absorbed another customer"), "a page goes on behind the one before");

        let form = open(&app, &browser, "/admin/audit").await;
        for customer in [ann.to_string(), ben.to_string(), ANN.to_owned(), BEN.to_owned()] {
            let page = browser.submit(&form, "/admin/audit", &[("customer", &customer)]).await;
            assert!(page.contains("About Ann") && page.contains("Was absorbed by another"), "{customer}: {}", page.text());
            assert!(!page.contains("Was given a role"), "{customer}: nobody else’s: {}", page.text());
        }
        let today = app.clock.now().to_string()[..10].to_owned();
        let found = async |since: &str, until: &str| {
            let fields = [("customer", ANN), ("since", since), ("until", until)];
            browser.submit(&form, "/admin/audit", &fields).await
        };
        assert!(entries(&found(&today, &today).await) > 3);
        for (since, until) in [("2999-01-01", ""), ("", "1999-01-01")] {
            let page = found(since, until).await;
            assert!(page.contains("Nothing is on record here."), "{}", page.text());
        }
        for (name, text, words) in [
            ("customer", "nobody@example.com", "Nobody is known"),
            ("customer", "a\u{0}b", "Nobody is known"),
            ("since", "yesterday", "A day is written"),
            ("until", "2026-13-40", "A day is written"),
        ] {
            let page = browser.submit(&form, "/admin/audit", &[(name, text)]).await;
            assert!(page.contains(words) && entries(&page) == 0, "{text}: {}", page.text());
        }
        let anew = open(&app, &browser, "/admin/audit?cursor=x").await;
        assert_eq!(entries(&anew), 50);
        let of_ann = open(&app, &browser, &format!("/admin/customers/{ben}")).await;
        assert!(browser.click(&of_ann, "The audit log of this customer").await.contains("About Ann"));
    }

    /// The answer is that of `samesake audit verify`.
    async fn the_chains_are_checked_while_one_waits(env: &Env) {
        let app = TestApp::start(env).await;
        app.customer(ANN, "Ann").await;
        let browser = admin(&app, CLEO, AdminRole::Support).await;
        let log = open(&app, &browser, "/admin/audit").await;
        let whole = browser.click(&log, "Check the chains").await;
        assert_sound(&whole);
        assert!(whole.contains("All 16 chains are whole"), "{}", whole.text());
        invariants::check(env).await;
        execute(env, "UPDATE audit SET actor = 'nobody' WHERE action = 'admin.granted'").await;
        let broken = open(&app, &browser, "/admin/audit/chains").await;
        assert!(broken.contains("1 of 16 chains are broken") && broken.contains("broken at entry"), "{}", broken.text());
    }

    async fn hostile_texts_on_record_are_shown_as_texts(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        fill_in(&app, ann, &[("name", hostile())]).await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let path = format!("/admin/customers/{ann}/hold");
        let page = open(&app, &browser, &path).await;
        browser.submit(&page, &path, &[("reason", "<script>x</script>\u{202e}evil")]).await;
        for path in ["/admin/audit".to_owned(), format!("/admin/audit?customer={ann}"), "/admin/audit?customer=<script>".to_owned()] {
            let page = open(&app, &browser, &path).await;
            assert!(page.body.contains("&#60;script&#62;"), "{path}: {}", page.text());
        }
    }
}
