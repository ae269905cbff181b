//! Whose an identifier is, and how surely (identity rules 20 and 46), and what asking costs.

use samesake::protocol::admin_role::AdminRole;
use serde_json::json;

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::Env;
use crate::on_both;
use crate::store::samples::{link, merge};

on_both! {
    async fn an_identifier_tells_whose_it_is_and_how_surely(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        let mut tx = office.app.store.background().begin().await.unwrap();
        for (namespace, external_id, exclusive) in
            [("app:shop", "user 17/ü?&", true), ("unproved_email", "hint@example.com", false)]
        {
            let mut link = link(namespace, external_id, ann);
            (link.exclusive, link.verified_at, link.proof) = (exclusive, None, None);
            assert!(tx.link_insert(&link).await.unwrap());
        }
        tx.commit().await.unwrap();
        let token = office.robot(AdminRole::Viewer).await;
        let resolve = async |namespace: &str, external_id: &str| {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("namespace", namespace), ("external_id", external_id)])
                .finish();
            office.get(&token, &format!("/links?{query}")).await
        };
        for (namespace, external_id, level) in [
            ("email", "ANN@Example.com", "proved"),
            ("app:shop", "user 17/ü?&", "asserted"),
        ] {
            let resolved = resolve(namespace, external_id).await;
            assert_good(&resolved);
            assert_eq!(resolved.body["customer"], ann.to_string());
            assert_eq!(resolved.body["link"]["level"], level);
        }
        // A hint leads nowhere, and neither does another namespace's identifier.
        for (namespace, external_id) in [
            ("unproved_email", "hint@example.com"), ("email", "hint@example.com"), ("app:other", "user 17/ü?&"),
            ("app:shop", "user 17"), ("phone", "17"),
        ] {
            assert_problem(&resolve(namespace, external_id).await, 404, "not-found");
        }
        for (namespace, external_id) in [("nonsense", "x"), ("", "x"), ("email", ""), ("app:", "x"), ("app:shop", "a\0b")] {
            assert_problem(&resolve(namespace, external_id).await, 400, "invalid-request");
        }
    }

    async fn an_identifier_of_a_retired_customer_leads_to_whoever_lives_on(env: &Env) {
        let office = Office::start(env).await;
        let (ann, ben) = (office.app.customer(ANN, "Ann").await, office.app.customer(BEN, "Ben").await);
        merge(env, ann, ben).await;
        let token = office.robot(AdminRole::Viewer).await;
        let resolved = office.get(&token, &format!("/links?namespace=email&external_id={BEN}")).await;
        assert_good(&resolved);
        assert_eq!(
            (&resolved.body["customer"], &resolved.body["merged_from"]),
            (&json!(ann.to_string()), &json!(ben.to_string()))
        );
    }

    /// The role is one statement, the look-up one, and its record one more, which on SQLite is three.
    async fn asking_costs_one_statement_for_the_role(env: &Env) {
        let office = Office::start(env).await;
        office.app.customer(BEN, "Ben").await;
        office.admin(ANN, AdminRole::Viewer).await;
        let robot = office.robot(AdminRole::Viewer).await;
        let person = office.sign_in(&crate::harness::Browser::new(), ANN).await.access_token;
        let cost = async |token: &str| {
            let before = office.app.store.statements();
            assert_good(&office.get(token, &format!("/links?namespace=email&external_id={BEN}")).await);
            office.app.store.statements() - before
        };
        let record = if env.pair == crate::harness::Pair::PostgresRedis { 1 } else { 3 };
        assert_eq!((cost(&robot).await, cost(&person).await), (1 + record, 2 + record));
    }
}
