//! Who is let in: tokens of our own provider for this API, with its scope, and nothing else.

use std::time::Duration;

use reqwest::Method;
use samesake::protocol::admin_role::AdminRole;

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::relying_party::{Answer, answer};
use crate::harness::{Browser, Env};
use crate::on_both;

fn challenge(answer: &Answer) -> &str {
    answer.headers["www-authenticate"].to_str().unwrap()
}

on_both! {
    async fn a_person_and_a_program_with_a_role_are_let_in(env: &Env) {
        let office = Office::start(env).await;
        office.admin(ANN, AdminRole::Viewer).await;
        let tokens = office.sign_in(&Browser::new(), ANN).await;
        assert_good(&office.search(&tokens.access_token, ANN).await);
        assert_good(&office.search(&office.robot(AdminRole::Viewer).await, ANN).await);
    }

    /// RFC 6750 §3.1 and RFC 9728 §5.1: without a token no error, but where to get one.
    async fn without_a_token_the_challenge_says_where_to_get_one(env: &Env) {
        let office = Office::start(env).await;
        let refused = answer(office.request(Method::GET, "/customers?q=ann")).await;
        assert_problem(&refused, 401, "unauthenticated");
        let issuer = office.console.issuer.as_str();
        let metadata = format!("{issuer}/.well-known/oauth-protected-resource/api/v1");
        assert_eq!(
            challenge(&refused),
            format!("Bearer realm=\"samesake\", resource_metadata=\"{metadata}\", scope=\"admin\"")
        );
        let document = answer(crate::harness::browser::http_client().get(metadata)).await;
        assert_eq!(document.body["resource"], crate::admin::audience(&office.app));
        assert_eq!(document.body["authorization_servers"], serde_json::json!([issuer]));
    }

    async fn a_token_for_something_else_is_refused(env: &Env) {
        let office = Office::start(env).await;
        office.admin(ANN, AdminRole::Owner).await;
        let browser = Browser::new();
        let tokens = office.sign_in(&browser, ANN).await;
        let authorization = office.console.authorization();
        let callback = browser.get(&authorization.url).await;
        let for_userinfo = office.console.finish(&authorization, &callback).await.access_token;
        let [header, claims, signature] = tokens.access_token.split('.').collect::<Vec<_>>()[..] else { panic!() };
        let forged = format!("{header}.{claims}.{}", signature.chars().rev().collect::<String>());
        for (what, token) in [
            ("of another audience", for_userinfo.as_str()),
            ("an ID token", &tokens.id_token),
            ("a refresh token", tokens.refresh_token.as_deref().unwrap()),
            ("forged", &forged),
            ("nothing of ours", "x"),
        ] {
            let refused = office.get(token, "/customers?q=ann").await;
            assert_problem(&refused, 401, "unauthenticated");
            assert!(challenge(&refused).contains("error=\"invalid_token\""), "{what}: {}", challenge(&refused));
        }
        let userinfo = office.console.userinfo(&tokens.access_token).await;
        assert_eq!(userinfo.status.as_u16(), 401, "nor is one for the API good elsewhere");
        let twice = office.request(Method::GET, "/customers?q=x").bearer_auth(&tokens.access_token).bearer_auth("x");
        assert_problem(&answer(twice).await, 400, "invalid-request");
    }

    async fn a_token_without_the_scope_is_insufficient(env: &Env) {
        let office = Office::start(env).await;
        office.admin(ANN, AdminRole::Owner).await;
        let tokens = office.sign_in_with(&Browser::new(), ANN, &[("scope", "openid profile")]).await;
        let robot = office.token_of("robot-owner", &[("scope", "stock")]).await;
        for token in [tokens.access_token.as_str(), robot.body["access_token"].as_str().unwrap()] {
            let refused = office.get(token, "/customers?q=ann").await;
            assert_problem(&refused, 403, "insufficient-scope");
            assert!(challenge(&refused).contains("error=\"insufficient_scope\""), "{}", challenge(&refused));
            assert!(challenge(&refused).ends_with("scope=\"admin\""), "{}", challenge(&refused));
        }
    }

    async fn a_token_dies_with_its_session_and_its_time(env: &Env) {
        let office = Office::start(env).await;
        office.admin(ANN, AdminRole::Viewer).await;
        let browser = Browser::new();
        let scope = [("scope", "openid admin")];
        let ended = office.sign_in_with(&browser, ANN, &scope).await;
        assert_good(&office.search(&ended.access_token, ANN).await);
        browser.get(office.console.end_session(&[("id_token_hint", &ended.id_token)])).await;
        assert_problem(&office.search(&ended.access_token, ANN).await, 401, "unauthenticated");
        let expired = office.robot(AdminRole::Viewer).await;
        office.app.clock.advance(Duration::from_secs(901));
        assert_problem(&office.search(&expired, ANN).await, 401, "unauthenticated");
    }

    /// The role is read at each request.
    async fn a_role_taken_away_counts_no_more_at_once(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.admin(ANN, AdminRole::Viewer).await;
        let token = office.sign_in(&Browser::new(), ANN).await.access_token;
        assert_good(&office.search(&token, ANN).await);
        let mut tx = office.app.store.background().begin().await.unwrap();
        assert!(tx.admin_revoke(ann).await.unwrap());
        tx.commit().await.unwrap();
        let refused = office.search(&token, ANN).await;
        assert_problem(&refused, 403, "role-too-low");
        assert_eq!(refused.body["needs"], "viewer");
        assert_problem(&office.search(office.token_of("robot-nobody", &[]).await.body["access_token"].as_str().unwrap(), ANN).await, 403, "role-too-low");
    }

    async fn a_blocked_admin_is_not_let_in(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.admin(ANN, AdminRole::Owner).await;
        let token = office.sign_in(&Browser::new(), ANN).await.access_token;
        let mut tx = office.app.store.background().begin().await.unwrap();
        tx.customer_state_set(ann, samesake::store::CustomerState::Blocked, office.app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_problem(&office.search(&token, ANN).await, 403, "role-too-low");
    }

    /// Identity rules 25 and 30: nobody comes to rights by being joined with an admin.
    async fn a_role_does_not_follow_a_merge(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.admin(ANN, AdminRole::Owner).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let of_ann = office.sign_in(&Browser::new(), ANN).await.access_token;
        let of_ben = office.sign_in(&Browser::new(), BEN).await.access_token;
        assert_problem(&office.search(&of_ben, ANN).await, 403, "role-too-low");
        crate::store::samples::merge(env, ben, ann).await;
        assert_problem(&office.search(&of_ann, ANN).await, 403, "role-too-low");
        assert_problem(&office.search(&of_ben, ANN).await, 403, "role-too-low");
    }

    /// And whoever is joined to an admin does not act as that admin.
    async fn whoever_is_merged_into_an_admin_gets_no_role(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.admin(ANN, AdminRole::Owner).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let of_ann = office.sign_in(&Browser::new(), ANN).await.access_token;
        let of_ben = office.sign_in(&Browser::new(), BEN).await.access_token;
        crate::store::samples::merge(env, ann, ben).await;
        assert_problem(&office.search(&of_ben, ANN).await, 403, "role-too-low");
        assert_good(&office.search(&of_ann, ANN).await);
    }

    /// RFC 9470: what cannot be taken back wants a login of the last half hour, however fresh the token.
    async fn dangerous_acts_want_a_fresh_login(env: &Env) {
        let office = Office::start(env).await;
        office.admin(ANN, AdminRole::Owner).await;
        let ben = office.app.customer(BEN, "Ben").await;
        let browser = Browser::new();
        let tokens = office.sign_in(&browser, ANN).await;
        let path = format!("/admins/{ben}/grant");
        let body = serde_json::json!({ "role": "viewer", "reason": "helps out" });
        office.app.clock.advance(Duration::from_secs(31 * 60));
        let refreshed = office.console.refresh(&tokens.refresh_token.unwrap()).await;
        let token = refreshed.body["access_token"].as_str().unwrap();
        assert_good(&office.search(token, BEN).await);
        let refused = office.post(token, &path, "k", &body).await;
        assert_problem(&refused, 401, "login-too-old");
        assert!(challenge(&refused).contains("error=\"insufficient_user_authentication\""), "{}", challenge(&refused));
        assert!(challenge(&refused).ends_with("max_age=\"1800\""), "{}", challenge(&refused));
        let again = office.sign_in_with(&browser, ANN, &[("max_age", "1800")]).await;
        assert_good(&office.post(&again.access_token, &path, "k", &body).await);
    }
}
