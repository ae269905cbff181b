//! The whole way of two customers, over real HTTP (rules 22 to 26 and 32): each with an account of the shop, an account at
//! a provider, a live session and refresh tokens, and one with a code on its way; merged, used for a week, and parted.

use std::time::Duration;

use samesake::identity::merge::{self, Terms, Undone};
use samesake::identity::namespace::Namespace;
use samesake::ids::CustomerId;
use serde_json::{Value, json};

use super::{Board, by_customer, done, picture, undo_request};
use crate::harness::relying_party::Tokens;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants};
use crate::login::log_in_through;
use crate::on_both;

/// One of the two, as the shop meets them.
struct Person {
    id: CustomerId,
    connector: &'static str,
    shop_id: &'static str,
    browser: Browser,
    tokens: Tokens,
}

struct Shop {
    app: TestApp,
    rp: RelyingParty,
    _upstreams: [Upstream; 2],
}

impl Shop {
    async fn start(env: &Env) -> Shop {
        let google = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        google.add_person("ann-1", json!({"email": "ann@shop.example", "email_verified": true, "name": "Ann"}));
        let github = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        github.add_person("anna-1", json!({"email": "anna@hub.example", "email_verified": true, "name": "Anna"}));
        let app = TestApp::builder(env).web_client("shop").connector(google.config("google"));
        let app = app.connector(github.config("github")).start().await;
        let rp = app.relying_party("shop").await;
        Shop { app, rp, _upstreams: [google, github] }
    }

    /// Somebody signs in at the shop, which has known them by a number of its own.
    async fn person(&self, connector: &'static str, subject: &str, shop_id: &'static str) -> Person {
        let browser = Browser::new();
        let tokens = log_in_through(&self.rp, &browser, connector).await;
        let board = Board::new(self.app.store.background());
        let id = board.store.begin_read().await.unwrap().link_resolve(&format!("social:{connector}"), subject).await;
        let id = id.unwrap().unwrap();
        board.link(id, Namespace::App("shop".to_owned()), shop_id, self.app.clock.now()).await;
        Person { id, connector, shop_id, browser, tokens }
    }

    /// The `sub` of a new login.
    async fn login(&self, person: &Person) -> String {
        sub(&log_in_through(&self.rp, &Browser::new(), person.connector).await.claims)
    }

    /// The `sub` after a refresh, which gives the next refresh token.
    async fn refresh(&self, person: &mut Person) -> String {
        let answer = self.rp.refresh(person.tokens.refresh_token.as_deref().unwrap()).await;
        person.tokens = self.rp.token_response(answer).await;
        sub(&person.tokens.claims)
    }

    /// Who the shop's own number stands for.
    async fn by_shop_id(&self, person: &Person) -> CustomerId {
        let store = self.app.store.background();
        let found = store.begin_read().await.unwrap().link_resolve("app:shop", person.shop_id).await;
        found.unwrap().unwrap()
    }

    async fn name(&self, tokens: &Tokens) -> Value {
        self.rp.userinfo(&tokens.access_token).await.body["name"].clone()
    }
}

fn sub(claims: &Value) -> String {
    claims["sub"].as_str().unwrap().to_owned()
}

on_both! {
    async fn two_customers_with_everything_are_merged_used_for_a_week_and_parted_as_before(env: &Env) {
        let shop = Shop::start(env).await;
        let mut ann = shop.person("google", "ann-1", "a-1").await;
        let mut anna = shop.person("github", "anna-1", "b-1").await;
        let (ann_sub, anna_sub) = (sub(&ann.tokens.claims), sub(&anna.tokens.claims));
        assert_ne!(ann_sub, anna_sub);
        // A code on its way to the shop.
        let on_its_way = shop.rp.authorization();
        let callback = anna.browser.get(&on_its_way.url).await;
        assert!(callback.stopped);
        let before = picture(&invariants::check(env).await);
        let (store, config) = (shop.app.store.background(), &shop.app.app.config.merge);
        let now = shop.app.clock.now();
        let request = by_customer(ann.id, anna.id, now);
        let merge = done(merge::execute(&store, config, &request, Terms::default(), now).await.unwrap()).merge;

        // One customer, by every way in and every number, and everything that was given out works.
        assert_eq!((shop.login(&ann).await, shop.login(&anna).await), (ann_sub.clone(), ann_sub.clone()));
        assert_eq!((shop.by_shop_id(&ann).await, shop.by_shop_id(&anna).await), (ann.id, ann.id));
        assert_eq!(sub(&shop.rp.finish(&on_its_way, &callback).await.claims), ann_sub);
        assert!(ann.browser.get(&shop.rp.authorization().url).await.stopped, "the survivor's session goes on");
        for _ in 0..7 {
            shop.app.clock.advance(Duration::from_secs(24 * 60 * 60));
            assert_eq!(shop.refresh(&mut ann).await, ann_sub);
            assert_eq!(shop.refresh(&mut anna).await, anna_sub, "a family keeps its subject");
        }
        assert_eq!(shop.name(&ann.tokens).await, shop.name(&anna.tokens).await, "they are one");
        assert_eq!((shop.login(&ann).await, shop.login(&anna).await), (ann_sub.clone(), ann_sub.clone()));

        // Undone: both are who they were, and neither sees anything of the other.
        let now = shop.app.clock.now();
        let undone = merge::undo(&store, config, &undo_request(merge), None, now).await.unwrap();
        assert!(matches!(undone, Undone::Done { repeated: false, .. }), "{undone:?}");
        assert_eq!(picture(&invariants::check(env).await), before);
        assert_eq!((shop.login(&ann).await, shop.login(&anna).await), (ann_sub.clone(), anna_sub.clone()));
        assert_eq!((shop.by_shop_id(&ann).await, shop.by_shop_id(&anna).await), (ann.id, anna.id));
        assert_eq!((shop.refresh(&mut ann).await, shop.refresh(&mut anna).await), (ann_sub, anna_sub));
        assert_eq!((shop.name(&ann.tokens).await, shop.name(&anna.tokens).await), (json!("Ann"), json!("Anna")));
        invariants::check(env).await;
    }
}
