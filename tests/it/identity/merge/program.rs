//! Merging by the program itself: what it prints and its exit codes, and that a power cut at any point leaves a merge
//! made or not made (rules 29 and 45).

use std::process::Stdio;

use samesake::ids::CustomerId;
use serde_json::Value;

use super::{Board, at};
use crate::harness::{Env, Gateway, invariants};
use crate::identity::races::Dice;
use crate::store::samples::postgres;
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

on_servers! {
    async fn a_kill_at_any_point_of_a_merge_leaves_it_made_or_not_made(env: &Env) {
        let board = Board::new(env.store().await);
        let gateway = Gateway::configured(env, "").await;
        let mut dice = Dice(0x6b69_6c6c);
        let (mut cut, mut made) = (0, 0);
        for round in 0..16 {
            let survivor = board.customer(&format!("s{round}"), at(0)).await;
            let absorbed = board.customer(&format!("a{round}"), at(0)).await;
            let mut running = gateway
                .prepare(&arguments(survivor, absorbed).each_ref().map(String::as_str))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Looked at so often, then cut: early in some rounds, late in others.
            let looks = dice.roll(4000);
            let mut ended = false;
            for _ in 0..looks {
                ended = running.try_wait().unwrap().is_some();
                if ended {
                    break;
                }
                board.store.ping().await.unwrap();
            }
            running.kill().ok();
            running.wait().unwrap();
            cut += usize::from(!ended);
            alone(env).await;
            let joined = board.living(absorbed).await == survivor;
            made += usize::from(joined);
            invariants::check(env).await;
            // Asked again, it is made, once.
            let again = run(&gateway, &arguments(survivor, absorbed).each_ref().map(String::as_str)).unwrap();
            assert!(again.contains("was merged into"), "{again}");
            assert_eq!(board.living(absorbed).await, survivor);
        }
        let graph = invariants::check(env).await;
        let merged = graph.events.iter().filter(|event| event.kind == "customer.merged").count();
        assert_eq!((merged, graph.merges.len()), (16, 16), "each merge once");
        assert!(cut >= 3, "the cuts met nobody: {cut} cut, {made} made before the second try");
    }
}

/// Waits until the database has let go of whoever was killed.
async fn alone(env: &Env) {
    let mut connection = postgres(env).await;
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid() AND state IS DISTINCT FROM 'idle'";
    loop {
        let (count,): (i64,) = sqlx::query_as(busy).fetch_one(&mut connection).await.unwrap();
        if count == 0 {
            return;
        }
    }
}

fn arguments(survivor: CustomerId, absorbed: CustomerId) -> [String; 6] {
    let (survivor, absorbed) = (survivor.to_string(), absorbed.to_string());
    ["customer", "merge", &survivor, &absorbed, "--reason", "cut"].map(str::to_owned)
}
