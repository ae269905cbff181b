//! Scans and the making of the index, stopped on the way: by whoever runs them, by a future that is dropped, by kill -9.

use samesake::clock::Clock;
use samesake::identity::candidates::{self, IndexState};
use samesake::store::{Candidate, Probe, Store};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::sync::oneshot;

use super::candidates::{NOW, fill, load, open, rules, scan};
use super::people;
use crate::harness::{Env, Gateway, Pair, until};
use crate::{on_both, on_servers};

fn unstamped(pairs: Vec<Candidate>) -> Vec<Candidate> {
    pairs.into_iter().map(|pair| Candidate { created_at: NOW, updated_at: NOW, ..pair }).collect()
}

/// The pairs of a scan that nobody disturbed, of the same customers.
async fn undisturbed(pair: Pair, rows: &[people::Record]) -> Vec<Candidate> {
    let env = Env::new(pair);
    let store = env.store().await;
    fill(&store, rows).await;
    scan(&store).await;
    let found = unstamped(open(&store).await);
    store.close().await;
    env.close().await;
    found
}

async fn index_until(store: &Store, stop: oneshot::Receiver<()>, mut seen: impl FnMut(usize)) -> bool {
    let (rules, clock) = (rules(), Clock::system());
    tokio::select! {
        biased;
        _ = stop => false,
        done = candidates::index(store, &rules, &clock, &mut seen) => { done.unwrap(); true }
    }
}

on_both! {
    async fn a_scan_that_was_stopped_goes_on_where_it_was(env: &Env) {
        let store = env.store().await;
        let rows = people::records(300, 97);
        fill(&store, &rows).await;
        let (loaded, blocks, model) = load(&store).await;
        let (clock, rules) = (Clock::system(), rules());
        let mut reached = Vec::new();
        loop {
            let mut first = None;
            // Each run does one step.
            let job = candidates::scan(&store, &clock, &loaded, (&model, &blocks), &rules, |job| {
                *first.get_or_insert(job.units) == job.units && job.finished_at.is_none()
            });
            let job = job.await.unwrap();
            reached.push((job.id, first.unwrap(), job.units));
            if job.finished_at.is_some() {
                break;
            }
            assert!(open(&store).await.is_empty(), "nothing is proposed before all is known");
        }
        assert!(reached.len() >= 2, "{reached:?}");
        for pair in reached.windows(2) {
            assert_eq!((pair[0].0, pair[0].2), (pair[1].0, pair[1].1), "one scan, each run from where the last one was");
        }
        assert_eq!(unstamped(open(&store).await), undisturbed(env.pair, &rows).await);
    }

    async fn a_stopped_scan_of_other_customers_begins_anew(env: &Env) {
        let store = env.store().await;
        fill(&store, &people::records(200, 97)).await;
        let (loaded, blocks, model) = load(&store).await;
        let (clock, rules) = (Clock::system(), rules());
        let stopped = candidates::scan(&store, &clock, &loaded, (&model, &blocks), &rules, |job| job.units == 0);
        let stopped = stopped.await.unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.customer_profile_set(loaded.customer(0), &serde_json::json!({}), NOW).await.unwrap();
        tx.commit().await.unwrap();
        let (loaded, blocks, model) = load(&store).await;
        let done = candidates::scan(&store, &clock, &loaded, (&model, &blocks), &rules, |_| true).await.unwrap();
        assert_ne!(done.id, stopped.id);
        assert!(store.begin_read().await.unwrap().duplicate_found(done.id).await.unwrap().is_empty());
    }

    async fn the_index_is_made_once_and_goes_on_where_it_was_stopped(env: &Env) {
        let store = env.store().await;
        let rows = people::records(1_000, 101);
        fill(&store, &rows).await;
        assert_eq!(candidates::index_state(&store).await.unwrap(), IndexState::Partial);
        let (sender, receiver) = oneshot::channel();
        let mut sender = Some(sender);
        let whole = index_until(&store, receiver, |_| {
            sender.take().map(|sender| sender.send(()));
        });
        assert!(!whole.await);
        let state = store.begin_read().await.unwrap().duplicate_follower().await.unwrap();
        assert!(state.indexed_to.is_some() && state.indexed_at.is_none(), "{state:?}");
        let rest = candidates::index(&store, &rules(), &Clock::system(), |_| {}).await.unwrap();
        assert!(rest > 0 && rest < rows.len(), "{rest} of {}", rows.len());
        assert_eq!(candidates::index_state(&store).await.unwrap(), IndexState::Whole);
        assert_eq!(candidates::index(&store, &rules(), &Clock::system(), |_| {}).await.unwrap(), 0);
        let mut tx = store.begin_read().await.unwrap();
        let first = samesake::ids::CustomerId(uuid::Uuid::nil());
        let last = samesake::ids::CustomerId(uuid::Uuid::max());
        let known = tx.duplicate_keys_between(first, last).await.unwrap();
        assert_eq!(known.len(), rows.len());
        // Every key that is written down finds its customer.
        let (customer, keys) = known.iter().nth(700).unwrap();
        for key in keys {
            let found = tx.compared_sharing(&[Probe { customer: first, key: *key, most: 200 }], 200, &[]).await.unwrap();
            assert!(found.iter().any(|(_, row)| row.member.id == *customer));
        }
    }

    async fn the_status_tells_how_far_all_of_it_is(env: &Env) {
        let gateway = Gateway::configured(env, "").await;
        let store = env.store().await;
        fill(&store, &people::records(120, 103)).await;
        let status = || -> Value {
            let output = gateway.run(&["duplicates", "status", "--json"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice(&output.stdout).unwrap()
        };
        let before = status();
        assert!(before["scan"].is_null() && before["index"].as_str().unwrap().starts_with("not whole"), "{before}");
        let output = gateway.run(&["duplicates", "scan"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let after = status();
        assert_eq!((&after["index"], &after["drift_alarm"], &after["events_behind"]), (&"whole".into(), &false.into(), &0.into()));
        assert!(gateway.run(&["duplicates", "index"]).status.success());
        assert!(String::from_utf8_lossy(&gateway.run(&["duplicates", "status"]).stdout).contains("index whole"));
    }
}

on_servers! {
    async fn a_scan_that_was_killed_goes_on_where_it_was(env: &Env) {
        let gateway = Gateway::configured(env, "").await;
        let store = env.store().await;
        let rows = people::records(300, 107);
        fill(&store, &rows).await;
        // Whoever holds the pairs keeps the scan from its end, however fast it is.
        let mut holder = PgConnection::connect(env.database_url().await).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE candidates IN SHARE MODE").execute(&mut holder).await.unwrap();
        let mut running = gateway.prepare(&["duplicates", "scan"]).spawn().unwrap();
        until("the scan to have compared everything", async || {
            let scan = store.begin_read().await.unwrap().duplicate_scan_latest().await.unwrap();
            scan.is_some_and(|scan| scan.units == scan.of_units)
        })
        .await;
        running.kill().unwrap();
        running.wait().unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
        holder.close().await.unwrap();
        let stopped = store.begin_read().await.unwrap().duplicate_scan_latest().await.unwrap().unwrap();
        assert!(stopped.finished_at.is_none() && open(&store).await.is_empty());
        let output = gateway.run(&["duplicates", "scan"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let done = store.begin_read().await.unwrap().duplicate_scan_latest().await.unwrap().unwrap();
        assert!(done.id == stopped.id && done.finished_at.is_some());
        assert_eq!(unstamped(open(&store).await), undisturbed(env.pair, &rows).await);
    }
}
