//! How the API speaks whatever is asked: problems in one form, nothing kept, nothing told to other origins.

use reqwest::Method;
use samesake::protocol::admin_role::AdminRole;

use super::{ANN, Office, assert_good, assert_problem};
use crate::harness::browser::NeverComes;
use crate::harness::relying_party::answer;
use crate::harness::{Browser, Env};
use crate::on_both;

on_both! {
    async fn whatever_fails_is_a_problem(env: &Env) {
        let office = Office::start(env).await;
        let token = office.robot(AdminRole::Owner).await;
        for path in ["/", "/nothing", "/customers/", "/customers/x/y/z", "/openapi.json/"] {
            assert_problem(&office.get(&token, path).await, 404, "not-found");
        }
        for (method, path) in [(Method::DELETE, "/customers"), (Method::PATCH, "/audit"), (Method::OPTIONS, "/customers")] {
            let refused = answer(office.request(method, path).bearer_auth(&token)).await;
            assert_problem(&refused, 405, "method-not-allowed");
            assert_eq!(refused.headers["allow"], "GET,HEAD");
        }
        let huge = office.request(Method::POST, "/admins/019a0000-0000-7000-8000-000000000000/grant").bearer_auth(&token);
        let huge = huge.header("idempotency-key", "k").header("content-type", "application/json");
        assert_problem(&answer(huge.body(NeverComes { announced: Some(3_000_000) })).await, 413, "too-large");
    }

    async fn what_is_not_understood_is_refused(env: &Env) {
        let office = Office::start(env).await;
        let token = office.robot(AdminRole::Owner).await;
        for query in [
            "", "?q=", "?x=1&q=a", "?q=a&q=b", "?q=a&limit=0", "?q=a&limit=1000", "?q=a&limit=-1", "?q=a%00b",
            "?q=a%0Ab", &format!("?q={}", "a".repeat(256)), &format!("?q={}", "a".repeat(5000)),
            "?q=a&<script>=1",
        ] {
            let refused = office.get(&token, &format!("/customers{query}")).await;
            assert_problem(&refused, 400, "invalid-request");
            assert!(!refused.text.contains("script"), "{}", refused.text);
        }
        let customer = office.app.customer(ANN, "Ann").await;
        assert_problem(&office.get(&token, &format!("/customers/{customer}?x=1")).await, 400, "invalid-request");
    }

    /// A browser's session means nothing here, and no other origin may ask.
    async fn no_cookie_and_no_other_origin_is_let_in(env: &Env) {
        let office = Office::start(env).await;
        office.admin(ANN, AdminRole::Owner).await;
        let browser = Browser::new();
        office.sign_in(&browser, ANN).await;
        let page = browser.get_one(office.app.url("/api/v1/customers?q=ann")).await;
        assert_eq!(page.status.as_u16(), 401);
        let token = office.robot(AdminRole::Viewer).await;
        let request = office.request(Method::GET, "/customers?q=ann").bearer_auth(&token);
        let answered = answer(request.header("origin", "https://shop.example")).await;
        assert_good(&answered);
        assert!(!answered.headers.contains_key("set-cookie"));
        let preflight = office.request(Method::OPTIONS, "/customers").header("origin", "https://shop.example");
        let preflight = answer(preflight.header("access-control-request-method", "GET")).await;
        assert_problem(&preflight, 405, "method-not-allowed");
        assert!(!preflight.headers.contains_key("access-control-allow-origin"));
    }

    /// Experience rule 5 has its counterpart here: names from outside stay text.
    async fn hostile_texts_come_back_as_they_are(env: &Env) {
        let office = Office::start(env).await;
        let hostile = "<script>\"'\\ \u{202e}\u{1F600} %s ${x}";
        let ann = office.app.customer(ANN, hostile).await;
        let token = office.robot(AdminRole::Viewer).await;
        let found = office.search(&token, hostile).await;
        assert_eq!(crate::admin::ids(&found), [ann.to_string()]);
        assert_eq!(found.body["items"][0]["name"], hostile);
        assert_eq!(found.headers["x-content-type-options"], "nosniff");
    }
}
