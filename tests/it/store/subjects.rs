//! Subjects, and what tokens read of a customer: a `sub` is stored at first issue and means the same person for ever.

use samesake::ids::CustomerId;
use samesake::store::{Error, Subject, Tx};

use super::samples::{at, customer, merge, stored_customer};
use crate::harness::Env;
use crate::on_both;

/// How many rows a customer has, and what the sector calls them now.
async fn current(tx: &mut Tx, sector: &str, customer: CustomerId) -> (usize, Option<String>) {
    let rows = tx.members_seen(sector, customer).await.unwrap();
    let current = rows.iter().find(|row| row.sub_current).and_then(|row| row.sub.clone());
    (rows.len(), current)
}

on_both! {
    async fn the_first_subject_issued_stands(env: &Env) {
        let store = env.store().await;
        let root = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.subject_find("shop", root).await.unwrap(), None);
        assert_eq!(tx.subject_issue("shop", root, "s1", at(1)).await.unwrap(), "s1");
        assert_eq!(tx.subject_issue("shop", root, "s2", at(2)).await.unwrap(), "s1");
        assert_eq!(tx.subject_issue("bank", root, "s2", at(3)).await.unwrap(), "s2");
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        assert_eq!(tx.subject_find("shop", root).await.unwrap().as_deref(), Some("s1"));
        let issued = |sector: &str, sub: &str, seconds| Subject {
            sector: sector.to_owned(),
            sub: sub.to_owned(),
            customer: root,
            root,
            current: true,
            own_side: false,
            issued_at: at(seconds),
            retired_at: None,
        };
        assert_eq!(tx.subjects_of(root).await.unwrap(), [issued("bank", "s2", 3), issued("shop", "s1", 1)]);
        assert_eq!(tx.subject_resolve("shop", "s1").await.unwrap(), Some(root));
        assert_eq!(tx.subject_resolve("shop", "s2").await.unwrap(), None);
    }

    /// Identity rule 43: one owner per sector, for ever.
    async fn a_subject_is_never_given_to_another_customer(env: &Env) {
        let store = env.store().await;
        let (first, second) = (stored_customer(&store).await, stored_customer(&store).await);
        let mut tx = store.begin().await.unwrap();
        tx.subject_issue("shop", first, "s", at(1)).await.unwrap();
        assert!(matches!(tx.subject_issue("shop", second, "s", at(1)).await, Err(Error::Unique)));
        assert_eq!(tx.subject_issue("bank", second, "s", at(1)).await.unwrap(), "s");
        let anywhere = [("bank".to_owned(), second), ("shop".to_owned(), first)];
        assert_eq!(tx.subject_resolve_any("s").await.unwrap(), anywhere);
        assert_eq!(tx.subject_resolve_any("t").await.unwrap(), []);
    }

    /// A merge or an undoing came between the look and the issue: it is no other customer's, and may be tried again.
    async fn what_a_row_is_called_already_is_no_strangers(env: &Env) {
        let store = env.store().await;
        let (survivor, absorbed) = (stored_customer(&store).await, stored_customer(&store).await);
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin().await.unwrap();
        tx.subject_issue_own_side("shop", absorbed, survivor, "s", at(1)).await.unwrap();
        assert!(matches!(tx.subject_issue("shop", absorbed, "s", at(1)).await, Err(Error::Contention)));
        assert!(matches!(tx.subject_issue("shop", survivor, "s", at(1)).await, Err(Error::Unique)));
    }

    /// Identity rule 23: a sector that knew only the retired customer keeps the `sub` it knew.
    async fn a_sector_keeps_the_subject_it_knew(env: &Env) {
        let store = env.store().await;
        let (survivor, absorbed) = (stored_customer(&store).await, stored_customer(&store).await);
        let mut tx = store.begin().await.unwrap();
        tx.subject_issue("knew-absorbed", absorbed, "a1", at(1)).await.unwrap();
        tx.subject_issue("knew-both", absorbed, "a2", at(1)).await.unwrap();
        tx.subject_issue("knew-both", survivor, "s2", at(1)).await.unwrap();
        tx.commit().await.unwrap();
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin_read().await.unwrap();
        for customer in [survivor, absorbed] {
            assert_eq!(current(&mut tx, "knew-absorbed", customer).await, (2, Some("a1".to_owned())));
            assert_eq!(current(&mut tx, "knew-both", customer).await, (2, Some("s2".to_owned())));
            assert_eq!(current(&mut tx, "knew-neither", customer).await, (2, None));
        }
        assert_eq!(tx.subject_resolve("knew-both", "a2").await.unwrap(), Some(survivor));
        let behind = tx.members_seen_by_sub("knew-both", "a2", None).await.unwrap();
        assert!(behind.iter().all(|row| row.owner == absorbed && row.holder.is_none()) && behind.len() == 2);
        assert_eq!(tx.members_seen_by_sub("knew-absorbed", "a2", None).await.unwrap(), []);
        assert_eq!(current(&mut tx, "knew-both", customer().id).await, (0, None));
        let kept = tx.subjects_of(survivor).await.unwrap();
        assert_eq!(kept.iter().filter(|subject| subject.current).count(), 2);
        assert_eq!(kept.len(), 3);
    }
}
