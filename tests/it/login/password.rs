//! Address and password: the way in of whoever has made an account here.

use samesake::clock::Clock;
use samesake::credential::password::{HashPolicy, Hasher};
use samesake::secret::Secret;
use samesake::store::CustomerState;

use super::sessions::desk;
use super::{begin, provider_with_ann};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::on_both;

const ANN: &str = "ann@shop.example";

async fn with_ann(env: &Env) -> TestApp {
    let app = TestApp::start(env).await;
    app.customer(ANN, "Ann").await;
    app
}

on_both! {
    async fn address_and_password_sign_in(env: &Env) {
        let app = with_ann(env).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        // The address is the same however it is typed; what is typed around it does not matter.
        let entered = [("email", " Ann@SHOP.example "), ("password", PASSWORD)];
        let answer = browser.submit_one(&page, "/login/password", &entered).await;
        // RFC 9700 §4.12: the password is not sent on to the app.
        assert_eq!(answer.status.as_u16(), 303);
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let callback = browser.get(&authorization.url).await;
        let tokens = rp.finish(&authorization, &callback).await;
        assert_eq!(tokens.claims["amr"], serde_json::json!(["pwd"]));
        let userinfo = rp.userinfo(&tokens.access_token).await;
        assert_eq!((&userinfo.body["email"], &userinfo.body["email_verified"]), (&ANN.into(), &true.into()));
        invariants::check(env).await;
    }

    async fn a_wrong_password_asks_again_and_keeps_the_address(env: &Env) {
        let app = with_ann(env).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let wrong = browser.submit(&page, "/login/password", &[("email", ANN), ("password", "wrong")]).await;
        assert_eq!(wrong.status.as_u16(), 422);
        assert!(wrong.contains("That email address and password don’t match an account."), "{}", wrong.text());
        assert!(!wrong.body.contains("wrong\""), "the password is not sent back");
        let filled = wrong.form("/login/password", &[]).filled_in(&[]);
        assert!(filled.contains(&("email".to_owned(), ANN.to_owned())), "{filled:?}");
        let callback = browser.submit(&wrong, "/login/password", &[("password", PASSWORD)]).await;
        rp.finish(&authorization, &callback).await;
    }

    async fn what_is_no_address_is_said_so_without_hashing(env: &Env) {
        let app = with_ann(env).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let before = app.app.hasher.hashes();
        for text in ["ann", "ann@", "@shop.example", "a\"nn@shop.example", "ann@shop"] {
            let answer = browser.submit(&page, "/login/password", &[("email", text), ("password", PASSWORD)]).await;
            assert_eq!(answer.status.as_u16(), 422, "{text}");
            assert!(answer.contains("Enter an email address, like name@example.com."), "{}", answer.text());
        }
        assert_eq!(app.app.hasher.hashes(), before);
    }

    /// Only who knows the password learns that the account is closed.
    async fn a_blocked_customer_gets_nowhere(env: &Env) {
        let app = TestApp::builder(env).web_client("shop").destination(desk()).start().await;
        let ann = app.customer(ANN, "Ann").await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let callback = browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        let code = rp.code(&authorization, &callback);
        let mut tx = app.store.background().begin().await.unwrap();
        tx.customer_state_set(ann, CustomerState::Blocked, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();

        // The code that was under way, the session, and the password: nothing works any more.
        let refused = rp.redeem(&authorization, &code).await;
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_grant"));
        let silent = browser.get(&rp.authorization_with(&[("prompt", "none")]).url).await;
        assert_eq!(silent.parameter("error").as_deref(), Some("login_required"), "{}", silent.url);
        let handoff = app.url("/handoff/desk?rd=https%3A%2F%2Fdesk.example%2F&state=".to_owned().as_str());
        let handoff = browser.get(format!("{handoff}{}", "s".repeat(43))).await;
        assert_eq!(handoff.url.path(), "/login", "{}", handoff.url);
        let (_, page) = begin(&rp, &browser).await;
        let wrong = browser.submit(&page, "/login/password", &[("email", ANN), ("password", "wrong")]).await;
        assert!(wrong.contains("don’t match an account"), "{}", wrong.text());
        let right = browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!(right.status.as_u16(), 422);
        assert!(right.contains("This account can’t be used at the moment."), "{}", right.text());
    }

    async fn a_hash_of_another_policy_is_replaced_at_the_next_login(env: &Env) {
        let app = with_ann(env).await;
        let other = HashPolicy { memory_kib: 128, iterations: 2, ..HashPolicy::default() };
        let old = Hasher::new(other).unwrap().hash(Secret::new(PASSWORD.to_owned())).await.unwrap();
        let known = app.store.background().begin_read().await.unwrap().password_logins(ANN).await.unwrap().pop().unwrap();
        let mut tx = app.store.background().begin().await.unwrap();
        tx.credential_secret_set(known.credential, &old, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let kept = async || {
            let mut tx = app.store.background().begin_read().await.unwrap();
            tx.password_logins(ANN).await.unwrap().pop().unwrap().phc
        };
        for (password, goes) in [("wrong", false), (PASSWORD, true)] {
            let browser = Browser::new();
            let page = browser.get(app.url("/sign-in")).await;
            let after = browser.submit(&page, "/login/password", &[("email", ANN), ("password", password)]).await;
            assert_eq!(after.url.path() == "/", goes, "{password}");
            assert_eq!(kept().await != old, goes, "{password}");
        }
        let renewed = kept().await;
        assert!(renewed.contains("m=64,t=1,p=1"), "{renewed}");
        let before = app.app.hasher.hashes();
        assert_eq!(app.log_in(&Browser::new(), app.url("/sign-in"), ANN).await.url.path(), "/");
        assert_eq!(app.app.hasher.hashes(), before + 1, "it is not hashed anew again");
        assert_eq!(kept().await, renewed);
    }

    /// More passwords than can be hashed: a page that says so and when to come back, and no session.
    async fn overload_is_answered_with_a_time_to_come_back(env: &Env) {
        let slow = |config: &mut samesake::config::Config| {
            config.password.memory_kib = 256 * 1024;
            config.password.iterations = 1;
            (config.password.threads, config.password.queue) = (1, 1);
        };
        let app = TestApp::builder(env).web_client("shop").configure(slow).start().await;
        let browsers: Vec<Browser> = (0..12).map(|_| Browser::new()).collect();
        let tries = browsers.iter().map(async |browser| {
            let page = browser.get(app.url("/sign-in")).await;
            browser.submit_one(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await
        });
        let answers = futures::future::join_all(tries).await;
        let busy: Vec<_> = answers.iter().filter(|answer| answer.status.as_u16() == 503).collect();
        assert!(!busy.is_empty(), "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        for answer in busy {
            assert_eq!(answer.header("retry-after"), Some("5"));
            assert!(answer.contains("A lot of people are signing in right now."), "{}", answer.text());
            assert!(answer.forms().iter().any(|form| form.action == "/login/password"), "there is a way on");
        }
        assert!(answers.iter().any(|answer| answer.status.as_u16() == 422), "those in the queue are answered");
        assert!(browsers.iter().all(|browser| browser.cookie("samesake-session").is_none()));
    }

    async fn without_passwords_there_is_no_password_form(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let builder = TestApp::builder(env).web_client("shop").connector(upstream.config("google"));
        let app = builder.configure(|config| config.password.enabled = false).start().await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let actions: Vec<String> = page.forms().into_iter().map(|form| form.action).collect();
        assert_eq!(actions, ["/login/social", "/login/cancel"]);
        let flow = page.parameter("flow").unwrap();
        let fields = [("flow", flow.as_str()), ("email", ANN), ("password", PASSWORD)];
        let posted = browser.post_from(app.app.config.server.issuer_text(), &app.url("/login/password"), &fields).await;
        assert_eq!(posted.status.as_u16(), 400);
        assert_eq!(app.app.hasher.hashes(), 0);
    }

    /// The throttle's windows and the flow's life are the clock's: an hour later the page is over, and says where to
    /// begin again.
    async fn a_login_page_left_open_for_an_hour_leads_to_a_new_one(env: &Env) {
        let app = with_ann(env).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let clock: &Clock = &app.clock;
        clock.advance(samesake::session::flow::LIFETIME);
        let late = browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!((late.status.as_u16(), late.heading().as_str()), (400, "This page has expired"));
        let start = browser.click(&late, "Go to the start page").await;
        let again = browser.click(&start, "Sign in").await;
        let home = browser.submit(&again, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert!(home.contains(ANN), "{}", home.text());
    }
}
