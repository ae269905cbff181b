//! Each operation by itself: what it answers, what it leaves, when it ends.

use std::time::Duration;

use samesake::kv::{Error, Kv, Op, Reply, When};
use serde::{Deserialize, Serialize};

use super::LONG;
use crate::harness::{Env, until};
use crate::on_both;

const SHORT: Duration = Duration::from_millis(100);

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Waits until everything that was written for `SHORT` before this call has ended.
async fn short_is_over(kv: &Kv) {
    kv.set("written last", bytes("1"), SHORT).await.unwrap();
    until("a key to end", async || kv.get("written last").await.unwrap().is_none()).await;
}

on_both! {
    async fn a_value_comes_back_byte_for_byte(env: &Env) {
        let kv = env.kv().await;
        let value: Vec<u8> = (0..=255).collect();
        let key = "a key:{tag}\r\n*?[x] é";
        assert_eq!(kv.get(key).await.unwrap(), None);
        kv.set(key, value.clone(), LONG).await.unwrap();
        assert_eq!(kv.get(key).await.unwrap(), Some(value));
        kv.set(key, Vec::new(), LONG).await.unwrap();
        assert_eq!(kv.get(key).await.unwrap(), Some(Vec::new()));
    }

    async fn a_value_ends_with_its_lifetime(env: &Env) {
        let kv = env.kv().await;
        kv.set("a", bytes("1"), SHORT).await.unwrap();
        assert!(kv.set_new("b", bytes("1"), SHORT).await.unwrap());
        kv.set("zero", bytes("1"), Duration::ZERO).await.unwrap();
        short_is_over(&kv).await;
        for key in ["a", "b", "zero"] {
            assert_eq!(kv.get(key).await.unwrap(), None, "{key}");
            assert_eq!(kv.take(key).await.unwrap(), None, "{key}");
            assert_eq!(kv.swap(key, bytes("2"), LONG).await.unwrap(), None, "{key}");
            assert!(!kv.replace(key, bytes("2"), LONG).await.unwrap(), "{key}");
            assert!(!kv.delete(key).await.unwrap(), "{key}");
            assert!(kv.set_new(key, bytes("3"), LONG).await.unwrap(), "{key}");
        }
    }

    async fn each_write_sets_a_new_lifetime(env: &Env) {
        let kv = env.kv().await;
        for key in ["set", "replace", "swap"] {
            kv.set(key, bytes("1"), SHORT).await.unwrap();
        }
        kv.set("shortened", bytes("1"), LONG).await.unwrap();
        kv.set("set", bytes("2"), LONG).await.unwrap();
        // Whether these two are in time depends on the machine; that they keep what they wrote does not.
        let replaced = kv.replace("replace", bytes("2"), LONG).await.unwrap();
        let swapped = kv.swap("swap", bytes("2"), LONG).await.unwrap().is_some();
        assert!(kv.replace("shortened", bytes("2"), SHORT).await.unwrap());
        short_is_over(&kv).await;
        assert_eq!(kv.get("set").await.unwrap(), Some(bytes("2")));
        assert_eq!(kv.get("replace").await.unwrap().is_some(), replaced);
        assert_eq!(kv.get("swap").await.unwrap().is_some(), swapped);
        assert_eq!(kv.get("shortened").await.unwrap(), None);
    }

    async fn an_endless_lifetime_is_a_long_one(env: &Env) {
        let kv = env.kv().await;
        kv.set("a", bytes("1"), Duration::MAX).await.unwrap();
        assert_eq!(kv.increment("n", Duration::MAX).await.unwrap(), 1);
        assert_eq!(kv.get("a").await.unwrap(), Some(bytes("1")));
    }

    async fn set_new_writes_only_where_nothing_is(env: &Env) {
        let kv = env.kv().await;
        assert!(kv.set_new("a", bytes("1"), LONG).await.unwrap());
        assert!(!kv.set_new("a", bytes("2"), LONG).await.unwrap());
        assert_eq!(kv.get("a").await.unwrap(), Some(bytes("1")));
    }

    async fn replace_writes_only_where_something_is(env: &Env) {
        let kv = env.kv().await;
        assert!(!kv.replace("a", bytes("1"), LONG).await.unwrap());
        assert_eq!(kv.get("a").await.unwrap(), None);
        kv.set("a", bytes("1"), LONG).await.unwrap();
        assert!(kv.replace("a", bytes("2"), LONG).await.unwrap());
        assert_eq!(kv.get("a").await.unwrap(), Some(bytes("2")));
    }

    async fn swap_answers_the_old_value_and_creates_nothing(env: &Env) {
        let kv = env.kv().await;
        assert_eq!(kv.swap("a", bytes("1"), LONG).await.unwrap(), None);
        assert_eq!(kv.get("a").await.unwrap(), None);
        kv.set("a", bytes("1"), LONG).await.unwrap();
        assert_eq!(kv.swap("a", bytes("2"), LONG).await.unwrap(), Some(bytes("1")));
        assert_eq!(kv.get("a").await.unwrap(), Some(bytes("2")));
    }

    async fn take_and_delete_leave_nothing(env: &Env) {
        let kv = env.kv().await;
        kv.set("a", bytes("1"), LONG).await.unwrap();
        assert_eq!(kv.take("a").await.unwrap(), Some(bytes("1")));
        assert_eq!(kv.take("a").await.unwrap(), None);
        kv.set("a", bytes("1"), LONG).await.unwrap();
        assert!(kv.delete("a").await.unwrap());
        assert!(!kv.delete("a").await.unwrap());
        assert_eq!(kv.get("a").await.unwrap(), None);
    }

    async fn a_counter_ends_when_its_first_increment_said(env: &Env) {
        let kv = env.kv().await;
        assert_eq!(kv.increment("n", Duration::from_secs(1)).await.unwrap(), 1);
        assert_eq!(kv.increment("n", LONG).await.unwrap(), 2);
        assert_eq!(kv.get("n").await.unwrap(), Some(bytes("2")));
        until("the counter to end", async || kv.get("n").await.unwrap().is_none()).await;
        assert_eq!(kv.increment("n", LONG).await.unwrap(), 1);
    }

    async fn what_is_no_counter_is_not_counted(env: &Env) {
        let kv = env.kv().await;
        kv.set("a", bytes("one"), LONG).await.unwrap();
        assert!(matches!(kv.increment("a", LONG).await, Err(Error::NotACounter)));
        assert_eq!(kv.get("a").await.unwrap(), Some(bytes("one")));
    }

    async fn a_list_is_one_round_trip_answered_in_order(env: &Env) {
        let kv = env.kv().await;
        let before = kv.round_trips();
        let key = |name: &str| name.to_owned();
        let replies = kv
            .run(vec![
                Op::Set { key: key("a"), value: bytes("1"), ttl: LONG, when: When::Absent },
                Op::Get { key: key("a") },
                Op::Swap { key: key("a"), value: bytes("2"), ttl: LONG },
                Op::Set { key: key("b"), value: bytes("1"), ttl: LONG, when: When::Present },
                Op::Increment { key: key("n"), ttl: LONG },
                Op::Increment { key: key("n"), ttl: LONG },
                Op::Take { key: key("a") },
                Op::Delete { key: key("a") },
            ])
            .await
            .unwrap();
        let expected = [
            Reply::Done(true),
            Reply::Value(Some(bytes("1"))),
            Reply::Value(Some(bytes("1"))),
            Reply::Done(false),
            Reply::Count(1),
            Reply::Count(2),
            Reply::Value(Some(bytes("2"))),
            Reply::Done(false),
        ];
        assert_eq!(replies, expected);
        assert_eq!(kv.round_trips() - before, 1);
    }

    async fn an_operation_that_fails_does_not_stop_the_next(env: &Env) {
        let kv = env.kv().await;
        kv.set("a", bytes("x"), LONG).await.unwrap();
        let ops = vec![
            Op::Increment { key: "a".to_owned(), ttl: LONG },
            Op::Set { key: "b".to_owned(), value: bytes("1"), ttl: LONG, when: When::Always },
        ];
        assert!(matches!(kv.run(ops).await, Err(Error::NotACounter)));
        assert_eq!(kv.get("b").await.unwrap(), Some(bytes("1")));
    }

    async fn round_trips_are_counted_per_purpose(env: &Env) {
        let kv = env.kv().await;
        let jobs = kv.background();
        assert_eq!(kv.run(Vec::new()).await.unwrap(), Vec::new());
        kv.ping().await.unwrap();
        assert_eq!(kv.round_trips(), 0);
        kv.clone().set("a", bytes("1"), LONG).await.unwrap();
        assert_eq!(jobs.get("a").await.unwrap(), Some(bytes("1")));
        assert_eq!((kv.round_trips(), jobs.round_trips()), (1, 1));
    }

    async fn a_prefix_is_a_world_of_its_own(env: &Env) {
        let kv = env.kv().await;
        let (ours, theirs) = (kv.scoped("ours:"), kv.scoped("theirs:"));
        ours.set("a", bytes("1"), LONG).await.unwrap();
        assert_eq!(kv.get("a").await.unwrap(), None);
        assert_eq!(kv.get("ours:a").await.unwrap(), Some(bytes("1")));
        assert_eq!(theirs.get("a").await.unwrap(), None);
        assert_eq!(theirs.take("a").await.unwrap(), None);
        assert_eq!(theirs.swap("a", bytes("2"), LONG).await.unwrap(), None);
        assert!(!theirs.replace("a", bytes("2"), LONG).await.unwrap());
        assert!(!theirs.delete("a").await.unwrap());
        assert_eq!(theirs.increment("a", LONG).await.unwrap(), 1);
        assert_eq!(ours.get("a").await.unwrap(), Some(bytes("1")));
    }

    async fn oversized_keys_and_values_are_refused_unsent(env: &Env) {
        let kv = env.kv().await;
        let before = kv.round_trips();
        assert!(matches!(kv.get(&"k".repeat(2000)).await, Err(Error::TooLong)));
        assert!(matches!(kv.set("a", vec![0; 300 * 1024], LONG).await, Err(Error::TooLong)));
        assert_eq!(kv.round_trips(), before);
        kv.set("a", vec![7; 256 * 1024], LONG).await.unwrap();
        assert_eq!(kv.get("a").await.unwrap().map(|value| value.len()), Some(256 * 1024));
    }

    async fn typed_values_survive_and_foreign_ones_are_reported(env: &Env) {
        #[derive(Debug, PartialEq, Serialize, Deserialize)]
        struct Flow {
            client: String,
            tries: u32,
        }
        let kv = env.kv().await;
        let flow = Flow { client: "shop".to_owned(), tries: 2 };
        kv.set_json("flow", &flow, LONG).await.unwrap();
        assert_eq!(kv.get_json::<Flow>("flow").await.unwrap().as_ref(), Some(&flow));
        assert_eq!(kv.take_json::<Flow>("flow").await.unwrap(), Some(flow));
        assert_eq!(kv.take_json::<Flow>("flow").await.unwrap(), None);
        kv.set("other", bytes("{}"), LONG).await.unwrap();
        assert!(matches!(kv.get_json::<Flow>("other").await, Err(Error::Form(_))));
    }
}
