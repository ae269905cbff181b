//! Operations that compete for one key. What is single-use is used once, however many want it.

use std::collections::BTreeSet;
use std::future::Future;

use futures::future::join_all;

use super::LONG;
use crate::harness::Env;
use crate::on_both;

const COMPETITORS: u32 = 20;

/// Runs one future per competitor, each on a task of its own.
async fn compete<T, F>(make: impl Fn(u32) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..COMPETITORS).map(|n| tokio::spawn(make(n))).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn name(n: u32) -> Vec<u8> {
    format!("value {n}").into_bytes()
}

on_both! {
    async fn one_swapper_gets_the_first_value_and_no_value_comes_twice(env: &Env) {
        let kv = env.kv().await;
        kv.set("a", b"first".to_vec(), LONG).await.unwrap();
        let old = compete(|n| {
            let kv = kv.clone();
            async move { kv.swap("a", name(n), LONG).await.unwrap().unwrap() }
        })
        .await;
        assert_eq!(old.iter().filter(|value| *value == b"first").count(), 1);
        let mut seen: BTreeSet<Vec<u8>> = old.into_iter().collect();
        seen.insert(kv.get("a").await.unwrap().unwrap());
        let all: BTreeSet<Vec<u8>> = (0..COMPETITORS).map(name).chain([b"first".to_vec()]).collect();
        assert_eq!(seen, all);
    }

    async fn one_taker_gets_the_value(env: &Env) {
        let kv = env.kv().await;
        kv.set("a", b"1".to_vec(), LONG).await.unwrap();
        let taken = compete(|_| {
            let kv = kv.clone();
            async move { kv.take("a").await.unwrap() }
        })
        .await;
        assert_eq!(taken.iter().flatten().count(), 1);
    }

    async fn one_of_many_creates(env: &Env) {
        let kv = env.kv().await;
        let created = compete(|n| {
            let kv = kv.clone();
            async move { kv.set_new("a", name(n), LONG).await.unwrap() }
        })
        .await;
        assert_eq!(created.iter().filter(|created| **created).count(), 1);
        let winner = created.iter().position(|created| *created).unwrap();
        assert_eq!(kv.get("a").await.unwrap(), Some(name(u32::try_from(winner).unwrap())));
    }

    async fn every_increment_counts_once(env: &Env) {
        let kv = env.kv().await;
        let counts = compete(|_| {
            let kv = kv.clone();
            async move { kv.increment("n", LONG).await.unwrap() }
        })
        .await;
        let counts: BTreeSet<u64> = counts.into_iter().collect();
        assert_eq!(counts, (1..=u64::from(COMPETITORS)).collect());
    }
}
