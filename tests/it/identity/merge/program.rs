//! Merging by the program itself: what it prints and its exit codes, and that a power cut at any point leaves a merge
//! made or not made (rules 29 and 45).

use std::process::Stdio;

use samesake::ids::CustomerId;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{Board, at};
use crate::harness::{Env, Gateway, invariants, until};
use crate::store::samples::{let_go, postgres};
use crate::{on_both, on_servers};

/// What it printed, or complained of.
fn run(gateway: &Gateway, arguments: &[&str]) -> Result<String, String> {
    let output = gateway.run(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

on_both! {
    async fn the_program_merges_parts_and_erases(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await.to_string(), board.customer("bob", at(0)).await.to_string());
        let gateway = Gateway::configured(env, "").await;
        let merge = ["customer", "merge", &ann, &bob, "--reason", "same"];
        let dry = run(&gateway, &[&merge[..], &["--dry-run"]].concat()).unwrap();
        assert!(dry.contains("lives on") && dry.contains("email:bob@shop.example"), "{dry}");
        assert!(dry.contains("the absorbed side's sessions: keep") && dry.contains("0 with refresh tokens"), "{dry}");
        let hash = dry.lines().find_map(|line| line.strip_prefix("hash ")).unwrap().to_owned();
        let stale = run(&gateway, &[&merge[..], &["--hash", "other"]].concat()).unwrap_err();
        assert!(stale.contains("the plan has changed"), "{stale}");
        let made = run(&gateway, &[&merge[..], &["--hash", &hash, "--json"]].concat()).unwrap();
        let made: Value = serde_json::from_str(&made).unwrap();
        let id = made["merge"].as_str().unwrap();
        assert!(run(&gateway, &merge).unwrap().contains("before"));
        let undone = run(&gateway, &["customer", "unmerge", id, "--reason", "two people"]).unwrap();
        assert!(undone.contains("was restored"), "{undone}");
        let refused = run(&gateway, &merge).unwrap_err();
        assert!(refused.contains("not same"), "{refused}");
        run(&gateway, &["customer", "not-same", &ann, &bob, "--lift"]).unwrap();
        run(&gateway, &merge).unwrap();
        let merged = run(&gateway, &["customer", "not-same", &ann, &bob, "--reason", "twins"]).unwrap_err();
        assert!(merged.contains("undo the merge first"), "{merged}");
        run(&gateway, &["customer", "erase", &bob, "--reason", "on request"]).unwrap();
        let verified = run(&gateway, &["audit", "verify"]).unwrap();
        assert_eq!(verified.matches("intact").count(), 16, "{verified}");
        invariants::check(env).await;
    }
}

/// What a merge writes, in no order.
const TABLES: [&str; 9] =
    ["customers", "links", "subjects", "credentials", "consents", "merges", "outbox", "audit", "audit_chains"];

on_servers! {
    /// Each table in turn lets nobody write, so that the program stops there for certain and is killed.
    async fn a_kill_at_any_point_of_a_merge_leaves_it_made_or_not_made(env: &Env) {
        let board = Board::new(env.store().await);
        let gateway = Gateway::configured(env, "").await;
        let mut cut = Vec::new();
        for table in TABLES {
            let survivor = board.customer(&format!("s-{table}"), at(0)).await;
            let absorbed = board.customer(&format!("a-{table}"), at(0)).await;
            board.subject("shop", absorbed, &format!("sub-{table}"), at(1)).await;
            let mut barrier = postgres(env).await;
            sqlx::raw_sql(AssertSqlSafe(format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE")))
                .execute(&mut barrier)
                .await
                .unwrap();
            let mut running = gateway
                .prepare(&arguments(survivor, absorbed).each_ref().map(String::as_str))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut ended = false;
            until("the program to wait or to end", async || {
                ended = running.try_wait().unwrap().is_some();
                ended || waiting(env).await > 0
            })
            .await;
            running.kill().ok();
            running.wait().unwrap();
            sqlx::raw_sql("ROLLBACK").execute(&mut barrier).await.unwrap();
            let_go(env).await;
            assert_eq!(board.living(absorbed).await == survivor, ended, "{table}: killed before its end, nothing is made");
            invariants::check(env).await;
            if !ended {
                cut.push(table);
            }
            // Asked again, it is made, once.
            let again = run(&gateway, &arguments(survivor, absorbed).each_ref().map(String::as_str)).unwrap();
            assert!(again.contains("was merged into"), "{again}");
            assert_eq!(board.living(absorbed).await, survivor);
        }
        let graph = invariants::check(env).await;
        let merged = graph.events.iter().filter(|event| event.kind == "customer.merged").count();
        assert_eq!((merged, graph.merges.len()), (TABLES.len(), TABLES.len()), "each merge once");
        for table in ["customers", "links", "subjects", "merges", "outbox", "audit_chains"] {
            assert!(cut.contains(&table), "a merge writes {table}, and was cut only at {cut:?}");
        }
    }
}

/// How many statements wait for a lock in the test's own database.
pub async fn waiting(env: &Env) -> i64 {
    let mut connection = postgres(env).await;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let (count,): (i64,) = sqlx::query_as(waiting).fetch_one(&mut connection).await.unwrap();
    count
}

fn arguments(survivor: CustomerId, absorbed: CustomerId) -> [String; 6] {
    let (survivor, absorbed) = (survivor.to_string(), absorbed.to_string());
    ["customer", "merge", &survivor, &absorbed, "--reason", "cut"].map(str::to_owned)
}
