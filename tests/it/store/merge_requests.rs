//! Merge requests: one open one for a pair, whichever is named first.

use samesake::ids::CustomerId;
use samesake::store::{MergeRequest, MergeRequestState};
use serde_json::json;
use uuid::Uuid;

use super::samples::{at, customer};
use crate::harness::Env;
use crate::on_both;

fn request(one: CustomerId, other: CustomerId, seconds: i64) -> MergeRequest {
    MergeRequest {
        id: Uuid::from_u128(u128::try_from(seconds).unwrap()),
        a: one.min(other),
        b: one.max(other),
        proofs: json!([{"via": "social:google"}, {"via": "email"}]),
        opened_at: at(seconds),
        state: MergeRequestState::Open,
        closed_at: None,
        declined: false,
    }
}

on_both! {
    async fn a_pair_has_one_open_request_and_a_new_one_once_that_is_closed(env: &Env) {
        let store = env.store().await;
        let (one, other, third) = (customer(), customer(), customer());
        let mut tx = store.begin().await.unwrap();
        for customer in [&one, &other, &third] {
            tx.customer_insert(customer).await.unwrap();
        }
        let first = request(one.id, other.id, 1);
        assert!(tx.merge_request_open(&first).await.unwrap());
        assert!(!tx.merge_request_open(&request(other.id, one.id, 2)).await.unwrap());
        let of_third = request(other.id, third.id, 3);
        assert!(tx.merge_request_open(&of_third).await.unwrap());
        assert_eq!(tx.merge_request_of(other.id, one.id).await.unwrap().as_ref(), Some(&first));
        assert_eq!(tx.merge_requests_open(10).await.unwrap(), [first.clone(), of_third.clone()]);
        assert!(tx.merge_request_close(first.id, at(4)).await.unwrap());
        assert!(!tx.merge_request_close(first.id, at(5)).await.unwrap());
        assert_eq!(tx.merge_request_of(one.id, other.id).await.unwrap(), None);
        assert!(tx.merge_request_open(&request(one.id, other.id, 6)).await.unwrap());
        assert_eq!(tx.merge_requests_open(1).await.unwrap(), [of_third]);
        assert!(!tx.is_marked_not_same(one.id, other.id).await.unwrap());
        tx.commit().await.unwrap();
    }
}
