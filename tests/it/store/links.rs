//! Links: an identifier has one live owner if its namespace is exclusive, and resolves to who that is today.

use samesake::store::{CustomerState, LinkLogin, LinkState, TokensToStore};
use serde_json::json;

use super::samples::{at, customer, link, merge, refused, stored_customer};
use crate::harness::Env;
use crate::on_both;

on_both! {
    async fn a_link_reads_back_as_written(env: &Env) {
        let store = env.store().await;
        let owner = stored_customer(&store).await;
        let full = link("social:google", "A-b_C", owner);
        let mut bare = link("email", "hint@example.org", owner);
        (bare.exclusive, bare.state, bare.ended_at) = (false, LinkState::Ended, Some(at(9)));
        (bare.proof, bare.verified_at, bare.display, bare.first_seen) = (None, None, None, at(1));
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&full).await.unwrap());
        assert!(tx.link_insert(&bare).await.unwrap());
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        assert_eq!(tx.links_of(owner, 10).await.unwrap(), [full.clone(), bare]);
        assert_eq!(tx.links_of(owner, 1).await.unwrap(), [full]);
        assert_eq!(tx.links_of(customer().id, 10).await.unwrap(), []);
    }

    /// Identity rule 1; rule 3: the pair is compared byte for byte.
    async fn a_live_exclusive_identifier_has_one_owner(env: &Env) {
        let store = env.store().await;
        let (first, second) = (stored_customer(&store).await, stored_customer(&store).await);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&link("social:google", "abc", first)).await.unwrap());
        assert!(!tx.link_insert(&link("social:google", "abc", second)).await.unwrap());
        assert!(!tx.link_insert(&link("social:google", "abc", first)).await.unwrap());
        assert!(tx.link_insert(&link("social:google", "ABC", second)).await.unwrap());
        assert!(tx.link_insert(&link("social:apple", "abc", second)).await.unwrap());
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        assert_eq!(tx.link_resolve("social:google", "abc").await.unwrap(), Some(first));
        assert_eq!(tx.link_resolve("social:google", "ABC").await.unwrap(), Some(second));
        assert_eq!(tx.link_resolve("social:google", "abC").await.unwrap(), None);
    }

    /// Identity rule 46: what is not exclusive, or is over, never resolves.
    async fn hints_and_ended_links_do_not_resolve(env: &Env) {
        let store = env.store().await;
        let (first, second) = (stored_customer(&store).await, stored_customer(&store).await);
        let mut hint = link("email", "a@example.org", first);
        hint.exclusive = false;
        let mut hint_of_another = link("email", "a@example.org", second);
        (hint_of_another.exclusive, hint_of_another.first_seen) = (false, at(1));
        let mut over = link("email", "a@example.org", second);
        (over.state, over.ended_at, over.first_seen) = (LinkState::Ended, Some(at(5)), at(2));
        let mut tx = store.begin().await.unwrap();
        for hint in [&hint, &hint_of_another, &over] {
            assert!(tx.link_insert(hint).await.unwrap());
        }
        assert_eq!(tx.link_resolve("email", "a@example.org").await.unwrap(), None);
        assert_eq!(tx.link_login("email", "a@example.org").await.unwrap(), None);
        let mut proved = link("email", "a@example.org", first);
        proved.first_seen = at(3);
        assert!(tx.link_insert(&proved).await.unwrap());
        assert_eq!(tx.link_resolve("email", "a@example.org").await.unwrap(), Some(first));
        let found = tx.links_find("email", "a@example.org").await.unwrap();
        assert_eq!(found, [proved, over, hint_of_another, hint]);
        assert_eq!(tx.links_find("email", "b@example.org").await.unwrap(), []);
    }

    async fn no_more_than_fifty_links_are_found(env: &Env) {
        let store = env.store().await;
        let owner = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        for number in 0..60 {
            let mut hint = link("visitor:shop", "kiosk", owner);
            (hint.exclusive, hint.first_seen) = (false, at(number));
            assert!(tx.link_insert(&hint).await.unwrap());
        }
        let found = tx.links_find("visitor:shop", "kiosk").await.unwrap();
        assert_eq!(found.len(), 50);
        assert_eq!(found.first().map(|newest| newest.first_seen), Some(at(59)));
    }

    async fn a_login_reads_the_link_and_the_living_customer(env: &Env) {
        let store = env.store().await;
        let (survivor, absorbed) = (stored_customer(&store).await, stored_customer(&store).await);
        let attached = link("social:google", "abc", absorbed);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&attached).await.unwrap());
        tx.customer_profile_set(survivor, &json!({"name": "Grace"}), at(1)).await.unwrap();
        tx.customer_advance(survivor, 2, at(1)).await.unwrap();
        tx.commit().await.unwrap();
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin_read().await.unwrap();
        let expected = LinkLogin {
            link: attached.id,
            customer: absorbed,
            root: survivor,
            root_state: CustomerState::Active,
            verified_at: Some(at(0)),
            last_seen: at(0),
            disabled_reason: None,
            profile: json!({"name": "Ada"}),
            version: 3,
        };
        assert_eq!(tx.link_login("social:google", "abc").await.unwrap(), Some(expected));
        assert_eq!(tx.link_resolve("social:google", "abc").await.unwrap(), Some(survivor));
        assert_eq!(tx.link_login("social:google", "other").await.unwrap(), None);
    }

    async fn use_of_a_link_is_noted(env: &Env) {
        let store = env.store().await;
        let owner = stored_customer(&store).await;
        let used = link("social:google", "abc", owner);
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&used).await.unwrap());
        assert!(tx.link_seen(used.id, at(7), &json!({"name": "New"})).await.unwrap());
        tx.commit().await.unwrap();
        let links = store.begin_read().await.unwrap().links_of(owner, 10).await.unwrap();
        let seen = links.first().unwrap();
        assert_eq!((seen.last_seen, &seen.profile, seen.first_seen), (at(7), &json!({"name": "New"}), at(0)));
    }

    /// Identity rules 19 and 21: what was ended or erased is written to no more.
    async fn nothing_comes_to_a_link_that_has_ended(env: &Env) {
        let store = env.store().await;
        let owner = stored_customer(&store).await;
        let used = link("social:google", "abc", owner);
        let tokens = TokensToStore { access: "a", refresh: Some("r"), scope: "", expires_at: None };
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&used).await.unwrap());
        assert!(tx.upstream_tokens_put(used.id, &tokens, at(1)).await.unwrap());
        assert_eq!(tx.upstream_tokens_take(used.id).await.unwrap().as_deref(), Some("r"));
        tx.link_end(used.id, at(2)).await.unwrap();
        assert!(!tx.link_seen(used.id, at(7), &json!({"name": "New"})).await.unwrap());
        assert!(!tx.upstream_tokens_put(used.id, &tokens, at(7)).await.unwrap());
        assert_eq!(tx.upstream_tokens_take(used.id).await.unwrap(), None);
    }

    async fn a_link_needs_a_customer(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&link("social:google", "abc", customer().id)).await.is_err());
    }

    async fn the_table_refuses_a_link_that_is_over_and_live(env: &Env) {
        let store = env.store().await;
        let owner = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        assert!(tx.link_insert(&link("social:google", "abc", owner)).await.unwrap());
        tx.commit().await.unwrap();
        assert!(refused(env, "UPDATE links SET state = 'ended'").await);
    }
}
