//! Finding customers at the desk, and seeing one (identity specification, rules 20 and 24).

use samesake::protocol::admin_role::AdminRole;
use serde_json::json;

use super::{ANN, BEN, CLEO, actions_of, admin, assert_sound, fill_in, hostile, open};
use crate::harness::{Browser, Env, TestApp};
use crate::on_both;

on_both! {
    async fn a_customer_is_found_by_anything_and_seen_with_a_picture(env: &Env) {
        let app = TestApp::start(env).await;
        let (ann, ben) = (app.customer(ANN, "Ann Lee").await, app.customer(BEN, "Ben Lee").await);
        let shop = app.relying_party("shop").await;
        let authorization = shop.authorization();
        let callback = app.log_in(&Browser::new(), &authorization.url, ANN).await;
        let tokens = shop.finish(&authorization, &callback).await;
        let browser = admin(&app, CLEO, AdminRole::Viewer).await;

        let page = open(&app, &browser, "/admin/search").await;
        let sub = tokens.claims["sub"].as_str().unwrap();
        for text in [ANN, "ann l", &ann.to_string(), sub] {
            let found = browser.submit(&page, "/admin/search", &[("q", text)]).await;
            assert!(found.body.contains(&format!("/admin/customers/{ann}")), "{text}: {}", found.text());
            assert!(!found.body.contains(&format!("/admin/customers/{ben}")), "{text}");
        }
        let seen = browser.click(&browser.submit(&page, "/admin/search", &[("q", ANN)]).await, "Ann Lee").await;
        assert_eq!((seen.status.as_u16(), seen.heading().as_str()), (200, "Ann Lee"));
        assert_sound(&seen);
        for words in [ANN, sub, "The shop", "Became a customer", "1 browser", "password"] {
            assert!(seen.contains(words), "{words}: {}", seen.text());
        }
        assert!(seen.body.contains("<svg class=\"picture\"") && seen.contains("1 identifier leads"));
        let looked: Vec<_> = actions_of(&app, ann).await;
        assert!(looked.iter().any(|action| action == "admin.looked"), "{looked:?}");
    }

    async fn nothing_is_found_by_what_is_nothing(env: &Env) {
        let app = TestApp::start(env).await;
        let browser = admin(&app, CLEO, AdminRole::Viewer).await;
        for (query, words) in [
            ("nobody@example.com", "Nobody is known by this."),
            ("a%00b", "holds characters"),
            (&"x".repeat(256), "too long"),
            ("", "Find a customer"),
        ] {
            let page = open(&app, &browser, &format!("/admin/search?q={query}")).await;
            assert!(page.contains(words), "{query}: {}", page.text());
        }
    }

    async fn results_go_on_page_by_page(env: &Env) {
        let app = TestApp::start(env).await;
        let browser = admin(&app, CLEO, AdminRole::Viewer).await;
        for number in 0..30 {
            app.customer(&format!("zoe{number}@example.com"), &format!("Zoe {number:02}")).await;
        }
        let first = open(&app, &browser, "/admin/search?q=zoe").await;
        let second = browser.click(&first, "More").await;
        let count = |page: &crate::harness::Page| page.body.matches("class=\"who\"").count();
        assert_eq!((count(&first), count(&second)), (25, 5), "{}", second.text());
        assert!(!second.body.contains("cursor="));
    }

    /// Whoever chooses their own name chooses no markup, no width and no direction.
    async fn hostile_texts_are_shown_as_texts(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft".repeat(9);
        let values = [
            ("name", hostile()),
            ("address", json!({ "locality": hostile(), "street_address": "\u{202e}gnorw" })),
            ("nickname", json!(long)),
            (r#"<b onmouseover="x">"#, json!("متجر الرحلات البعيدة")),
        ];
        fill_in(&app, ann, &values).await;
        let browser = admin(&app, CLEO, AdminRole::Viewer).await;
        for path in [format!("/admin/customers/{ann}"), format!("/admin/search?q={ann}"), "/admin/search?q=<script>x".to_owned()] {
            let page = open(&app, &browser, &path).await;
            assert!(!page.body.contains("<img src=x") && !page.body.contains("<b onmouse"), "{path}");
            assert!(page.body.contains("&#60;script&#62;"), "{path}");
        }
        let page = open(&app, &browser, &format!("/admin/customers/{ann}")).await;
        assert!(!page.body.contains(&long), "it is cut");
        assert!(page.body.contains("<bdi>متجر"), "what it says has its own direction");
    }
}
