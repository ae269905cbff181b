//! Browser sessions over the key-value store, through tower-sessions' storage face.

use std::collections::HashMap;
use std::time::Duration;

use samesake::clock::Timestamp;
use samesake::http::session_store::{KvSessionStore, load_record, session_id, session_key};
use samesake::kv::Kv;
use time::OffsetDateTime;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};

use crate::harness::{Env, until};
use crate::on_both;

const HOUR: Duration = Duration::from_secs(3600);

fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.micros()) * 1000).unwrap()
}

async fn store(env: &Env) -> (Kv, KvSessionStore) {
    let kv = env.kv().await;
    (kv.clone(), KvSessionStore::new(kv, env.clock.clone()))
}

async fn created(env: &Env, store: &KvSessionStore, lifetime: Duration) -> Record {
    let data = HashMap::from([("customer".to_owned(), serde_json::json!("someone"))]);
    let mut record = Record { id: Id(1), data, expiry_date: date(env.clock.now() + lifetime) };
    store.create(&mut record).await.unwrap();
    record
}

on_both! {
    async fn a_session_is_found_by_its_id_until_it_is_deleted(env: &Env) {
        let (_, store) = store(env).await;
        let mut record = created(env, &store, HOUR).await;
        assert_eq!(store.load(&record.id).await.unwrap(), Some(record.clone()));
        record.data.insert("level".to_owned(), serde_json::json!(2));
        store.save(&record).await.unwrap();
        assert_eq!(store.load(&record.id).await.unwrap(), Some(record.clone()));
        store.delete(&record.id).await.unwrap();
        assert_eq!(store.load(&record.id).await.unwrap(), None);
    }

    async fn every_session_gets_an_id_of_its_own(env: &Env) {
        let (_, store) = store(env).await;
        let (one, two) = (created(env, &store, HOUR).await, created(env, &store, HOUR).await);
        assert_ne!(one.id, two.id);
        assert_ne!(one.id, Id(1));
    }

    async fn the_id_is_neither_in_the_key_nor_in_the_value(env: &Env) {
        let (kv, store) = store(env).await;
        let record = created(env, &store, HOUR).await;
        let key = session_key(&record.id);
        let value = String::from_utf8(kv.get(&key).await.unwrap().unwrap()).unwrap();
        for id in [record.id.to_string(), record.id.0.to_string()] {
            assert!(!key.contains(&id) && !value.contains(&id));
        }
    }

    async fn a_session_ends_with_its_lifetime(env: &Env) {
        let (_, store) = store(env).await;
        let record = created(env, &store, Duration::from_millis(60)).await;
        until("the session to end", async || store.load(&record.id).await.unwrap().is_none()).await;
    }

    async fn the_clock_ends_a_session_even_where_the_server_has_another(env: &Env) {
        let (_, store) = store(env).await;
        let record = created(env, &store, HOUR).await;
        env.clock.advance(HOUR);
        assert_eq!(store.load(&record.id).await.unwrap(), None);
    }

    async fn a_save_of_an_expired_session_leaves_nothing(env: &Env) {
        let (kv, store) = store(env).await;
        let mut record = created(env, &store, HOUR).await;
        record.expiry_date = date(env.clock.now() - HOUR);
        store.save(&record).await.unwrap();
        assert_eq!(kv.get(&session_key(&record.id)).await.unwrap(), None);
    }

    async fn a_save_after_logout_does_not_bring_the_session_back(env: &Env) {
        let (_, store) = store(env).await;
        let record = created(env, &store, HOUR).await;
        store.delete(&record.id).await.unwrap();
        store.save(&record).await.unwrap();
        assert_eq!(store.load(&record.id).await.unwrap(), None);
    }

    async fn a_save_racing_a_logout_never_brings_the_session_back(env: &Env) {
        let (_, store) = store(env).await;
        for _ in 0..50 {
            let record = created(env, &store, HOUR).await;
            let saves: Vec<_> = (0..4)
                .map(|_| {
                    let (store, record) = (store.clone(), record.clone());
                    tokio::spawn(async move { store.save(&record).await.unwrap() })
                })
                .collect();
            store.delete(&record.id).await.unwrap();
            for save in saves {
                save.await.unwrap();
            }
            assert_eq!(store.load(&record.id).await.unwrap(), None);
        }
    }

    async fn a_session_is_read_from_its_cookie_in_one_round_trip(env: &Env) {
        let (kv, store) = store(env).await;
        let record = created(env, &store, HOUR).await;
        let id = session_id(&record.id.to_string()).unwrap();
        let before = kv.round_trips();
        assert_eq!(load_record(&kv, &id, env.clock.now()).await.unwrap(), Some(record));
        assert_eq!(kv.round_trips() - before, 1);
        for foreign in ["", "x", "../../../etc/passwd", &"A".repeat(23), &"A".repeat(5000)] {
            assert_eq!(session_id(foreign), None, "{foreign}");
        }
    }
}
