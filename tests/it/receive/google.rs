//! Google's Cross-Account Protection: security event tokens by push (RFC 8417, RFC 8935, RISC).

use std::time::Duration;

use serde_json::{Value, json};

use super::{FORM, ann_in, flags, is_signed_in, log_in, refreshes, send, send_event, told};
use crate::harness::app::PASSWORD;
use crate::harness::providers::google;
use crate::harness::relying_party::Answer;
use crate::harness::upstream::{Algorithm, BadAnswer, Endpoint, Fault, Upstream};
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants, until};
use crate::on_both;

const OFFLINE: &str = "openid offline_access";
const HOME: &str = "ann@home.example";

/// Ann, who has a password, an address of her own, and Google's account connected.
async fn ann_with_google(env: &Env) -> (Upstream, TestApp, RelyingParty) {
    let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Rs256).await;
    ann_in(&upstream, "up-1");
    let app = TestApp::builder(env).web_client("shop").connector(google::config(&upstream)).start().await;
    app.customer(HOME, "Ann").await;
    let browser = Browser::new();
    let page = app.log_in(&browser, app.url("/account"), HOME).await;
    let page = browser.submit(&page, "/account/connect", &[("connector", "google")]).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/account"), "{}", page.text());
    let rp = app.relying_party("shop").await;
    (upstream, app, rp)
}

/// Goes through Google from the login page; where that leads.
async fn try_google(app: &TestApp, browser: &Browser) -> crate::harness::Page {
    let page = browser.get(app.url("/account")).await;
    browser.submit(&page, "/login/social", &[("connector", "google")]).await
}

async fn event(app: &TestApp, upstream: &Upstream, kind: &str, said: Value, changes: Value) -> u16 {
    send_event(app, "google", &upstream.security_event(kind, "ann-1", said, changes)).await.status.as_u16()
}

fn refused(answer: &Answer) -> (u16, &str) {
    assert!(answer.body["description"].is_string(), "{}", answer.text);
    (answer.status.as_u16(), answer.body["err"].as_str().unwrap())
}

fn subjects(app: &TestApp) -> Vec<(String, String)> {
    let sent = app.app.mailer.sent().into_iter();
    sent.map(|mail| (mail.to.normalized().to_owned(), mail.subject)).collect()
}

on_both! {
    /// Rule 20 holds meanwhile, and nobody else can claim the account.
    async fn a_hijacked_account_logs_nobody_in_until_google_enables_it(env: &Env) {
        let (upstream, app, rp) = ann_with_google(env).await;
        let (phone, desk) = (Browser::new(), Browser::new());
        let offline = log_in(&rp, &phone, "google", OFFLINE).await;
        app.log_in(&desk, app.url("/account"), HOME).await;
        assert_eq!(event(&app, &upstream, "account-disabled", json!({"reason": "hijacking"}), json!({})).await, 202);
        assert!(!is_signed_in(&app, &phone).await);
        assert!(is_signed_in(&app, &desk).await, "this one came another way");
        assert!(!refreshes(&rp, &offline).await, "a hijacker may have the tokens");
        // Whoever is in another way sees it on the account page, and what to do.
        let page = desk.get(app.url("/account")).await;
        assert!(page.contains("closed this account or sees it at risk"), "{}", page.text());
        let page = try_google(&app, &phone).await;
        assert_eq!((page.status.as_u16(), page.url.path()), (422, "/callback/google"));
        assert!(page.contains("sign in another way") && page.forms().iter().any(|form| form.action == "/login/password"));
        assert_eq!(flags(&app, "social:google", "ann-1").await, ["hijacking"]);
        let graph = invariants::check(env).await;
        let link = graph.live("social:google", "ann-1")[0];
        assert!(link.disabled);
        assert_eq!(told(&graph, "link.disabled")[0]["reason"], "hijacking");
        // The other proved address hears of it; the mailbox that the account comes with does not.
        until("the mail", async || subjects(&app).iter().any(|(_, subject)| subject.contains("no longer signs you in"))).await;
        let warned = subjects(&app).into_iter().filter(|(_, subject)| subject.contains("no longer signs you in"));
        assert_eq!(warned.map(|(to, _)| to).collect::<Vec<_>>(), [HOME]);
        // Told again in another token, it changes nothing.
        assert_eq!(event(&app, &upstream, "account-disabled", json!({"reason": "hijacking"}), json!({})).await, 202);
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
        app.clock.advance(Duration::from_secs(60));
        assert_eq!(event(&app, &upstream, "account-enabled", json!({}), json!({})).await, 202);
        let page = try_google(&app, &phone).await;
        assert_eq!(page.url.path(), "/account", "{}", page.text());
        assert!(!page.contains("at risk"), "{}", page.text());
        assert_eq!(flags(&app, "social:google", "ann-1").await, Vec::<String>::new());
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), 1);
        assert!(!graph.live("social:google", "ann-1")[0].disabled);
    }

    /// A disabled way in is none: the other one cannot be disconnected, and counts for itself.
    async fn a_disabled_account_is_no_way_in(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Rs256).await;
        ann_in(&upstream, "up-1");
        let hub = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        hub.add_person("hub-1", json!({"name": "Ann"}));
        let builder = TestApp::builder(env).web_client("shop").connector(google::config(&upstream));
        let app = builder.connector(hub.config("hub")).start().await;
        let browser = Browser::new();
        let page = try_google(&app, &browser).await;
        browser.submit(&page, "/account/connect", &[("connector", "hub")]).await;
        assert_eq!(event(&app, &upstream, "account-disabled", json!({}), json!({})).await, 202);
        let page = browser.get(app.url("/account")).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "hub")]).await;
        let graph = invariants::check(env).await;
        let hub_link = uuid::Uuid::parse_str(&graph.live("social:hub", "hub-1")[0].id).unwrap().to_string();
        let refused = browser.submit(&page, "/account/disconnect", &[("link", &hub_link)]).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (409, "That’s your only way to sign in"));
    }

    /// Issuer and keys of its events are those of its own document; without it nothing is believed, and Google sends again.
    async fn events_are_judged_by_googles_risc_configuration(env: &Env) {
        let (upstream, app, _) = ann_with_google(env).await;
        let before = invariants::check(env).await.events.len();
        let disabled = async || event(&app, &upstream, "account-disabled", json!({}), json!({})).await;
        for fault in [
            Fault::Answer(Endpoint::Discovery, BadAnswer::Status(500)),
            Fault::Metadata("issuer", Some(json!("https://evil.example/"))),
            Fault::Metadata("jwks_uri", None),
        ] {
            upstream.faults().only(fault.clone());
            assert_eq!(disabled().await, 503, "{fault:?}");
            app.clock.advance(Duration::from_secs(60));
        }
        upstream.faults().clear();
        assert_eq!(invariants::check(env).await.events.len(), before);
        // The issuer of its ID tokens is not that of its events.
        let spelled = upstream.config("google").issuer;
        assert_eq!(event(&app, &upstream, "account-disabled", json!({}), json!({"iss": spelled})).await, 400);
        assert_eq!(disabled().await, 202);
        assert!(invariants::check(env).await.live("social:google", "ann-1")[0].disabled);
    }

    async fn what_google_said_last_counts_in_whatever_order_it_comes(env: &Env) {
        let (upstream, app, _) = ann_with_google(env).await;
        let disabled = upstream.security_event("account-disabled", "ann-1", json!({}), json!({}));
        app.clock.advance(Duration::from_secs(60));
        let enabled = upstream.security_event("account-enabled", "ann-1", json!({}), json!({}));
        for token in [&enabled, &disabled, &enabled, &disabled] {
            assert_eq!(send_event(&app, "google", token).await.status.as_u16(), 202);
        }
        assert_eq!(try_google(&app, &Browser::new()).await.url.path(), "/account");
        assert_eq!(told(&invariants::check(env).await, "link.disabled"), Vec::<Value>::new());
    }

    async fn revoked_sessions_end_and_the_account_goes_on(env: &Env) {
        let (upstream, app, rp) = ann_with_google(env).await;
        for kind in ["sessions-revoked", "tokens-revoked"] {
            let (phone, desk) = (Browser::new(), Browser::new());
            let family = log_in(&rp, &phone, "google", OFFLINE).await;
            app.log_in(&desk, app.url("/account"), HOME).await;
            app.clock.advance(Duration::from_secs(5));
            let token = match kind {
                "sessions-revoked" => upstream.security_event(kind, "ann-1", json!({}), json!({})),
                // An event type of OAuth's, not of RISC's.
                _ => {
                    let issuer = format!("{}/", upstream.issuer_text());
                    let said = json!({"subject": {"subject_type": "iss-sub", "iss": issuer, "sub": "ann-1"}});
                    let name = "https://schemas.openid.net/secevent/oauth/event-type/tokens-revoked";
                    upstream.security_event(kind, "ann-1", json!({}), json!({"events": {name: said}}))
                }
            };
            assert_eq!(send_event(&app, "google", &token).await.status.as_u16(), 202, "{kind}");
            assert!(!is_signed_in(&app, &phone).await, "{kind}");
            assert!(!refreshes(&rp, &family).await, "{kind}");
            assert!(is_signed_in(&app, &desk).await, "{kind}");
            assert_eq!(try_google(&app, &phone).await.url.path(), "/account", "{kind}");
            // The same once more ends nothing that came after.
            assert_eq!(send_event(&app, "google", &token).await.status.as_u16(), 202, "{kind}");
            assert!(is_signed_in(&app, &phone).await, "{kind}");
        }
        assert_eq!(flags(&app, "social:google", "ann-1").await, Vec::<String>::new());
        invariants::check(env).await;
    }

    async fn a_forced_password_change_flags_the_customer_and_no_more(env: &Env) {
        let (upstream, app, rp) = ann_with_google(env).await;
        let browser = Browser::new();
        log_in(&rp, &browser, "google", "openid").await;
        assert_eq!(event(&app, &upstream, "account-credential-change-required", json!({}), json!({})).await, 202);
        assert_eq!(flags(&app, "social:google", "ann-1").await, ["credential_change_required"]);
        assert!(is_signed_in(&app, &browser).await);
    }

    async fn what_is_not_known_is_acknowledged_and_recorded(env: &Env) {
        let (upstream, app, rp) = ann_with_google(env).await;
        let browser = Browser::new();
        log_in(&rp, &browser, "google", "openid").await;
        assert_eq!(event(&app, &upstream, "something-new", json!({}), json!({})).await, 202);
        let graph = invariants::check(env).await;
        let what = "https://schemas.openid.net/secevent/risc/event-type/something-new";
        assert_eq!(told(&graph, "provider.told")[0]["what"], what);
        // The test of the connection names nobody, and a stranger is nobody here.
        let state = json!({"events": {"https://schemas.openid.net/secevent/risc/event-type/verification": {"state": "x"}}});
        assert_eq!(event(&app, &upstream, "verification", json!({}), state).await, 202);
        let stranger = upstream.security_event("account-disabled", "stranger", json!({}), json!({}));
        assert_eq!(send_event(&app, "google", &stranger).await.status.as_u16(), 202);
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
        assert!(is_signed_in(&app, &browser).await);
    }

    async fn what_is_no_token_of_googles_is_refused_and_changes_nothing(env: &Env) {
        let (upstream, app, rp) = ann_with_google(env).await;
        let other = Upstream::start_at(env.clock.clone(), Algorithm::Rs256).await;
        let browser = Browser::new();
        let tokens = log_in(&rp, &browser, "google", "openid").await;
        let before = invariants::check(env).await.events.len();
        let now = env.clock.now().seconds();
        let subject = |iss: &str| json!({"subject": {"subject_type": "iss-sub", "iss": iss, "sub": "ann-1"}});
        for (said, changes, code) in [
            (json!({}), json!({"iss": upstream.issuer_text()}), "invalid_issuer"),
            (json!({}), json!({"iss": "https://accounts.google.com/"}), "invalid_issuer"),
            (json!({}), json!({"aud": "another client"}), "invalid_audience"),
            (json!({}), json!({"aud": null}), "invalid_request"),
            (json!({}), json!({"iat": null}), "invalid_request"),
            (json!({}), json!({"iat": now + 3600}), "invalid_request"),
            (json!({}), json!({"iat": now - 8 * 86_400}), "invalid_request"),
            (json!({}), json!({"exp": now - 1}), "invalid_request"),
            (json!({}), json!({"jti": null}), "invalid_request"),
            (json!({}), json!({"events": null}), "invalid_request"),
            (json!({}), json!({"events": {}}), "invalid_request"),
            (json!({}), json!({"events": "{}"}), "invalid_request"),
            (subject("https://evil.example/"), json!({}), "invalid_request"),
        ] {
            let token = upstream.security_event("account-disabled", "ann-1", said.clone(), changes.clone());
            let answer = send_event(&app, "google", &token).await;
            assert_eq!(refused(&answer), (400, code), "{said} {changes}: {}", answer.text);
        }
        for fault in [Fault::AlgorithmNone, Fault::WrongSignature, Fault::ForeignKey, Fault::Hs256WithPublicKey] {
            upstream.faults().only(fault.clone());
            let status = event(&app, &upstream, "account-disabled", json!({}), json!({})).await;
            assert_eq!(status, 400, "{fault:?}");
        }
        upstream.faults().clear();
        let foreign = other.security_event("account-disabled", "ann-1", json!({}), json!({}));
        for token in [foreign.as_str(), &tokens.id_token, "", "a.b.c", &upstream.logout_token(json!({"sub": "ann-1"}))] {
            assert_eq!(refused(&send_event(&app, "google", token).await).0, 400, "{token}");
        }
        let good = upstream.security_event("account-disabled", "ann-1", json!({}), json!({}));
        let answer = send(&app, "google", "events", FORM, good).await;
        assert_eq!(refused(&answer), (400, "invalid_request"), "RFC 8935 §2.1: its media type");
        assert!(is_signed_in(&app, &browser).await);
        assert_eq!(invariants::check(env).await.events.len(), before);
    }

    /// Google asks for it: who has the account may have the mailbox.
    async fn no_code_goes_to_the_mailbox_of_a_hijacked_account(env: &Env) {
        let (upstream, app, _) = ann_with_google(env).await;
        assert_eq!(event(&app, &upstream, "account-disabled", json!({"reason": "hijacking"}), json!({})).await, 202);
        let store = app.store.background();
        let stopped = async |address: &str| store.begin_read().await.unwrap().mail_is_stopped(address).await.unwrap();
        assert!(stopped("ann@shop.example").await && !stopped(HOME).await);
        let sent = app.app.mailer.sent().len();
        let browser = Browser::new();
        let login = browser.get(app.url("/account")).await;
        let sign_up = browser.click(&login, "Create account").await;
        let fields = [("email", "ann@shop.example"), ("password", PASSWORD), ("name", "Eve")];
        let page = browser.submit(&sign_up, "/sign-up", &fields).await;
        assert_eq!(page.url.path(), "/sign-up/code", "from outside it looks as always: {}", page.text());
        // Something that does leave, to be sure that the queue has been worked off.
        let dora = Browser::new();
        let login = dora.get(app.url("/account")).await;
        let sign_up = dora.click(&login, "Create account").await;
        dora.submit(&sign_up, "/sign-up", &[("email", "dora@shop.example"), ("password", PASSWORD), ("name", "D")]).await;
        app.mail_to("dora@shop.example").await;
        let later: Vec<_> = subjects(&app).into_iter().skip(sent).map(|(to, _)| to).collect();
        assert!(!later.contains(&"ann@shop.example".to_owned()), "{later:?}");
        assert_eq!(event(&app, &upstream, "account-enabled", json!({}), json!({})).await, 202);
        assert!(!stopped("ann@shop.example").await);
    }
}
