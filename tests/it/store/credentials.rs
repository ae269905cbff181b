//! Passwords and consents: what a customer proves itself with, and what it allowed.

use samesake::ids::CustomerId;
use samesake::store::{CredentialState, CustomerState, Store, Tx};
use serde_json::json;

use super::samples::{at, customer, link, merge, password, stored_customer};
use crate::harness::Env;
use crate::on_both;

/// A customer with a proved address and a password.
async fn registered(store: &Store, email: &str, phc: &str) -> CustomerId {
    let id = stored_customer(store).await;
    let mut tx = store.begin().await.unwrap();
    assert!(tx.link_insert(&link("email", email, id)).await.unwrap());
    assert!(tx.credential_insert(&password(id, phc)).await.unwrap());
    tx.commit().await.unwrap();
    id
}

on_both! {
    async fn a_password_login_reads_all_it_needs(env: &Env) {
        let store = env.store().await;
        let id = registered(&store, "ada@example.org", "$argon2id$1").await;
        let mut tx = store.begin_read().await.unwrap();
        let found = tx.password_logins("ada@example.org").await.unwrap().pop().unwrap();
        assert_eq!((found.customer, found.root, found.root_state), (id, id, CustomerState::Active));
        assert_eq!((found.phc.as_str(), found.version), ("$argon2id$1", 1));
        assert_eq!(found.profile, json!({"name": "Ada"}));
        let links = tx.links_of(id, 10).await.unwrap();
        assert_eq!(links.first().map(|link| link.id), Some(found.link));
        let credentials = tx.credentials_of(id).await.unwrap();
        assert_eq!(credentials.first().map(|credential| credential.id), Some(found.credential));
        assert!(tx.password_logins("grace@example.org").await.unwrap().is_empty());
    }

    /// Identity rule 25: joining profiles is not joining keys.
    async fn after_a_merge_each_address_keeps_its_own_password(env: &Env) {
        let store = env.store().await;
        let survivor = registered(&store, "ada@example.org", "$argon2id$survivor").await;
        let absorbed = registered(&store, "ada@work.example", "$argon2id$absorbed").await;
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin_read().await.unwrap();
        for (email, phc, customer) in [
            ("ada@example.org", "$argon2id$survivor", survivor),
            ("ada@work.example", "$argon2id$absorbed", absorbed),
        ] {
            let found = tx.password_logins(email).await.unwrap();
            let own = found.iter().find(|login| login.keeper == customer).unwrap();
            assert_eq!((own.phc.as_str(), own.customer, own.root, found.len()), (phc, customer, survivor, 2));
        }
        assert_eq!(tx.credentials_of(survivor).await.unwrap().len(), 2);
        assert!(tx.credentials_of(absorbed).await.unwrap().is_empty());
    }

    async fn a_customer_has_one_live_password(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        let mut ended = password(id, "$old");
        (ended.state, ended.created_at) = (CredentialState::Ended, at(-1));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.credential_insert(&ended).await.unwrap());
        assert!(tx.credential_insert(&password(id, "$1")).await.unwrap());
        assert!(!tx.credential_insert(&password(id, "$2")).await.unwrap());
        let kept = tx.credentials_of(id).await.unwrap();
        let secrets: Vec<_> = kept.iter().map(|credential| credential.secret.as_str()).collect();
        assert_eq!(secrets, ["$old", "$1"]);
    }

    async fn a_password_changes_while_it_is_live(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        let live = password(id, "$1");
        let mut ended = password(id, "$old");
        ended.state = CredentialState::Ended;
        let mut tx = store.begin().await.unwrap();
        assert!(tx.credential_insert(&live).await.unwrap());
        assert!(tx.credential_insert(&ended).await.unwrap());
        tx.credential_used(live.id, at(3)).await.unwrap();
        tx.credential_secret_set(live.id, "$2", at(4)).await.unwrap();
        tx.credential_secret_set(ended.id, "$2", at(4)).await.unwrap();
        let all = tx.credentials_of(id).await.unwrap();
        let read = all.iter().find(|credential| credential.id == live.id).unwrap();
        assert_eq!((read.secret.as_str(), read.updated_at, read.last_used_at), ("$2", at(4), Some(at(3))));
        // A login that was under way when the password changed does not bring the old one back.
        tx.credential_rehash(live.id, "$1", "$1 anew", at(5)).await.unwrap();
        tx.credential_rehash(live.id, "$2", "$2 anew", at(6)).await.unwrap();
        let all = tx.credentials_of(id).await.unwrap();
        let read = all.iter().find(|credential| credential.id == live.id).unwrap();
        assert_eq!((read.secret.as_str(), read.updated_at), ("$2 anew", at(6)));
        assert!(all.contains(&ended));
    }

    async fn consent_is_found_and_replaced(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.consent_find(id, "shop").await.unwrap(), None);
        tx.consent_put(id, "shop", "openid email", at(1)).await.unwrap();
        assert_eq!(tx.consent_find(id, "shop").await.unwrap().as_deref(), Some("openid email"));
        tx.consent_put(id, "shop", "openid", at(2)).await.unwrap();
        assert_eq!(tx.consent_find(id, "shop").await.unwrap().as_deref(), Some("openid"));
        assert_eq!(tx.consent_find(id, "bank").await.unwrap(), None);
        assert_eq!(tx.consent_find(customer().id, "shop").await.unwrap(), None);
    }

    async fn consent_is_seen_with_the_state_of_the_customer(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        let seen = async |tx: &mut Tx, id, client: &str| {
            let rows = tx.members_consenting(id, client).await.unwrap();
            rows.into_iter().map(|row| (row.member.state, row.scope)).collect::<Vec<_>>()
        };
        assert_eq!(seen(&mut tx, id, "shop").await, [(CustomerState::Active, None)]);
        tx.consent_put(id, "shop", "openid email", at(1)).await.unwrap();
        tx.customer_state_set(id, CustomerState::Blocked, at(2)).await.unwrap();
        let allowed = Some("openid email".to_owned());
        assert_eq!(seen(&mut tx, id, "shop").await, [(CustomerState::Blocked, allowed)]);
        assert_eq!(seen(&mut tx, id, "bank").await, [(CustomerState::Blocked, None)]);
        assert_eq!(seen(&mut tx, customer().id, "shop").await, []);
    }

    /// Identity rules 27 and 33.
    async fn merged_consent_is_the_most_restrictive_and_goes_to_both(env: &Env) {
        let store = env.store().await;
        let (survivor, absorbed) = (stored_customer(&store).await, stored_customer(&store).await);
        let mut tx = store.begin().await.unwrap();
        tx.consent_put(survivor, "shop", "openid email phone", at(1)).await.unwrap();
        tx.consent_put(absorbed, "shop", "openid phone address", at(2)).await.unwrap();
        tx.consent_put(absorbed, "bank", "openid", at(2)).await.unwrap();
        tx.commit().await.unwrap();
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.consent_find(survivor, "shop").await.unwrap().as_deref(), Some("openid phone"));
        let rows = tx.members_consenting(absorbed, "shop").await.unwrap();
        assert_eq!(rows.iter().filter(|row| row.scope.is_some()).count(), 2);
        assert_eq!(tx.consent_find(survivor, "bank").await.unwrap().as_deref(), Some("openid"));
        tx.consent_put(survivor, "shop", "openid address", at(3)).await.unwrap();
        assert_eq!(tx.consent_find(survivor, "shop").await.unwrap().as_deref(), Some("openid address"));
    }
}
