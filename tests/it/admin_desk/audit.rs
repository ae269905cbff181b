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
        let plain = open(&app, &browser, "/admin/audit").await;
        assert!(!plain.contains("Looked at by") && plain.contains("Absorbed another customer by"), "{}", plain.text());
        let first = browser.submit(&plain, "/admin/audit", &[("looks", "1")]).await;
        assert_eq!(entries(&first), 50, "{}", first.text());
        assert!(first.body.contains("name=\"looks\" value=\"1\" checked"));
        assert!(first.contains("Looked at by cleo") && first.contains("Absorbed another customer by"), "{}", first.text());
        let second = browser.click(&first, "Earlier").await;
        assert!(entries(&second) > 0 && second.contains("Became a customer by"), "{}", second.text());
        assert!(!second.contains("Absorbed another customer by"), "a page goes on behind the one before");

        let form = open(&app, &browser, "/admin/audit").await;
        for customer in [ann.to_string(), ben.to_string(), ANN.to_owned(), BEN.to_owned()] {
            let page = browser.submit(&form, "/admin/audit", &[("customer", &customer)]).await;
            assert!(page.contains("About Ann") && page.contains("Was absorbed by another customer by"), "{customer}: {}", page.text());
            assert!(!page.contains("Was given a role by"), "{customer}: nobody else’s: {}", page.text());
        }
        // By whom, however an admin is named, and of what kind.
        let cleo = samesake::board::admin::find(&mut app.store.background().begin_read().await.unwrap(), CLEO).await.unwrap().unwrap();
        for by in [cleo.to_string(), CLEO.to_owned(), format!("admin:{cleo}")] {
            let page = browser.submit(&form, "/admin/audit", &[("actor", &by)]).await;
            assert!(page.contains("Absorbed another customer by cleo") && !page.contains("Became a customer by"), "{by}: {}", page.text());
        }
        let page = browser.submit(&form, "/admin/audit", &[("actor", "the customer"), ("action", "customer.created")]).await;
        assert!(entries(&page) > 20 && !page.contains("Identifier added by the customer"), "{}", page.text());
        assert!(page.body.contains("value=\"customer.created\" selected"), "the form keeps what was asked");
        let page = browser.submit(&form, "/admin/audit", &[("actor", "somebody else")]).await;
        assert!(page.contains("Nothing is on record here."), "{}", page.text());
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
            ("actor", "nobody@example.com", "Nobody who could have done"),
            ("action", "no.such", "There is no such kind"),
            ("since", "yesterday", "A day is written"),
            ("until", "2026-13-40", "A day is written"),
        ] {
            let page = browser.submit(&form, "/admin/audit", &[(name, text)]).await;
            assert!(page.contains(words) && entries(&page) == 0, "{text}: {}", page.text());
        }
        let anew = open(&app, &browser, "/admin/audit?cursor=x").await;
        assert!(entries(&anew) > 0);
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
