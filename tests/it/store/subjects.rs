//! Subjects, and what tokens read of a customer: a `sub` is stored at first issue and means the same person for ever.

use samesake::store::{CustomerState, Error, Subject, SubjectView};
use serde_json::json;

use super::samples::{at, customer, merge, stored_customer};
use crate::harness::Env;
use crate::on_both;

fn view(root: samesake::ids::CustomerId, sub: Option<&str>) -> SubjectView {
    let sub = sub.map(str::to_owned);
    SubjectView { root, state: CustomerState::Active, version: 1, profile: json!({"name": "Ada"}), sub }
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
            assert_eq!(tx.subject_view("knew-absorbed", customer).await.unwrap(), Some(view(survivor, Some("a1"))));
            assert_eq!(tx.subject_view("knew-both", customer).await.unwrap(), Some(view(survivor, Some("s2"))));
            assert_eq!(tx.subject_view("knew-neither", customer).await.unwrap(), Some(view(survivor, None)));
        }
        assert_eq!(tx.subject_resolve("knew-both", "a2").await.unwrap(), Some(survivor));
        assert_eq!(tx.subject_view_by_sub("knew-both", "a2").await.unwrap(), Some(view(survivor, Some("s2"))));
        assert_eq!(tx.subject_view_by_sub("knew-absorbed", "a1").await.unwrap(), Some(view(survivor, Some("a1"))));
        assert_eq!(tx.subject_view_by_sub("knew-absorbed", "a2").await.unwrap(), None);
        assert_eq!(tx.subject_view("knew-both", customer().id).await.unwrap(), None);
        let kept = tx.subjects_of(survivor).await.unwrap();
        assert_eq!(kept.iter().filter(|subject| subject.current).count(), 2);
        assert_eq!(kept.len(), 3);
    }
}
