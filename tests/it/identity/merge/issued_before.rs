//! What was issued before a merge, or under a name that it retired, is good after it (rules 24 and 26).

use std::time::Duration;

use samesake::identity::merge::{self, Terms};
use samesake::ids::MergeId;
use serde_json::{Value, json};
use url::Url;

use super::sides::{ANN, House, as_ann, sub};
use super::{by_customer, done, undo_request};
use crate::harness::relying_party::Authorization;
use crate::harness::{Browser, Env, invariants};
use crate::oidc::device::Device;
use crate::on_both;

impl House {
    async fn unite(&self) -> MergeId {
        self.app.clock.advance(Duration::from_secs(1));
        let now = self.app.clock.now();
        let (store, config) = (self.app.store.background(), &self.app.app.config.merge);
        let request = by_customer(self.ann, self.bob, now);
        done(merge::execute(&store, config, &request, Terms::default(), now).await.unwrap()).merge
    }

    async fn introspect(&self, token: &str) -> Value {
        self.rp.post("introspection_endpoint", &[("token", token)]).await.body
    }

    /// A reference to a request that was pushed.
    async fn push(&self, changes: &[(&str, &str)]) -> (Authorization, Url) {
        let authorization = self.rp.authorization_with(changes);
        let parameters: Vec<(String, String)> = authorization.url.query_pairs().into_owned().collect();
        let parameters: Vec<(&str, &str)> =
            parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = self.rp.post("pushed_authorization_request_endpoint", &parameters).await;
        let mut url = self.rp.endpoint("authorization_endpoint");
        let request_uri = answer.body["request_uri"].as_str().unwrap_or_else(|| panic!("{}", answer.text));
        url.query_pairs_mut().append_pair("client_id", "shop").append_pair("request_uri", request_uri);
        (authorization, url)
    }
}

on_both! {
    /// Rule 24: a token that names the retired customer is told as the living one's, and as what it was.
    async fn introspection_names_the_living_customer_and_whom_it_was(env: &Env) {
        let house = House::start(env).await;
        let (ann, bob) = (&house.ann_tokens, &house.bob_tokens);
        assert_eq!(house.introspect(&bob.access_token).await["sub"], *sub(bob));
        let merge = house.unite().await;
        // The retired side's session has fallen; what lives on without one is its refresh token.
        let told = house.introspect(bob.refresh_token.as_deref().unwrap()).await;
        assert_eq!((&told["active"], &told["sub"], &told["merged_from"]), (&json!(true), &json!(sub(ann)), &json!([sub(bob)])));
        let token = house.introspect(&bob.access_token).await;
        assert_eq!((&token["sub"], &token["merged_from"]), (&json!(sub(ann)), &json!([sub(bob)])), "{token}");
        let own = house.introspect(&ann.access_token).await;
        assert_eq!((&own["sub"], &own["merged_from"]), (&json!(sub(ann)), &json!([sub(bob)])));

        let (store, config, now) = (house.app.store.background(), &house.app.app.config.merge, house.app.clock.now());
        merge::undo(&store, config, &undo_request(merge), None, now).await.unwrap();
        let told = house.introspect(bob.refresh_token.as_deref().unwrap()).await;
        if told["active"] == true {
            assert_eq!((&told["sub"], told.get("merged_from")), (&json!(sub(bob)), None), "it is Bob's again");
        }
        invariants::check(env).await;
    }

    /// Rule 25: who sees one side of a merge is told of by that side's name.
    async fn introspection_of_one_side_names_that_side(env: &Env) {
        let house = House::start(env).await;
        house.merge().await;
        let told = house.introspect(house.bob_tokens.refresh_token.as_deref().unwrap()).await;
        assert_eq!((&told["active"], &told["sub"], told.get("merged_from")), (&json!(true), &json!(sub(&house.bob_tokens)), None));
        invariants::check(env).await;
    }

    /// Rule 26: what a person allowed a device before a merge or its undoing, it is given after it, of whoever that
    /// person is by then.
    async fn a_device_code_allowed_before_a_merge_redeems_after_it(env: &Env) {
        let house = House::start(env).await;
        let tv = house.app.relying_party("tv").await;
        let browser = Browser::new();
        house.as_bob(&browser).await;
        let allowed = Device::begin(&tv).await;
        allowed.decide(&browser, "allow").await;
        let merge = house.unite().await;
        let tokens = allowed.tokens().await;
        let whole = tv.userinfo(&tokens.access_token).await.body;
        assert_eq!((&whole["email"], &whole["sub"]), (&json!(ANN), &tokens.claims["sub"]), "both sides were proved");

        let browser = Browser::new();
        house.as_bob(&browser).await;
        let late = Device::begin(&tv).await;
        late.decide(&browser, "allow").await;
        let (store, config) = (house.app.store.background(), &house.app.app.config.merge);
        house.app.clock.advance(Duration::from_secs(1));
        merge::undo(&store, config, &undo_request(merge), None, house.app.clock.now()).await.unwrap();
        let alone = tv.userinfo(&late.tokens().await.access_token).await.body;
        assert_eq!((&alone["name"], alone.get("email"), &alone["sub"]), (&json!("Bob Own"), None, &json!(sub(&house.bob_tokens))));
        invariants::check(env).await;
    }

    /// Rule 26: a request that was pushed, with a hint at the retired customer, is answered for the living one.
    async fn a_request_pushed_before_a_merge_is_answered_after_it(env: &Env) {
        let house = House::start(env).await;
        let hint = [("id_token_hint", house.bob_tokens.id_token.as_str()), ("prompt", "login")];
        let (authorization, address) = house.push(&hint).await;
        let merge = house.unite().await;
        let callback = house.app.log_in(&Browser::new(), &address, ANN).await;
        let tokens = house.rp.finish(&authorization, &callback).await;
        assert_eq!((sub(&tokens), &tokens.claims["merged_from"]), (sub(&house.ann_tokens), &json!([sub(&house.bob_tokens)])));

        // And one pushed while they were one, answered when they are two again.
        let browser = Browser::new();
        as_ann(&house.app, &house.rp, &browser).await;
        let (authorization, address) = house.push(&[]).await;
        let (store, config) = (house.app.store.background(), &house.app.app.config.merge);
        house.app.clock.advance(Duration::from_secs(1));
        merge::undo(&store, config, &undo_request(merge), None, house.app.clock.now()).await.unwrap();
        let callback = house.app.log_in(&browser, &address, ANN).await;
        let tokens = house.rp.finish(&authorization, &callback).await;
        assert_eq!((sub(&tokens), tokens.claims.get("merged_from")), (sub(&house.ann_tokens), None));
        invariants::check(env).await;
    }
}
