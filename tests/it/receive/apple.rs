//! Apple's server-to-server notifications.

use serde_json::{Value, json};

use super::{flags, is_signed_in, refreshes, send, told};
use crate::harness::providers::apple::Apple;
use crate::harness::relying_party::{Answer, Tokens};
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants};
use crate::on_both;

const SUBJECT: &str = "000123.abcdef0123456789.0456";
const RELAY: &str = "x7k2@privaterelay.appleid.com";

async fn gateway(env: &Env) -> (Apple, TestApp, RelyingParty) {
    let apple = Apple::start_at(env.clock.clone()).await;
    apple.stand.log_in_as(json!({
        "sub": SUBJECT, "email": RELAY, "email_verified": "true", "is_private_email": "true",
    }));
    let app = TestApp::builder(env).web_client("shop").connector(apple.config(json!({}))).start().await;
    let rp = app.relying_party("shop").await;
    (apple, app, rp)
}

async fn log_in(rp: &RelyingParty, browser: &Browser) -> Tokens {
    let authorization = rp.authorization_with(&[("scope", "openid offline_access")]);
    let page = browser.get(&authorization.url).await;
    let page = browser.submit(&page, "/login/social", &[("connector", "apple")]).await;
    let callback = browser.submit(&page, "apple", &[]).await;
    rp.finish(&authorization, &callback).await
}

/// Presses the button; where that leads.
async fn try_apple(app: &TestApp, browser: &Browser) -> crate::harness::Page {
    let page = browser.get(app.url("/account")).await;
    let page = browser.submit(&page, "/login/social", &[("connector", "apple")]).await;
    browser.submit(&page, "apple", &[]).await
}

async fn notify(app: &TestApp, body: String) -> Answer {
    send(app, "apple", "events", "application/json", body).await
}

fn about(kind: &str) -> Value {
    json!({"type": kind, "sub": SUBJECT})
}

on_both! {
    /// Who takes consent back and signs in again gives it anew, and is the same customer.
    async fn revoked_consent_signs_out_and_a_new_login_gives_it_anew(env: &Env) {
        let (apple, app, rp) = gateway(env).await;
        let browser = Browser::new();
        let tokens = log_in(&rp, &browser).await;
        let body = apple.notification(about("consent-revoked"), json!({}));
        assert_eq!(notify(&app, body.clone()).await.status.as_u16(), 200);
        assert!(!is_signed_in(&app, &browser).await);
        assert!(!refreshes(&rp, &tokens).await);
        assert_eq!(flags(&app, "social:apple", SUBJECT).await, ["consent_revoked"]);
        let graph = invariants::check(env).await;
        assert!(graph.live("social:apple", SUBJECT)[0].disabled);
        assert_eq!(notify(&app, body).await.status.as_u16(), 200, "sent again");
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
        let again = log_in(&rp, &browser).await;
        assert_eq!(again.claims["sub"], tokens.claims["sub"]);
        assert!(is_signed_in(&app, &browser).await);
        assert_eq!(flags(&app, "social:apple", SUBJECT).await, Vec::<String>::new());
        let graph = invariants::check(env).await;
        assert!(!graph.live("social:apple", SUBJECT)[0].disabled);
        assert_eq!(told(&graph, "link.enabled").len(), 1);
    }

    async fn a_deleted_account_logs_nobody_in(env: &Env) {
        let (apple, app, rp) = gateway(env).await;
        let browser = Browser::new();
        log_in(&rp, &browser).await;
        assert_eq!(notify(&app, apple.notification(about("account-delete"), json!({}))).await.status.as_u16(), 200);
        assert!(!is_signed_in(&app, &browser).await);
        let page = try_apple(&app, &browser).await;
        assert_eq!(page.status.as_u16(), 422, "{}", page.text());
        assert!(page.contains("Apple told us that this account is closed"), "{}", page.text());
        assert_eq!(flags(&app, "social:apple", SUBJECT).await, ["account_deleted"]);
        invariants::check(env).await;
    }

    async fn nothing_is_sent_to_a_relay_that_does_not_forward(env: &Env) {
        let (apple, app, rp) = gateway(env).await;
        log_in(&rp, &Browser::new()).await;
        let store = app.store.background();
        let stopped = async || store.begin_read().await.unwrap().mail_is_stopped(RELAY).await.unwrap();
        let mut event = about("email-disabled");
        event["email"] = json!(RELAY);
        event["is_private_email"] = json!("true");
        assert_eq!(notify(&app, apple.notification(event.clone(), json!({}))).await.status.as_u16(), 200);
        assert!(stopped().await);
        event["type"] = json!("email-enabled");
        assert_eq!(notify(&app, apple.notification(event, json!({}))).await.status.as_u16(), 200);
        assert!(!stopped().await);
        let graph = invariants::check(env).await;
        assert_eq!((told(&graph, "mail.stopped").len(), told(&graph, "mail.resumed").len()), (1, 1));
    }

    /// An address is stopped only if it is of the customer who has the account.
    async fn a_notification_does_not_stop_mail_to_somebody_else(env: &Env) {
        let (apple, app, rp) = gateway(env).await;
        log_in(&rp, &Browser::new()).await;
        app.customer("bob@shop.example", "Bob").await;
        let mut event = about("email-disabled");
        event["email"] = json!("bob@shop.example");
        assert_eq!(notify(&app, apple.notification(event, json!({}))).await.status.as_u16(), 200);
        let store = app.store.background();
        assert!(!store.begin_read().await.unwrap().mail_is_stopped("bob@shop.example").await.unwrap());
    }

    async fn what_is_no_notification_of_apples_is_refused(env: &Env) {
        let (apple, app, rp) = gateway(env).await;
        let other = Apple::start_at(env.clock.clone()).await;
        let browser = Browser::new();
        log_in(&rp, &browser).await;
        let now = env.clock.now().seconds();
        let revoked = || about("consent-revoked");
        let mut bodies = vec![String::new(), "{}".to_owned(), "[]".to_owned(), "{\"payload\":7}".to_owned()];
        bodies.push(other.notification(revoked(), json!({})));
        bodies.push(apple.notification(json!({"type": "consent-revoked"}), json!({})));
        for changes in [
            json!({"aud": "another.app"}),
            json!({"aud": null}),
            json!({"iss": "https://evil.example"}),
            json!({"exp": now - 1}),
            json!({"iat": now + 3600}),
            json!({"iat": now - 8 * 86_400}),
            json!({"iat": null}),
            json!({"jti": null}),
            json!({"events": null}),
            json!({"events": "{"}),
            json!({"events": "[]"}),
        ] {
            bodies.push(apple.notification(revoked(), changes));
        }
        let before = invariants::check(env).await.events.len();
        for body in bodies {
            let answer = notify(&app, body.clone()).await;
            assert_eq!(answer.status.as_u16(), 400, "{body}: {}", answer.text);
            assert!(answer.body["err"].is_string(), "{body}: {}", answer.text);
        }
        assert!(is_signed_in(&app, &browser).await);
        assert_eq!(invariants::check(env).await.events.len(), before);
    }
}
