//! Units of work: all or nothing, also when a statement fails or its caller goes away.

use futures::FutureExt;
use samesake::store::Error;

use super::samples::{at, customer, entry, execute, link, stored_customer};
use crate::harness::{Env, Pair};
use crate::{on_both, on_servers};

on_both! {
    async fn an_uncommitted_transaction_leaves_nothing(env: &Env) {
        let store = env.store().await;
        let customer = customer();
        let mut tx = store.begin().await.unwrap();
        tx.customer_insert(&customer).await.unwrap();
        let mut outside = store.begin_read().await.unwrap();
        assert_eq!(outside.customer_find(customer.id).await.unwrap(), None);
        drop(tx);
        assert_eq!(outside.customer_find(customer.id).await.unwrap(), None);
        let mut tx = store.begin().await.unwrap();
        tx.customer_insert(&customer).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(outside.customer_find(customer.id).await.unwrap(), Some(customer));
        outside.commit().await.unwrap();
    }

    /// Postgres answers Ok to a commit after an error, and keeps nothing.
    async fn a_failed_statement_ends_the_transaction(env: &Env) {
        let store = env.store().await;
        let (kept_out, known) = (customer(), stored_customer(&store).await);
        let mut tx = store.begin().await.unwrap();
        tx.customer_insert(&kept_out).await.unwrap();
        let mut twin = customer();
        (twin.id, twin.canonical) = (known, known);
        assert!(matches!(tx.customer_insert(&twin).await, Err(Error::Unique)));
        assert!(matches!(tx.customer_find(known).await, Err(Error::Poisoned)));
        assert!(matches!(tx.commit().await, Err(Error::Poisoned)));
        assert_eq!(store.begin_read().await.unwrap().customer_find(kept_out.id).await.unwrap(), None);
    }

    /// A request that is cut off while a statement runs must not have half of its work kept.
    async fn an_abandoned_statement_ends_the_transaction(env: &Env) {
        let store = env.store().await;
        // SQLite's thread may answer before we look; then there was nothing to abandon, and we try again.
        for _ in 0..1000 {
            let (kept_out, lost) = (customer(), customer());
            let mut tx = store.begin().await.unwrap();
            tx.customer_insert(&kept_out).await.unwrap();
            if tx.customer_insert(&lost).now_or_never().is_some() {
                continue;
            }
            assert!(matches!(tx.commit().await, Err(Error::Poisoned)));
            let mut tx = store.begin().await.unwrap();
            for id in [kept_out.id, lost.id] {
                assert_eq!(tx.customer_find(id).await.unwrap(), None);
            }
            return;
        }
        panic!("no statement was still running when it was abandoned");
    }

    async fn a_reading_transaction_writes_nothing(env: &Env) {
        let store = env.store().await;
        let customer = customer();
        let mut tx = store.begin_read().await.unwrap();
        assert!(matches!(tx.customer_insert(&customer).await, Err(Error::ReadOnly)));
        assert!(matches!(tx.commit().await, Err(Error::Poisoned)));
        let mut tx = store.begin_read().await.unwrap();
        tx.audit_append(&entry(None, "a")).await.unwrap();
        assert!(tx.commit().await.is_err());
        let mut tx = store.begin_read().await.unwrap();
        let rotated = tx.grant_rotate(samesake::ids::GrantId::of_code("x"), "c", 0, at(0), at(1)).await;
        assert!(matches!(rotated, Err(Error::ReadOnly)));
        assert_eq!(store.begin_read().await.unwrap().customer_find(customer.id).await.unwrap(), None);
    }

    /// Design, cost budgets: what requests wait for is one statement each.
    async fn statements_are_counted(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        let jobs = store.background();
        let clone = store.clone();
        let before = store.statements();
        let mut tx = clone.begin_read().await.unwrap();
        tx.link_resolve("social:google", "abc").await.unwrap();
        tx.link_login("social:google", "abc").await.unwrap();
        tx.password_logins("ada@example.org").await.unwrap();
        tx.members_of(id).await.unwrap();
        tx.members_seen("shop", id).await.unwrap();
        tx.members_seen_by_sub("shop", "s", None).await.unwrap();
        tx.members_consenting(id, "shop").await.unwrap();
        tx.consent_find(id, "shop").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.statements() - before, 8);

        let before = store.statements();
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&link("social:google", "abc", id)).await.unwrap());
        tx.audit_append(&entry(Some(id), "link.added")).await.unwrap();
        tx.commit().await.unwrap();
        let audit = if env.pair == Pair::PostgresRedis { 1 } else { 3 };
        assert_eq!(store.statements() - before, 1 + audit);

        let before = store.statements();
        jobs.begin_read().await.unwrap().generations().await.unwrap();
        assert_eq!((store.statements() - before, jobs.statements()), (0, 1));
    }

    async fn a_store_answers_until_it_is_closed(env: &Env) {
        let store = env.store().await;
        store.ping().await.unwrap();
        store.close().await;
        assert!(matches!(store.ping().await, Err(Error::Unavailable(_))));
        assert!(matches!(store.begin().await.err(), Some(Error::Unavailable(_))));
    }

    /// What is logged of an error names no value.
    async fn errors_quote_no_values(env: &Env) {
        let store = env.store().await;
        let mut orphan = link("email", "ada@example.org", customer().id);
        orphan.display = Some("ada@example.org".to_owned());
        let error = store.begin().await.unwrap().link_insert(&orphan).await.unwrap_err();
        assert!(error.to_string().starts_with("the database failed with code "), "{error}");
    }
}

on_servers! {
    /// A server that restarted, or a proxy that cut idle connections, costs nobody a login.
    async fn connections_that_died_in_the_pool_are_passed_over(env: &Env) {
        let store = env.store().await;
        let id = stored_customer(&store).await;
        let open = [store.begin().await.unwrap(), store.begin().await.unwrap(), store.begin().await.unwrap()];
        for tx in open {
            tx.commit().await.unwrap();
        }
        execute(
            env,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await;
        let mut tx = store.begin().await.unwrap();
        assert!(tx.customer_find(id).await.unwrap().is_some());
        tx.commit().await.unwrap();
    }
}
