//! Where others stand in the way of a transaction: it is done again, and whoever asked hears of it only if it never comes
//! through; then nothing is used up, neither the idempotency key nor the code (identity rule 29).

use std::time::Duration;

use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::admin::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::app::web_client;
use crate::harness::relying_party::Answer;
use crate::harness::{Env, TestApp, invariants};
use crate::oidc::device::{Device, tv_client};
use crate::oidc::{Visit, assert_token_error};
use crate::{on_both, on_servers};

/// More often than anything is tried.
const ALWAYS: u32 = 1_000_000;

/// Has the database give up whatever writes to a table, so many times, as it does where two wait for each other. Leaves
/// off where it is not wanted any more.
pub async fn obstruct(env: &Env, table: &str, times: u32) {
    let sql = format!(
        "CREATE SEQUENCE obstacles;
         CREATE FUNCTION obstruct() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF nextval('obstacles') <= {times} THEN RAISE EXCEPTION 'in the way' USING ERRCODE = '40P01'; END IF;
           RETURN NEW;
         END $$;
         CREATE TRIGGER obstacle BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION obstruct()"
    );
    run(env, sql).await;
}

pub async fn clear(env: &Env) {
    run(env, "DROP FUNCTION obstruct CASCADE; DROP SEQUENCE obstacles".to_owned()).await;
}

async fn run(env: &Env, sql: String) {
    let mut connection = PgConnection::connect(env.database_url().await).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
}

fn assert_come_back(answer: &Answer) {
    assert_problem(answer, 503, "contention");
    assert_eq!(answer.headers["retry-after"], "2");
}

fn assert_unavailable(answer: &Answer) {
    assert_token_error(answer, 503, "temporarily_unavailable");
    assert_eq!(answer.headers["retry-after"], "2");
}

on_servers! {
    async fn who_is_never_let_through_comes_back_later_with_the_same_key(env: &Env) {
        let app = TestApp::builder(env).configure(|config| config.merge.approval_from_risk = 100).start().await;
        let office = Office::of(app).await;
        let token = office.robot(AdminRole::Owner).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let plan = office.ask(&token, "/merges/plan", &json!({ "survivor": ann, "absorbed": ben })).await;
        let agreed = json!({ "survivor": ann, "absorbed": ben, "plan_hash": plan.body["hash"], "reason": "x" });
        let why = json!({ "reason": "x" });
        let changes: Vec<(String, Value)> = vec![
            (format!("/customers/{ann}/links"), json!({ "namespace": "ext:crm", "external_id": "17", "reason": "x" })),
            (format!("/customers/{ben}/hold"), why.clone()),
            (format!("/customers/{ben}/release"), why.clone()),
            ("/not-same".to_owned(), json!({ "a": ann, "b": ben, "reason": "x" })),
            ("/not-same/lift".to_owned(), json!({ "a": ann, "b": ben })),
            ("/merges".to_owned(), agreed),
        ];
        for (path, body) in &changes {
            obstruct(env, "audit", ALWAYS).await;
            assert_come_back(&office.post(&token, path, path, body).await);
            clear(env).await;
            // Nothing was done, so the key stands for nothing yet: another request may have it.
            let mut other = body.clone();
            if other.get("reason").is_some() {
                other["reason"] = json!("another");
            }
            if path == "/merges" {
                other["plan_hash"] = office.ask(&token, "/merges/plan", &json!({ "survivor": ann, "absorbed": ben })).await.body["hash"].clone();
            }
            let done = office.post(&token, path, path, &other).await;
            assert_good(&done);
            assert!(!done.headers.contains_key("idempotency-replayed"), "{path}");
        }
        obstruct(env, "audit", ALWAYS).await;
        assert_come_back(&office.get(&token, &format!("/customers/{ann}")).await);
        clear(env).await;
        invariants::check(env).await;
    }

    async fn who_is_in_the_way_for_a_while_is_waited_for(env: &Env) {
        let office = Office::start(env).await;
        let token = office.robot(AdminRole::Owner).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        let why = json!({ "reason": "x" });
        let changes: Vec<(String, Value)> = vec![
            (format!("/customers/{ann}/links"), json!({ "namespace": "ext:crm", "external_id": "17", "reason": "x" })),
            (format!("/customers/{ben}/hold"), why.clone()),
            (format!("/customers/{ben}/release"), why.clone()),
            (format!("/admins/{ben}/grant"), json!({ "role": "viewer", "reason": "x" })),
            (format!("/admins/{ben}/revoke"), why.clone()),
            ("/not-same".to_owned(), json!({ "a": ann, "b": ben, "reason": "x" })),
            (format!("/customers/{ben}/erase"), why),
        ];
        for (path, body) in &changes {
            obstruct(env, "audit", 3).await;
            assert_good(&office.post(&token, path, path, body).await);
            clear(env).await;
        }
        invariants::check(env).await;
    }

    /// An app meets a customer for the first time while somebody else changes who the customer is.
    async fn a_first_meeting_in_whose_way_somebody_stood_gives_the_tokens(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        obstruct(env, "subjects", 3).await;
        let tokens = visit.shop.redeem(&request, &code).await;
        let tokens = visit.shop.tokens(&request, tokens).await;
        clear(env).await;
        assert_eq!(visit.tokens(&[]).await.claims["sub"], tokens.claims["sub"]);
        invariants::check(env).await;
    }

    /// What ends something ends it, whoever is in the way.
    async fn a_replay_a_revocation_and_a_logout_come_through(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        let tokens = visit.shop.redeem(&request, &code).await;
        let replayed = visit.shop.tokens(&request, tokens).await;
        obstruct(env, "grants", 3).await;
        assert_token_error(&visit.shop.redeem(&request, &code).await, 400, "invalid_grant");
        clear(env).await;
        let revoked = visit.tokens(&[]).await;
        obstruct(env, "grants", 3).await;
        let refresh_token = revoked.refresh_token.unwrap();
        let answer = visit.shop.post("revocation_endpoint", &[("token", &refresh_token)]).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        clear(env).await;
        let ended = visit.tokens(&[("scope", "openid")]).await;
        obstruct(env, "grants", 3).await;
        let page = visit.browser.get(visit.app.url("/logout")).await;
        let page = visit.browser.submit(&page, "/logout/confirm", &[]).await;
        assert_eq!(page.status.as_u16(), 200, "{}", page.text());
        clear(env).await;
        for token in [replayed.refresh_token.unwrap(), refresh_token, ended.refresh_token.unwrap()] {
            assert_token_error(&visit.shop.refresh(&token).await, 400, "invalid_grant");
        }
        assert_eq!(visit.events("token.reuse").await.len(), 1);
    }

    /// RFC 6749 §4.1.2: a code is used once it gave something.
    async fn a_code_and_a_refresh_token_are_good_still_after_a_try_that_did_not_come_through(env: &Env) {
        let visit = Visit::start(env).await;
        let (request, code) = visit.code(&[]).await;
        obstruct(env, "grants", ALWAYS).await;
        assert_unavailable(&visit.shop.redeem(&request, &code).await);
        assert_unavailable(&visit.shop.redeem(&request, &code).await);
        clear(env).await;
        let tokens = visit.shop.redeem(&request, &code).await;
        let tokens = visit.shop.tokens(&request, tokens).await;
        let refresh_token = tokens.refresh_token.unwrap();
        obstruct(env, "grants", ALWAYS).await;
        assert_unavailable(&visit.shop.refresh(&refresh_token).await);
        clear(env).await;
        obstruct(env, "grants", 3).await;
        let refreshed = visit.shop.refresh(&refresh_token).await;
        visit.shop.token_response(refreshed).await;
        clear(env).await;
        obstruct(env, "grants", 3).await;
        let (request, code) = visit.code(&[]).await;
        let tokens = visit.shop.redeem(&request, &code).await;
        visit.shop.tokens(&request, tokens).await;
        clear(env).await;
        assert_eq!(visit.events("token.reuse").await.len(), 0);
    }

    /// RFC 8628 §3.4: the same of a device code, whose customer need not be asked again.
    async fn a_device_code_is_good_still_after_a_try_that_did_not_come_through(env: &Env) {
        let builder = TestApp::builder(env).web_client("shop").client(web_client("tv", tv_client(&json!({}))), None);
        let visit = Visit::of(builder).await;
        let tv = visit.app.relying_party("tv").await;
        let device = Device::begin(&tv).await;
        device.decide(&visit.browser, "allow").await;
        obstruct(env, "grants", ALWAYS).await;
        assert_unavailable(&device.ask().await);
        clear(env).await;
        assert_token_error(&device.ask().await, 400, "slow_down");
        visit.app.clock.advance(Duration::from_secs(5));
        let tokens = device.tokens().await;
        assert_eq!(tokens.claims["sub"], visit.tokens(&[]).await.claims["sub"]);
        visit.app.clock.advance(Duration::from_secs(5));
        assert_token_error(&device.ask().await, 400, "expired_token");
    }
}

on_both! {
    async fn without_a_database_the_token_endpoint_says_to_come_back(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[]).await;
        let (request, code) = visit.code(&[]).await;
        visit.app.store.close().await;
        assert_unavailable(&visit.shop.redeem(&request, &code).await);
        assert_unavailable(&visit.shop.refresh(tokens.refresh_token.as_ref().unwrap()).await);
        let userinfo = visit.shop.userinfo(&tokens.access_token).await;
        assert_eq!((userinfo.status.as_u16(), userinfo.error()), (503, "temporarily_unavailable"), "{}", userinfo.text);
        assert_eq!(userinfo.headers["retry-after"], "2");
        assert!(!userinfo.headers.contains_key("www-authenticate"), "another token would not help");
    }
}
