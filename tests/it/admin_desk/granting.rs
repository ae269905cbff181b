//! Owners give and take roles at the desk, and an owner stays (experience rule 10).

use std::time::Duration;

use samesake::board::admin::find;
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;

use super::merging::token_of;
use super::{ANN, BEN, CLEO, DORA, actions_of, admin, assert_sound, fill_in, give, hostile, open};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, Page, TestApp, invariants};
use crate::{on_both, on_servers};

async fn id(app: &TestApp, email: &str) -> CustomerId {
    let mut tx = app.store.background().begin_read().await.unwrap();
    find(&mut tx, email).await.unwrap().unwrap()
}

async fn role(app: &TestApp, customer: CustomerId) -> Option<AdminRole> {
    let mut tx = app.store.background().begin_read().await.unwrap();
    tx.admin_find(customer).await.unwrap().map(|row| row.role)
}

async fn choose(browser: &Browser, page: &Page, role: &str, reason: &str) -> Page {
    browser.submit(page, page.url.path(), &[("role", role), ("reason", reason), ("token", &token_of(page))]).await
}

on_both! {
    async fn an_owner_gives_and_takes_a_role(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let list = open(&app, &browser, "/admin/roles").await;
        assert!(list.contains("cleo you") && !list.contains("Change …"), "one’s own is not offered: {}", list.text());
        let nobody = browser.submit(&list, "/admin/roles", &[("who", "nobody@example.com")]).await;
        assert!(nobody.contains("Nobody is known by this"), "{}", nobody.text());
        let page = browser.submit(&list, "/admin/roles", &[("who", ANN)]).await;
        assert_eq!(page.url.path(), format!("/admin/roles/{ann}"));
        assert_sound(&page);
        assert!(page.contains("Role now none") && !page.body.contains("name=\"role\" value=\"none\""), "{}", page.text());
        assert_eq!(choose(&browser, &page, "support", " ").await.status.as_u16(), 422, "for a reason");
        assert_eq!(role(&app, ann).await, None);
        let of_ann = Browser::new();
        let refused = app.log_in(&of_ann, app.url("/admin"), ANN).await;
        assert_eq!(refused.status.as_u16(), 403);
        let given = choose(&browser, &page, "support", "joined the team").await;
        assert_eq!(given.url.path(), "/admin/roles", "{}", given.text());
        assert!(given.contains("Ann") && given.contains("by cleo"), "{}", given.text());
        assert_eq!(of_ann.get(app.url("/admin")).await.status.as_u16(), 200, "it counts at once");
        choose(&browser, &page, "support", "joined the team").await;
        let granted = actions_of(&app, ann).await.into_iter().filter(|done| done == "admin.granted").count();
        assert_eq!(granted, 1, "a second click changes nothing");

        let page = browser.click(&given, "Change …").await;
        let taken = choose(&browser, &page, "none", "left the team").await;
        assert!(!taken.contains("ann@example.com"), "{}", taken.text());
        assert_eq!(of_ann.get(app.url("/admin")).await.status.as_u16(), 403, "it counts at once");
        let twice = choose(&browser, &page, "none", "left the team").await;
        assert_eq!((twice.status.as_u16(), role(&app, ann).await), (200, None));
        let log = open(&app, &browser, &format!("/admin/audit?customer={ann}")).await;
        for words in ["Was given a role by", "Lost a role by", "joined the team", "left the team"] {
            assert!(log.contains(words), "{words}: {}", log.text());
        }
        invariants::check(env).await;
    }

    /// So an owner stays, whatever is pressed.
    async fn nobody_changes_their_own_role_at_the_desk(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let cleo = id(&app, CLEO).await;
        let own = open(&app, &browser, &format!("/admin/roles/{cleo}")).await;
        assert!(own.contains("This is you") && !own.body.contains("name=\"role\""), "{}", own.text());
        let page = open(&app, &browser, &format!("/admin/roles/{ann}")).await;
        let token = token_of(&page);
        let origin = app.issuer.origin().ascii_serialization();
        for wanted in ["none", "viewer"] {
            let fields = [("token", token.as_str()), ("role", wanted), ("seen", "x"), ("reason", "x")];
            let forced = browser.post_from(&origin, &app.url(&format!("/admin/roles/{cleo}")), &fields).await;
            assert_eq!(forced.status.as_u16(), 409, "{}", forced.text());
        }
        for (wanted, seen) in [("king", "none"), ("", "none"), ("viewer", "")] {
            let fields = [("token", token.as_str()), ("role", wanted), ("seen", seen), ("reason", "x")];
            let wrong = browser.post_from(&origin, &app.url(&format!("/admin/roles/{ann}")), &fields).await;
            assert!([404, 409].contains(&wrong.status.as_u16()), "{wanted}: {}", wrong.text());
        }
        assert_eq!((role(&app, cleo).await, role(&app, ann).await), (Some(AdminRole::Owner), None));
    }

    async fn a_role_that_was_changed_since_is_shown_again(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let page = open(&app, &browser, &format!("/admin/roles/{ann}")).await;
        give(&app, ann, AdminRole::Approver).await;
        let stale = choose(&browser, &page, "viewer", "new here").await;
        assert_eq!(stale.status.as_u16(), 409);
        assert!(stale.contains("changed since you looked") && stale.contains("Role now approver") && stale.contains("new here"));
        assert_eq!(role(&app, ann).await, Some(AdminRole::Approver));
        choose(&browser, &stale, "viewer", "new here").await;
        assert_eq!(role(&app, ann).await, Some(AdminRole::Viewer));
    }

    /// Whoever cannot sign in can have no role; they keep one only to lose it.
    async fn somebody_who_is_gone_gets_no_role_and_can_lose_one(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        give(&app, ben, AdminRole::Viewer).await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        let form = open(&app, &browser, &format!("/admin/roles/{ann}")).await;
        for customer in [ann, ben] {
            let by = (samesake::events::Actor::System, "asked");
            samesake::identity::erase::erase(&app.store.background(), &app.app.secrets.task, customer, by, app.clock.now()).await.unwrap();
        }
        let refused = choose(&browser, &form, "viewer", "x").await;
        assert_eq!(refused.status.as_u16(), 409);
        assert!(refused.contains("they can have no role"), "{}", refused.text());
        let page = open(&app, &browser, &format!("/admin/roles/{ben}")).await;
        assert!(!page.body.contains("value=\"viewer\""), "{}", page.text());
        choose(&browser, &page, "none", "gone").await;
        assert_eq!((role(&app, ann).await, role(&app, ben).await), (None, None));
    }

    /// Experience rule 10: it wants a login of the last ten minutes, and the button waits for it.
    async fn a_role_with_an_old_login_waits_and_hostile_names_are_texts(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        fill_in(&app, ann, &[("name", hostile())]).await;
        let browser = admin(&app, CLEO, AdminRole::Owner).await;
        env.clock.advance(Duration::from_secs(11 * 60));
        let page = open(&app, &browser, &format!("/admin/roles/{ann}")).await;
        let login = choose(&browser, &page, "viewer", "new here").await;
        assert_eq!((login.url.path(), role(&app, ann).await), ("/login", None));
        let done = browser.submit(&login, "/login/password", &[("email", CLEO), ("password", PASSWORD)]).await;
        assert_eq!((done.url.path(), role(&app, ann).await), ("/admin/roles", Some(AdminRole::Viewer)), "{}", done.text());
        for page in [page, open(&app, &browser, "/admin/roles").await, open(&app, &browser, "/admin/roles?who=<script>").await] {
            assert!(page.body.contains("&#60;script&#62;") && !page.body.contains("<img src=x"), "{}", page.url);
        }
    }
}

on_servers! {
    /// Of two owners who take each other's role at once, one stays.
    async fn two_owners_do_not_take_each_others_role(env: &Env) {
        let app = TestApp::start(env).await;
        let replica = app.replica(env).await;
        let cleo = admin(&app, CLEO, AdminRole::Owner).await;
        let dora = admin(&app, DORA, AdminRole::Owner).await;
        let (of_cleo, of_dora) = (id(&app, CLEO).await, id(&app, DORA).await);
        let page = open(&app, &cleo, &format!("/admin/roles/{of_dora}")).await;
        let other = open(&app, &dora, &format!("/admin/roles/{of_cleo}")).await;
        let elsewhere = dora.clone().via(&app.issuer, &replica.address);
        let (one, two) = tokio::join!(choose(&cleo, &page, "none", "x"), choose(&elsewhere, &other, "none", "x"));
        let owners = [role(&app, of_cleo).await, role(&app, of_dora).await];
        let left = owners.iter().filter(|role| **role == Some(AdminRole::Owner)).count();
        assert_eq!(left, 1, "{} {}", one.text(), two.text());
        invariants::check(env).await;
    }
}
