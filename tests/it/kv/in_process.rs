//! The bound of the store in memory, and that it follows the clock.

use std::time::Duration;

use samesake::clock::Clock;
use samesake::kv::{Error, Kv};

use super::LONG;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_full_store_refuses_new_keys_and_keeps_the_old_ones() {
    let kv = Kv::in_process(Clock::system(), 10);
    for n in 0..10 {
        kv.set(&format!("key {n}"), vec![1], LONG).await.unwrap();
    }
    assert!(matches!(kv.set("new", vec![1], LONG).await, Err(Error::Full)));
    assert!(matches!(kv.set_new("new", vec![1], LONG).await, Err(Error::Full)));
    assert!(matches!(kv.increment("new", LONG).await, Err(Error::Full)));
    for n in 0..10 {
        assert_eq!(kv.get(&format!("key {n}")).await.unwrap(), Some(vec![1]));
    }
    kv.set("key 3", vec![2], LONG).await.unwrap();
    assert_eq!(kv.swap("key 3", vec![3], LONG).await.unwrap(), Some(vec![2]));
    assert!(kv.delete("key 3").await.unwrap());
    kv.set("new", vec![1], LONG).await.unwrap();
}

#[tokio::test]
async fn what_has_expired_makes_room() {
    let clock = Clock::system();
    let kv = Kv::in_process(clock.clone(), 10);
    for round in 0..50 {
        for n in 0..10 {
            kv.set(&format!("round {round} key {n}"), vec![1], MINUTE).await.unwrap();
        }
        assert!(matches!(kv.set("one more", vec![1], MINUTE).await, Err(Error::Full)));
        clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn a_rewritten_key_ends_by_its_last_lifetime_only() {
    let clock = Clock::system();
    let kv = Kv::in_process(clock.clone(), 10);
    kv.set("longer", vec![1], MINUTE).await.unwrap();
    kv.set("longer", vec![1], MINUTE * 3).await.unwrap();
    kv.set("shorter", vec![1], MINUTE * 3).await.unwrap();
    kv.set("shorter", vec![1], MINUTE).await.unwrap();
    clock.advance(MINUTE * 2);
    assert!(kv.get("longer").await.unwrap().is_some());
    assert!(kv.get("shorter").await.unwrap().is_none());
    clock.advance(MINUTE * 2);
    assert!(kv.get("longer").await.unwrap().is_none());
}

#[tokio::test]
async fn it_says_what_it_is() {
    assert!(Kv::in_process(Clock::system(), 10).is_in_process());
}
