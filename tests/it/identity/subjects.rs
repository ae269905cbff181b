//! What apps call a customer: stored at first issue, and never computed again (rule 23).

use samesake::secret::Secret;
use serde_json::json;

use crate::harness::app::{CLIENT_SECRET, web_client};
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::on_both;

const ANN: &str = "ann@shop.example";

async fn gateway(env: &Env, master_key: &str, pairwise: &[&str]) -> TestApp {
    let mut builder = TestApp::builder(env);
    for client_id in ["shop", "news"] {
        let kind = if pairwise.contains(&client_id) { "pairwise" } else { "public" };
        builder = builder.client(web_client(client_id, json!({"subject_type": kind})), Some(CLIENT_SECRET));
    }
    let key = Secret::new(samesake::secret::base64url(master_key.repeat(32).as_bytes()));
    builder.configure(|config| config.secrets.master_key = Some(key)).start().await
}

async fn sub(app: &TestApp, client_id: &str) -> String {
    let rp = app.relying_party(client_id).await;
    let authorization = rp.authorization();
    let callback = app.log_in(&Browser::new(), &authorization.url, ANN).await;
    let tokens = rp.finish(&authorization, &callback).await;
    let userinfo = rp.userinfo(&tokens.access_token).await;
    assert_eq!(userinfo.body["sub"], tokens.claims["sub"]);
    tokens.claims["sub"].as_str().unwrap().to_owned()
}

on_both! {
    async fn a_subject_outlives_the_key_it_was_made_with(env: &Env) {
        let app = gateway(env, "k", &["shop"]).await;
        let ann = app.customer(ANN, "Ann").await;
        let (shop, news) = (sub(&app, "shop").await, sub(&app, "news").await);
        assert_eq!(news, ann.to_string(), "public: the customer ID");
        assert!(shop != news && !shop.contains(&ann.to_string()), "pairwise: nothing to be read from it");
        drop(app);
        // The signing keys are sealed under the master key too: a new installation's are made anew.
        let mut tx = env.store().await.begin().await.unwrap();
        for key in tx.keys_all().await.unwrap() {
            tx.key_delete(&key.kid).await.unwrap();
        }
        tx.commit().await.unwrap();
        let app = gateway(env, "K", &["shop"]).await;
        assert_eq!((sub(&app, "shop").await, sub(&app, "news").await), (shop.clone(), news.clone()));
        drop(app);
        // Nor does it matter when an app changes its kind afterwards.
        let app = gateway(env, "K", &["news"]).await;
        assert_eq!((sub(&app, "shop").await, sub(&app, "news").await), (shop, news));
        let graph = invariants::check(env).await;
        assert_eq!(graph.subjects.len(), 2);
    }

    /// Two apps of one sector call a customer the same; two sectors cannot compare notes.
    async fn apps_of_one_sector_share_their_subjects(env: &Env) {
        let mut builder = TestApp::builder(env);
        for (client_id, host) in [("shop", "shop"), ("desk", "shop"), ("news", "news")] {
            let changes = json!({
                "subject_type": "pairwise", "redirect_uris": [format!("https://{host}.example/{client_id}")],
            });
            builder = builder.client(web_client(client_id, changes), Some(CLIENT_SECRET));
        }
        let app = builder.start().await;
        app.customer(ANN, "Ann").await;
        let shop = sub(&app, "shop").await;
        assert_eq!(sub(&app, "desk").await, shop);
        assert_ne!(sub(&app, "news").await, shop);
        assert_eq!(invariants::check(env).await.subjects.len(), 2);
    }
}
