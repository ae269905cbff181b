//! Client registrations, and the generations by which replicas learn of changes.

use samesake::protocol::client_metadata::ClientMetadata;
use samesake::store::{ClientRow, Tx};
use serde_json::json;

use super::samples::at;
use crate::harness::Env;
use crate::on_both;

fn registration(client_id: &str) -> ClientRow {
    let metadata: ClientMetadata = serde_json::from_value(json!({
        "client_id": client_id,
        "redirect_uris": ["https://shop.example/cb"],
        "grant_types": ["authorization_code", "refresh_token"],
        "id_token_signed_response_alg": "ES256",
    }))
    .unwrap();
    ClientRow { metadata, secret_hash: Some("hash".to_owned()), created_at: at(0), updated_at: at(0) }
}

async fn generation(tx: &mut Tx, name: &str) -> i64 {
    let all = tx.generations().await.unwrap();
    all.iter().find(|(known, _)| known == name).map_or(0, |(_, value)| *value)
}

on_both! {
    async fn registrations_are_kept_by_client_id(env: &Env) {
        let store = env.store().await;
        let (bank, shop) = (registration("bank"), registration("shop"));
        let mut tx = store.begin().await.unwrap();
        tx.client_put(&shop).await.unwrap();
        tx.client_put(&bank).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.clients_all().await.unwrap(), [bank.clone(), shop.clone()]);

        let mut changed = ClientRow { secret_hash: None, created_at: at(9), updated_at: at(9), ..shop };
        changed.metadata.client_name = Some("Shop".to_owned());
        tx.client_put(&changed).await.unwrap();
        let kept = ClientRow { created_at: at(0), ..changed };
        assert_eq!(tx.clients_all().await.unwrap(), [bank, kept.clone()]);

        assert!(tx.client_delete("bank").await.unwrap());
        assert!(!tx.client_delete("bank").await.unwrap());
        assert_eq!(tx.clients_all().await.unwrap(), [kept]);
    }

    async fn a_change_of_clients_raises_their_generation(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.generations().await.unwrap(), [("clients".to_owned(), 0), ("keys".to_owned(), 0)]);
        tx.client_put(&registration("shop")).await.unwrap();
        assert_eq!(generation(&mut tx, "clients").await, 1);
        tx.client_delete("nobody").await.unwrap();
        assert_eq!(generation(&mut tx, "clients").await, 1);
        tx.client_delete("shop").await.unwrap();
        assert_eq!(generation(&mut tx, "clients").await, 2);
        assert_eq!(generation(&mut tx, "keys").await, 0);
        drop(tx);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(generation(&mut tx, "clients").await, 0, "rolled back with the change");
    }

    async fn a_new_generation_can_be_named_at_any_time(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        tx.generation_bump("policy").await.unwrap();
        tx.generation_bump("policy").await.unwrap();
        assert_eq!(generation(&mut tx, "policy").await, 2);
    }
}
