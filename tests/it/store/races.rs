//! Races: of any number at once, exactly one wins, nobody fails, and numbers have no gaps.
//!
//! They count on Postgres, where transactions really run at once; on SQLite they show that the writers' queue holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use samesake::clock::uuid_v7;
use samesake::ids::GrantId;
use samesake::protocol::jwk::SigningAlgorithm;
use samesake::store::retry::retry;
use samesake::store::{AuditCheck, KeyState, SigningKeyRow, Store};
use serde_json::json;
use tokio::sync::Barrier;

use super::samples::{at, customer, entry, event, grant, link, password, stored_customer};
use crate::harness::Env;
use crate::{on_both, on_servers};

/// Runs a task many times at once and answers what each answered.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    store: &Store,
    tasks: usize,
    task: impl Fn(Store, usize) -> F,
) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(tasks));
    let running: Vec<_> = (0..tasks)
        .map(|number| {
            let (barrier, task) = (Arc::clone(&barrier), task(store.clone(), number));
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.unwrap());
    }
    answers
}

fn count(answers: &[bool]) -> usize {
    answers.iter().filter(|answer| **answer).count()
}

on_both! {
    /// Identity rule 7: fifty first logins of one social account end with one link, and all find its owner.
    async fn one_of_fifty_links_stands(env: &Env) {
        let store = env.store().await;
        let answers = at_once(&store, 50, |store, _| async move {
            let customer = customer();
            let mut tx = store.begin().await.unwrap();
            tx.customer_insert(&customer).await.unwrap();
            let won = tx.link_insert(&link("social:google", "abc", customer.id)).await.unwrap();
            let owner = tx.link_resolve("social:google", "abc").await.unwrap().unwrap();
            if won {
                assert_eq!(owner, customer.id);
                tx.commit().await.unwrap();
            }
            (won, owner)
        })
        .await;
        assert_eq!(answers.iter().filter(|(won, _)| *won).count(), 1);
        let owner = store.begin_read().await.unwrap().link_resolve("social:google", "abc").await.unwrap();
        assert!(answers.iter().all(|(_, found)| Some(*found) == owner));
    }

    async fn one_of_twenty_rotations_succeeds(env: &Env) {
        let store = env.store().await;
        let family = grant("1", stored_customer(&store).await);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.grant_insert(&family, None).await.unwrap());
        tx.commit().await.unwrap();
        let answers = at_once(&store, 20, move |store, _| async move {
            let mut tx = store.begin().await.unwrap();
            let rotated = tx.grant_rotate(family.id, "shop", 0, at(1), at(101)).await.unwrap().is_some();
            tx.commit().await.unwrap();
            rotated
        })
        .await;
        assert_eq!(count(&answers), 1);
        let found = store.begin_read().await.unwrap().grant_find(family.id).await.unwrap().unwrap();
        assert_eq!(found.generation, 1);
    }

    /// A code is redeemed while the link that its login came by ends: no grant outlives the link (identity rule 19).
    async fn no_grant_outlives_the_link_it_came_by(env: &Env) {
        let store = env.store().await;
        for round in 0..8 {
            let customer = stored_customer(&store).await;
            let link = link("social:google", &format!("s{round}"), customer);
            let (link_id, claims) = (link.id, json!({"link": link.id}));
            let mut tx = store.begin().await.unwrap();
            assert!(tx.link_insert(&link).await.unwrap());
            tx.commit().await.unwrap();
            at_once(&store, 8, move |store, number| {
                let claims = claims.clone();
                async move {
                    let mut tx = store.begin().await.unwrap();
                    if number == 4 {
                        tx.link_end(link_id, at(1)).await.unwrap();
                        tx.grants_revoke_link(customer, link_id, "unlinked", at(1), at(1)).await.unwrap();
                    } else {
                        let row = samesake::store::Grant { claims, ..grant(&format!("{round} {number}"), customer) };
                        tx.grant_insert(&row, Some(link_id)).await.unwrap();
                    }
                    tx.commit().await.unwrap();
                }
            })
            .await;
            let mut tx = store.begin_read().await.unwrap();
            for number in 0..8 {
                let id = GrantId::of_code(&format!("{round} {number}"));
                let left = tx.grant_find(id).await.unwrap().filter(|grant| grant.revoked_at.is_none());
                assert_eq!(left, None, "round {round}");
            }
        }
    }

    /// The redemption of a code races its replay: in whatever order they come, the grant ends revoked.
    async fn a_replay_and_the_first_use_end_revoked(env: &Env) {
        let store = env.store().await;
        let customer = stored_customer(&store).await;
        at_once(&store, 20, move |store, number| async move {
            let code = (number / 2).to_string();
            let mut tx = store.begin().await.unwrap();
            if number % 2 == 0 {
                tx.grant_insert(&grant(&code, customer), None).await.unwrap();
            } else {
                tx.grant_void(GrantId::of_code(&code), "shop", "code_replayed", at(1)).await.unwrap();
            }
            tx.commit().await.unwrap();
        })
        .await;
        let mut tx = store.begin_read().await.unwrap();
        for code in 0..10 {
            let grant = tx.grant_find(GrantId::of_code(&code.to_string())).await.unwrap().unwrap();
            assert_eq!(grant.revoked_at, Some(at(1)));
        }
    }

    /// Two entries for two customers each, in either order: no deadlock, no gap, every chain whole.
    async fn audit_chains_hold_after_fifty_appends_at_once(env: &Env) {
        let store = env.store().await;
        let mut customers = Vec::new();
        for _ in 0..8 {
            customers.push(stored_customer(&store).await);
        }
        at_once(&store, 50, move |store, number| {
            let pick = |offset: usize| customers.get((number * offset + number / 8) % 8).copied();
            let (first, second) = (pick(3), pick(5));
            async move {
                let mut tx = store.begin().await.unwrap();
                tx.audit_append(&entry(first, "a")).await.unwrap();
                tx.audit_append(&entry(second, "b")).await.unwrap();
                tx.commit().await.unwrap();
            }
        })
        .await;
        let mut total = 0;
        let mut tx = store.begin_read().await.unwrap();
        for chain in 0..16 {
            match tx.audit_verify(chain).await.unwrap() {
                AuditCheck::Intact { entries } => total += entries,
                AuditCheck::Broken { seq } => panic!("chain {chain} breaks at {seq}"),
            }
        }
        assert_eq!(total, 100);
    }

    /// Identity rule 45.
    async fn events_of_one_root_are_numbered_without_gaps(env: &Env) {
        let store = env.store().await;
        let root = stored_customer(&store).await;
        at_once(&store, 40, move |store, number| async move {
            let mut tx = store.begin().await.unwrap();
            let seq = tx.customer_advance(root, 1, at(1)).await.unwrap().unwrap();
            tx.outbox_append(&event(root, seq)).await.unwrap();
            // Every fourth fails after it took its number.
            if number % 4 != 0 {
                tx.commit().await.unwrap();
            }
        })
        .await;
        let events = store.begin_read().await.unwrap().outbox_after(0, 100).await.unwrap();
        let numbers: Vec<i64> = events.iter().map(|event| event.root_seq).collect();
        assert_eq!(numbers, (1..=30).collect::<Vec<i64>>());
    }

    async fn all_are_issued_the_same_subject(env: &Env) {
        let store = env.store().await;
        let root = stored_customer(&store).await;
        let mut answers = at_once(&store, 20, move |store, number| async move {
            let mut tx = store.begin().await.unwrap();
            let sub = tx.subject_issue("shop", root, &format!("s{number}"), at(1)).await.unwrap();
            tx.commit().await.unwrap();
            sub
        })
        .await;
        answers.dedup();
        assert_eq!(answers.len(), 1);
        let stored = store.begin_read().await.unwrap().subject_find("shop", root).await.unwrap();
        assert_eq!(stored.as_ref(), answers.first());
    }

    async fn one_of_many_first_passwords_stands(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        let answers = at_once(&store, 20, move |store, number| async move {
            let mut tx = store.begin().await.unwrap();
            let added = tx.credential_insert(&password(id, &format!("${number}"))).await.unwrap();
            tx.commit().await.unwrap();
            added
        })
        .await;
        assert_eq!(count(&answers), 1);
    }

    async fn consent_given_twice_at_once_is_stored_once(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        at_once(&store, 20, move |store, _| async move {
            let mut tx = store.begin().await.unwrap();
            tx.consent_put(id, "shop", "openid", at(1)).await.unwrap();
            tx.commit().await.unwrap();
        })
        .await;
        let found = store.begin_read().await.unwrap().consent_find(id, "shop").await.unwrap();
        assert_eq!(found.as_deref(), Some("openid"));
    }

    /// Two replicas that start at once.
    async fn replicas_that_make_keys_at_once_end_with_one_set(env: &Env) {
        let store = env.store().await;
        let answers = at_once(&store, 10, |store: Store, number| async move {
            let key = SigningKeyRow {
                kid: format!("k{number}"),
                alg: SigningAlgorithm::Es256,
                state: KeyState::Active,
                public_jwk: json!({}),
                sealed: vec![1],
                created_at: at(0),
                activates_at: at(0),
                retired_at: None,
                expires_at: None,
            };
            let mut tx = store.begin().await.unwrap();
            let added = tx.key_insert(&key).await.unwrap();
            tx.commit().await.unwrap();
            added
        })
        .await;
        assert_eq!(count(&answers), 1);
        assert_eq!(store.begin_read().await.unwrap().keys_all().await.unwrap().len(), 1);
    }

    async fn each_mail_is_leased_to_one_worker(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        for number in 0..40 {
            tx.mail_put(uuid_v7(at(number)), b"x", at(0)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let answers = at_once(&store, 10, |store: Store, _| async move {
            let mut tx = store.begin().await.unwrap();
            let leased = tx.mail_lease(at(1), at(61), 7).await.unwrap();
            tx.commit().await.unwrap();
            leased
        })
        .await;
        let mut ids: Vec<_> = answers.into_iter().flatten().map(|mail| mail.id).collect();
        let leases = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), leases, "none was leased twice");
        assert!(leases >= 7);
    }
}

on_servers! {
    /// Identity rule 29: of two that each hold what the other wants the database gives one up, and nobody is told.
    async fn whoever_was_in_the_way_of_another_tries_again(env: &Env) {
        let store = env.store().await;
        let [ann, bob] = [stored_customer(&store).await, stored_customer(&store).await];
        let (both_hold_one, tries) = (Barrier::new(2), AtomicUsize::new(0));
        let lock_both = async |first, second| {
            let number = tries.fetch_add(1, Ordering::SeqCst);
            let mut tx = store.begin().await?;
            tx.customer_lock(first).await?;
            if number < 2 {
                both_hold_one.wait().await;
            }
            tx.customer_lock(second).await?;
            tx.commit().await
        };
        let (one, other) =
            futures::join!(retry(|| lock_both(ann, bob)), retry(|| lock_both(bob, ann)));
        assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
        assert!(tries.load(Ordering::SeqCst) > 2, "nobody was in anybody's way");
    }
}
