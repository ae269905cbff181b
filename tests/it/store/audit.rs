//! The audit log: whatever is changed in it afterwards shows.

use samesake::ids::{CustomerId, EventId};
use samesake::store::{AuditCheck, Store};
use uuid::Uuid;

use super::samples::{at, entry, execute, stored_customer};
use crate::harness::Env;
use crate::on_both;

/// A customer ID on this chain; the log needs no customer to exist.
fn on_chain(chain: u8) -> CustomerId {
    CustomerId(Uuid::from_u128(u128::from(chain) + 0x7000_0000_0000_0000_0000))
}

async fn append(store: &Store, customer: Option<CustomerId>, actions: &[&str]) {
    let mut tx = store.begin().await.unwrap();
    for action in actions {
        tx.audit_append(&entry(customer, action)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn verify(store: &Store, chain: i32) -> AuditCheck {
    store.begin_read().await.unwrap().audit_verify(chain).await.unwrap()
}

on_both! {
    async fn entries_read_back_and_their_chain_holds(env: &Env) {
        let store = env.store().await;
        let customer = stored_customer(&store).await;
        let first = entry(Some(customer), "customer.created");
        let second = samesake::store::AuditEntry { at: at(1), ..entry(Some(customer), "link.added") };
        let mut tx = store.begin().await.unwrap();
        tx.audit_append(&first).await.unwrap();
        tx.audit_append(&second).await.unwrap();
        assert_eq!(tx.audit_of(customer, 10).await.unwrap(), [], "written by commit");
        tx.commit().await.unwrap();
        let rows = store.begin_read().await.unwrap().audit_of(customer, 10).await.unwrap();
        let [newest, oldest] = rows.as_slice() else { panic!("two entries, not {}", rows.len()) };
        assert_eq!((oldest.seq, newest.seq), (1, 2));
        assert_eq!((oldest.id, newest.id), (first.id, second.id));
        assert_eq!((newest.actor.as_str(), newest.action.as_str(), newest.at), ("system", "link.added", at(1)));
        assert_eq!(newest.detail, second.detail.to_string());
        assert_eq!(oldest.previous_hash, [0; 32]);
        assert_eq!(newest.previous_hash, oldest.hash);
        assert_eq!(verify(&store, oldest.chain).await, AuditCheck::Intact { entries: 2 });
        let newest_only = store.begin_read().await.unwrap().audit_of(customer, 1).await.unwrap();
        assert_eq!(newest_only.as_slice(), rows.split_at(1).0);
    }

    async fn a_customer_stays_on_one_chain_and_the_system_on_the_first(env: &Env) {
        let store = env.store().await;
        append(&store, None, &["system.started"]).await;
        for chain in 0..16 {
            append(&store, Some(on_chain(chain)), &["a", "b"]).await;
        }
        assert_eq!(verify(&store, 0).await, AuditCheck::Intact { entries: 3 });
        for chain in 1..16 {
            assert_eq!(verify(&store, chain).await, AuditCheck::Intact { entries: 2 });
        }
        assert!(store.begin_read().await.unwrap().audit_verify(16).await.is_err());
    }

    async fn a_rolled_back_entry_leaves_no_gap(env: &Env) {
        let store = env.store().await;
        append(&store, None, &["a"]).await;
        let mut tx = store.begin().await.unwrap();
        tx.audit_append(&entry(None, "b")).await.unwrap();
        drop(tx);
        append(&store, None, &["c"]).await;
        assert_eq!(verify(&store, 0).await, AuditCheck::Intact { entries: 2 });
    }

    /// A check reads pages of 1000.
    async fn a_long_chain_is_checked_to_its_end(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        for _ in 0..1001 {
            tx.audit_append(&entry(None, "a")).await.unwrap();
        }
        tx.commit().await.unwrap();
        assert_eq!(verify(&store, 0).await, AuditCheck::Intact { entries: 1001 });
        execute(env, "UPDATE audit SET actor = 'nobody' WHERE seq = 1001").await;
        assert_eq!(verify(&store, 0).await, AuditCheck::Broken { seq: 1001 });
    }

    async fn every_kind_of_tampering_shows(env: &Env) {
        let store = env.store().await;
        for (chain, tampering, broken) in [
            (1, "UPDATE audit SET action = 'x' WHERE chain = 1 AND seq = 2", 2),
            (2, "UPDATE audit SET at = at + 1 WHERE chain = 2 AND seq = 1", 1),
            (3, "DELETE FROM audit WHERE chain = 3 AND seq = 2", 2),
            (4, "DELETE FROM audit WHERE chain = 4 AND seq = 3", 3),
            (5, "UPDATE audit SET detail = '{}' WHERE chain = 5 AND seq = 3", 3),
            (6, "UPDATE audit SET customer = NULL WHERE chain = 6 AND seq = 1", 1),
            (7, "UPDATE audit SET previous_hash = hash WHERE chain = 7 AND seq = 2", 2),
            (8, "UPDATE audit_chains SET hash = previous_hash WHERE chain = 8", 3),
            (9, "UPDATE audit SET seq = -seq WHERE chain = 9; UPDATE audit SET seq = seq + 4 WHERE chain = 9", 1),
        ] {
            append(&store, Some(on_chain(chain)), &["a", "b", "c"]).await;
            assert_eq!(verify(&store, chain.into()).await, AuditCheck::Intact { entries: 3 });
            execute(env, tampering).await;
            assert_eq!(verify(&store, chain.into()).await, AuditCheck::Broken { seq: broken }, "{tampering}");
        }
    }

    /// The hash is documented, so that an auditor can compute it without us.
    async fn the_hash_of_a_known_entry_is_known(env: &Env) {
        let store = env.store().await;
        let mut known = entry(None, "system.started");
        known.id = EventId(Uuid::from_u128(1));
        known.detail = serde_json::json!({"version": 1});
        let mut tx = store.begin().await.unwrap();
        tx.audit_append(&known).await.unwrap();
        tx.commit().await.unwrap();
        let said = r#"["00000000-0000-0000-0000-000000000001",1795000000000000,"system","system.started",null,"{\"version\":1}"]"#;
        let digest = samesake::secret::sha256(&[said.as_bytes()]);
        let expected = samesake::secret::sha256(&[&[0; 32], &[0, 0, 0, 0, 0, 0, 0, 1], &digest]);
        let hash: String = expected.iter().map(|byte| format!("{byte:02X}")).collect();
        // The guard lets the update through only if the hash stands there; then the chain breaks.
        let found = match env.pair {
            crate::harness::Pair::SqliteInProcess => format!("hex(hash) = '{hash}'"),
            crate::harness::Pair::PostgresRedis => format!("upper(encode(hash, 'hex')) = '{hash}'"),
        };
        execute(env, &format!("UPDATE audit SET actor = 'x' WHERE {found}")).await;
        assert_eq!(verify(&store, 0).await, AuditCheck::Broken { seq: 1 });
    }
}
