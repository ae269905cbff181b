//! What was done is said on the page that follows: once, in our words only, to whoever did it (experience rules 5 and 12).

use samesake::protocol::admin_role::AdminRole;

use super::keys::Keys;
use super::merging::{propose_pair, token_of};
use super::{ANN, BEN, CLEO, DORA, admin, agree, assert_sound, give, open, plan_path};
use crate::harness::{Browser, Env, Page, Screen, TestApp, WebDriver, invariants};
use crate::{on_both, on_servers};

const NOTE: &str = "<p class=\"notice good done\" role=\"status\"";

/// The page says this, first of all, and at the beginning of its title.
fn assert_says(page: &Page, words: &str) {
    assert_sound(page);
    let (note, heading) = (page.body.find(NOTE), page.body.find("<h1"));
    assert!(note.is_some() && note < heading, "{words}: {}", page.text());
    assert!(page.contains(words) && page.body.contains(&format!("<title>{words}")), "{words}: {}", page.text());
}

fn says_nothing(page: &Page) -> bool {
    !page.body.contains(NOTE) && !page.body.contains("<title>Done")
}

async fn deed(app: &TestApp, browser: &Browser, path: &str, fields: &[(&str, &str)]) -> Page {
    let page = open(app, browser, path).await;
    browser.submit(&page, path, fields).await
}

on_both! {
    async fn each_deed_says_on_the_next_page_what_was_done(env: &Env) {
        let app = TestApp::builder(env).configure(|config| {
            config.merge.approval_from_risk = 0;
            config.duplicates.follow = false;
        });
        let app = app.start().await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let at = |word: &str| format!("/admin/customers/{ann}/{word}");
        let why = ("reason", "case 17");
        for (path, fields, words) in [
            (at("hold"), vec![why], "Done: the customer is under a legal hold."),
            (at("release"), vec![why], "Done: the legal hold is lifted."),
            (at("brand"), vec![why, ("brand", "north")], "Done: the brand is changed."),
        ] {
            let done = deed(&app, &browser, &path, &fields).await;
            assert_says(&done, words);
            assert!(says_nothing(&browser.get(&done.url).await), "read again, the page has nothing to say");
        }
        let page = open(&app, &browser, &at("hold")).await;
        assert_says(&browser.submit(&page, &at("hold"), &[why]).await, "Done: the customer is under a legal hold.");
        assert_says(&browser.submit(&page, &at("hold"), &[why]).await, "That was done before: nothing more has happened.");
        deed(&app, &browser, &at("release"), &[why]).await;

        let proposed = agree(&browser, &open(&app, &browser, &plan_path(ann, ben)).await, "propose").await;
        assert_says(&proposed, "Done: the merge is proposed. Nothing moves before somebody else approves it.");
        let withdrawn = browser.submit(&proposed, &format!("{}/withdraw", proposed.url.path()), &[]).await;
        assert_says(&withdrawn, "Done: the proposal is withdrawn.");
        let proposed = agree(&browser, &open(&app, &browser, &plan_path(ann, ben)).await, "propose").await;
        let dora = admin(&app, DORA, AdminRole::Approver).await;
        let page = open(&app, &dora, proposed.url.path()).await;
        let merged = dora.submit(&page, &format!("{}/approve", page.url.path()), &[]).await;
        assert_says(&merged, "Done: the two are one customer now.");
        let undo = browser.click(&open(&app, &browser, merged.url.path()).await, "Undo …").await;
        let token = token_of(&undo);
        let undone = browser.submit(&undo, undo.url.path(), &[why, ("token", &token)]).await;
        assert_says(&undone, "Done: they are two customers again, and marked as not the same person.");
        let customer = open(&app, &browser, &format!("/admin/customers/{ann}")).await;
        let lifted = browser.submit(&customer, "/admin/not-same/lift", &[]).await;
        assert_says(&lifted, "Done: the mark is gone, and they may be proposed and merged again.");

        propose_pair(&app, ann, ben).await;
        let compare = open(&app, &browser, &format!("/admin/compare?a={ann}&b={ben}")).await;
        let marked = browser.submit(&compare, "/admin/not-same", &[why]).await;
        assert_says(&marked, "Done: they are marked as two people.");
        let role = open(&app, &browser, &format!("/admin/roles/{ben}")).await;
        let given = browser.submit(&role, role.url.path(), &[why, ("role", "viewer")]).await;
        assert_says(&given, "Done: the role counts from now on.");
        app.log_in(&Browser::new(), app.url("/account"), BEN).await;
        let signed_out = deed(&app, &browser, &format!("/admin/customers/{ben}/sign-out"), &[why]).await;
        assert_says(&signed_out, "Done: the customer is signed out everywhere.");
        invariants::check(env).await;
    }

    /// The address names a note of ours at random: of another session, of nobody, or made up, it says nothing.
    async fn nobody_else_puts_words_on_a_page_of_the_desk(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let (cleo, dora) = (admin(&app, CLEO, AdminRole::Owner).await, admin(&app, DORA, AdminRole::Owner).await);
        let path = format!("/admin/customers/{ann}/hold");
        let page = open(&app, &cleo, &path).await;
        let sent = cleo.submit_one(&page, &path, &[("reason", "x")]).await;
        let location = sent.header("location").unwrap().to_owned();
        assert!(location.starts_with(&format!("/admin/customers/{ann}?done=")), "{location}");
        for word in ["held", "Held", "merged", "<b>evil</b>", "", &"x".repeat(65)] {
            let query: String = url::form_urlencoded::byte_serialize(word.as_bytes()).collect();
            let page = open(&app, &cleo, &format!("/admin?done={query}")).await;
            assert!(says_nothing(&page) && !page.body.contains("evil"), "{word}: {}", page.text());
        }
        assert!(says_nothing(&open(&app, &dora, &location).await), "another admin’s");
        assert!(says_nothing(&open(&app, &cleo, &location).await), "and once it was shown to anybody it is gone");
    }
}

on_servers! {
    /// A screen reader begins with it, and Tab goes on from there.
    async fn what_was_done_has_the_focus(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann Lee").await;
        give(&app, app.customer(CLEO, "cleo").await, AdminRole::Owner).await;
        let keys = Keys { app: &app, browser: WebDriver::start(env.directory(), Screen::Phone).await, screen: "phone" };
        keys.sign_in(CLEO).await;
        keys.open(&format!("/admin/customers/{ann}/hold")).await;
        keys.access('r').await;
        keys.press("Lawsuit 17, asked for by the lawyers.").await;
        keys.leave_by_access('m').await;
        keys.at("held", "Ann Lee").await;
        let focused = "return document.activeElement.matches('main > .done[role=status]') \
                       && document.title.startsWith(document.activeElement.textContent)";
        assert!(keys.is_true(focused, vec![]).await, "{}", keys.browser.text().await);
        keys.tab_to("main a[href^='/admin/search?with=']").await;
        keys.browser.close().await;
    }
}
