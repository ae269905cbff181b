//! The providers' own ways with native apps: Apple's bundle IDs and names, Facebook's Limited Login.

use serde_json::json;

use super::{bring, hashed, nonce, refusal, with_apps};
use crate::harness::providers::apple::Apple;
use crate::harness::providers::facebook::Facebook;
use crate::harness::{Browser, Env, invariants};
use crate::on_both;

on_both! {
    /// The app is given the name beside the token, at the first sign-in only, as the form in a browser is.
    async fn an_app_signs_in_with_apple_and_brings_the_name(env: &Env) {
        let apple = Apple::start().await;
        let config = apple.config(json!({"native_client_ids": ["com.example.app"]}));
        let app = with_apps(env).connector(config).start().await;
        let party = app.relying_party("app").await;
        let token = apple.native_token(json!({"sub": "000123.abc.0456", "nonce": hashed("raw nonce of the app")}));
        let user = json!({"name": {"firstName": "Ada", "lastName": "Byron"}}).to_string();
        let answer = bring(&party, "apple", &token, "raw nonce of the app", &[("user", &user)]).await;
        let tokens = party.token_response(answer).await;
        let userinfo = party.userinfo(&tokens.access_token).await.body;
        assert_eq!((&userinfo["given_name"], &userinfo["family_name"]), (&json!("Ada"), &json!("Byron")));
    }

    /// The subject is the app-scoped ID that the browser's login has; who signs is another than the Graph API.
    async fn a_limited_login_finds_the_customer_of_the_browser(env: &Env) {
        let facebook = Facebook::start().await;
        facebook.0.log_in_as(json!({"id": "10224999888777666", "name": "Ada Byron", "email": "ada@example.com"}));
        let config = facebook.config(json!({"native_client_ids": ["app-1"]}));
        let app = with_apps(env).connector(config).start().await;
        let shop = app.relying_party("shop").await;
        let (browser, authorization) = (Browser::new(), shop.authorization());
        let page = browser.get(&authorization.url).await;
        let callback = browser.submit(&page, "/login/social", &[("connector", "facebook")]).await;
        let first = shop.finish(&authorization, &callback).await;
        let party = app.relying_party("app").await;
        let ours = nonce(&party).await;
        let claims = json!({
            "sub": "10224999888777666", "nonce": ours, "name": "Ada Byron", "email": "ada@example.com",
        });
        let answer = bring(&party, "facebook", &facebook.limited_token(claims.clone()), &ours, &[]).await;
        assert_eq!(party.token_response(answer).await.claims["sub"], first.claims["sub"]);
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("email", "ada@example.com").len()), (1, 0));
        // Another app's token, and one of another issuer.
        for (name, value) in [("aud", "app-2"), ("iss", "https://facebook.com")] {
            let ours = nonce(&party).await;
            let mut wrong = claims.clone();
            (wrong["nonce"], wrong[name]) = (json!(ours), json!(value));
            let answer = bring(&party, "facebook", &facebook.limited_token(wrong), &ours, &[]).await;
            assert_eq!(refusal(&answer).1, "invalid_request", "{name}");
        }
    }

    /// Another app of the business knows the same person by another ID: it is the same customer, in whatever order.
    async fn the_ids_of_one_business_lead_to_one_customer(env: &Env) {
        let (new, old) = (Facebook::start().await, Facebook::start().await);
        let apps = json!({"business_apps": {"111": "facebook-old"}});
        let old_config = old.config(json!({"id": "facebook-old"}));
        let app = with_apps(env).connector(new.config(apps)).connector(old_config).start().await;
        let shop = app.relying_party("shop").await;
        let log_in = async |connector: &'static str| {
            let (browser, authorization) = (Browser::new(), shop.authorization());
            let page = browser.get(&authorization.url).await;
            let callback = browser.submit(&page, "/login/social", &[("connector", connector)]).await;
            shop.finish(&authorization, &callback).await.claims["sub"].clone()
        };
        old.0.log_in_as(json!({"id": "700", "name": "Ada"}));
        let ada = log_in("facebook-old").await;
        let ids = |id: &str, app: &str| json!({"data": [{"id": id, "app": {"id": app, "name": "x"}}], "paging": {}});
        new.0.log_in_as(json!({"id": "900", "name": "Ada", "ids_for_business": ids("700", "111")}));
        for _ in 0..2 {
            assert_eq!(log_in("facebook").await, ada);
        }
        assert_eq!(log_in("facebook-old").await, ada, "the old one leads there as before");
        // An app that the configuration does not name says nothing, and an ID that nobody has leads nowhere.
        new.0.log_in_as(json!({"id": "901", "name": "Eve", "ids_for_business": ids("700", "222")}));
        assert_ne!(log_in("facebook").await, ada);
        new.0.log_in_as(json!({"id": "902", "name": "Bob", "ids_for_business": ids("799", "111")}));
        assert_ne!(log_in("facebook").await, ada);
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), 3);
        assert_eq!(graph.live("social:facebook", "900")[0].source, "business");
    }
}
