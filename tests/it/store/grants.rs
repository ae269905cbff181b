//! Grants: one row per family, one conditional statement per rotation, and a place kept for what a replay voided.

use samesake::ids::{GrantId, Sid};
use samesake::store::Grant;

use super::samples::{at, grant, merge, stored_customer};
use crate::harness::Env;
use crate::on_both;

on_both! {
    async fn a_grant_reads_back_as_written(env: &Env) {
        let store = env.store().await;
        let customer = stored_customer(&store).await;
        let full = grant("1", customer);
        let bare = Grant { sid: None, audience: Vec::new(), offline: false, ..grant("2", customer) };
        let mut tx = store.begin().await.unwrap();
        assert!(tx.grant_insert(&full, None).await.unwrap());
        assert!(tx.grant_insert(&bare, None).await.unwrap());
        assert!(!tx.grant_insert(&full, None).await.unwrap());
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        assert_eq!(tx.grant_find(full.id).await.unwrap(), Some(full));
        assert_eq!(tx.grant_find(bare.id).await.unwrap(), Some(bare));
        assert_eq!(tx.grant_find(GrantId::of_code("3")).await.unwrap(), None);
    }

    async fn a_rotation_moves_one_generation_on(env: &Env) {
        let store = env.store().await;
        let before = grant("1", stored_customer(&store).await);
        let mut tx = store.begin().await.unwrap();
        tx.grant_insert(&before, None).await.unwrap();
        let after = Grant {
            generation: 1,
            rotated_at: at(10),
            last_used_at: at(10),
            idle_expires_at: at(110),
            ..before.clone()
        };
        assert_eq!(tx.grant_rotate(before.id, "shop", 0, at(10), at(110)).await.unwrap(), Some(after.clone()));
        assert_eq!(tx.grant_find(before.id).await.unwrap(), Some(after));
        assert_eq!(tx.grant_rotate(before.id, "shop", 0, at(11), at(111)).await.unwrap(), None);
        assert_eq!(tx.grant_rotate(before.id, "bank", 1, at(11), at(111)).await.unwrap(), None);
        assert_eq!(tx.grant_rotate(before.id, "shop", 2, at(11), at(111)).await.unwrap(), None);
        let last = tx.grant_rotate(before.id, "shop", 1, at(109), at(2000)).await.unwrap().unwrap();
        assert_eq!(last.idle_expires_at, at(1000), "idleness never outlives the grant");
    }

    async fn what_is_over_does_not_rotate(env: &Env) {
        let store = env.store().await;
        let customer = stored_customer(&store).await;
        let idle = grant("idle", customer);
        let expired = Grant { idle_expires_at: at(5000), ..grant("expired", customer) };
        let revoked = grant("revoked", customer);
        let mut tx = store.begin().await.unwrap();
        for grant in [&idle, &expired, &revoked] {
            assert!(tx.grant_insert(grant, None).await.unwrap());
        }
        assert!(tx.grant_revoke(revoked.id, "logout", at(1)).await.unwrap());
        assert!(!tx.grant_revoke(revoked.id, "other", at(2)).await.unwrap());
        assert!(!tx.grant_revoke(GrantId::of_code("none"), "other", at(2)).await.unwrap());
        assert_eq!(tx.grant_rotate(idle.id, "shop", 0, at(100), at(200)).await.unwrap(), None);
        assert_eq!(tx.grant_rotate(expired.id, "shop", 0, at(1000), at(1100)).await.unwrap(), None);
        assert_eq!(tx.grant_rotate(revoked.id, "shop", 0, at(10), at(110)).await.unwrap(), None);
        let found = tx.grant_find(revoked.id).await.unwrap().unwrap();
        assert_eq!((found.revoked_at, found.revoked_reason.as_deref()), (Some(at(1)), Some("logout")));
    }

    /// RFC 6749 §4.1.2: whichever comes first, the replay or the grant it must end.
    async fn a_replay_ends_its_grant_before_and_after_it_is_written(env: &Env) {
        let store = env.store().await;
        let customer = stored_customer(&store).await;
        let (written, late) = (grant("written", customer), grant("late", customer));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.grant_insert(&written, None).await.unwrap());
        for (id, owner) in [(written.id, Some(customer)), (late.id, None)] {
            assert_eq!(tx.grant_void(id, "shop", "code_replayed", at(3)).await.unwrap(), owner);
            assert_eq!(tx.grant_void(id, "shop", "code_replayed_again", at(4)).await.unwrap(), None);
            let voided = tx.grant_find(id).await.unwrap().unwrap();
            assert_eq!((voided.revoked_at, voided.revoked_reason.as_deref()), (Some(at(3)), Some("code_replayed")));
        }
        assert!(!tx.grant_insert(&late, None).await.unwrap(), "its place is taken");
        assert_eq!(tx.grant_rotate(late.id, "shop", 0, at(1), at(2)).await.unwrap(), None);
        let kept = tx.grant_find(written.id).await.unwrap().unwrap();
        assert_eq!(kept.audience, written.audience);
    }

    async fn the_end_of_a_session_ends_what_does_not_outlive_it(env: &Env) {
        let store = env.store().await;
        let customer = stored_customer(&store).await;
        let offline = grant("offline", customer);
        let online = Grant { offline: false, ..grant("online", customer) };
        let elsewhere =
            Grant { offline: false, sid: Some(Sid::from("other".to_owned())), ..grant("elsewhere", customer) };
        let mut tx = store.begin().await.unwrap();
        for grant in [&offline, &online, &elsewhere] {
            assert!(tx.grant_insert(grant, None).await.unwrap());
        }
        let sid = Sid::from("session".to_owned());
        assert_eq!(tx.grants_end_session(&sid, at(5)).await.unwrap(), 1);
        assert_eq!(tx.grants_end_session(&sid, at(6)).await.unwrap(), 0);
        assert_eq!(tx.grant_find(online.id).await.unwrap().unwrap().revoked_at, Some(at(5)));
        for id in [offline.id, elsewhere.id] {
            assert_eq!(tx.grant_find(id).await.unwrap().unwrap().revoked_at, None);
        }
    }

    async fn a_customer_loses_every_grant_by_whatever_id_it_gave_it(env: &Env) {
        let store = env.store().await;
        let (survivor, absorbed) = (stored_customer(&store).await, stored_customer(&store).await);
        let stranger = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        for (code, customer) in [("1", survivor), ("2", absorbed), ("3", stranger)] {
            assert!(tx.grant_insert(&grant(code, customer), None).await.unwrap());
        }
        tx.commit().await.unwrap();
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.grants_revoke_customer(survivor, "blocked", at(5)).await.unwrap(), 2);
        assert_eq!(tx.grants_revoke_customer(survivor, "blocked", at(6)).await.unwrap(), 0);
        assert_eq!(tx.grant_find(GrantId::of_code("3")).await.unwrap().unwrap().revoked_at, None);
    }

    async fn expired_grants_are_purged_a_batch_at_a_time(env: &Env) {
        let store = env.store().await;
        let customer = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        for number in 0..5 {
            let grant = Grant { expires_at: at(1000 + number), ..grant(&number.to_string(), customer) };
            assert!(tx.grant_insert(&grant, None).await.unwrap());
        }
        assert_eq!(tx.grants_purge(at(1003), 2).await.unwrap(), 2);
        assert_eq!(tx.grants_purge(at(1003), 2).await.unwrap(), 1);
        assert_eq!(tx.grants_purge(at(1003), 2).await.unwrap(), 0);
        assert!(tx.grant_find(GrantId::of_code("3")).await.unwrap().is_some());
        assert!(tx.grant_find(GrantId::of_code("2")).await.unwrap().is_none());
    }
}
