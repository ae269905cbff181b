//! What a merge costs (rules 2, 22): its own customers' rows, whatever the size of the company.
//!
//! Every statement that a merge and its undoing send is caught as it is sent: the same ones with the same rows in a
//! company of four customers and in one of twenty thousand, and each with a plan that uses an index.

use std::collections::BTreeSet;

use samesake::identity::merge::{Terms, Undone};
use samesake::identity::namespace::Namespace;
use sqlx::PgConnection;

use super::{Board, at, by_customer, done};
use crate::harness::Env;
use crate::harness::sent::{Sent, sent};
use crate::on_servers;
use crate::store::plans::{fill, postgres_plan};
use crate::store::samples::{execute, postgres};

/// What a merge of two customers and its undoing send, each customer with something of everything.
async fn cost(board: &Board, names: [&str; 2]) -> Vec<Sent> {
    let mut customers = Vec::new();
    for name in names {
        let id = board.customer(name, at(0)).await;
        board.link(id, Namespace::App("shop".to_owned()), &format!("app-{name}"), at(0)).await;
        board.password(id, "phc", at(0)).await;
        board.subject("shop", id, &format!("sub-{name}"), at(0)).await;
        board.consent(id, "shop", "openid", at(0)).await;
        customers.push(id);
    }
    let request = by_customer(customers[0], customers[1], at(1));
    let (made, mut all) = sent(board.execute(&request, Terms::default(), at(1))).await;
    let (undone, of_undo) = sent(board.undo(done(made).merge, at(2))).await;
    assert!(matches!(undone, Undone::Done { repeated: false, .. }));
    all.extend(of_undo);
    all
}

/// What does not lead to its rows by an index.
async fn scans(connection: &mut PgConnection, statements: &BTreeSet<String>, prefix: &str) -> Vec<String> {
    let mut scans = Vec::new();
    for (number, sql) in statements.iter().enumerate() {
        let plan = postgres_plan(connection, &format!("{prefix}_{number}"), sql).await;
        scans.extend(plan.iter().filter(|step| step.contains("Seq Scan")).map(|step| format!("{step}: {sql}")));
    }
    scans
}

on_servers! {
    async fn a_merge_costs_its_own_rows_whatever_the_size_of_the_company(env: &Env) {
        let mut board = Board::new(env.store().await);
        board.config.one_id_per_person.clear();
        let small = cost(&board, ["ann", "bob"]).await;
        fill(env).await;
        execute(env, "VACUUM ANALYZE").await;
        let big = cost(&board, ["cid", "dan"]).await;
        assert!(small.len() > 40 && small.iter().all(|sent| sent.rows < 20), "{small:#?}");
        assert_eq!(small, big, "the same statements and rows, whatever else there is");

        let is_plannable = |sql: &&String| !["BEGIN", "COMMIT", "ROLLBACK"].iter().any(|word| sql.starts_with(word));
        let statements: BTreeSet<String> =
            big.into_iter().map(|sent| sent.sql).collect::<BTreeSet<_>>().iter().filter(is_plannable).cloned().collect();
        let mut connection = postgres(env).await;
        sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut connection).await.unwrap();
        let tables = ["customers", "links", "subjects", "credentials", "consents", "merges", "not_same", "outbox", "grants"];
        let found = scans(&mut connection, &statements, "free").await;
        let of_big: Vec<&String> =
            found.iter().filter(|step| tables.iter().any(|table| step.contains(&format!(" on {table}")))).collect();
        assert!(of_big.is_empty(), "{of_big:#?}");
        // Of tables that are all but empty here, only whether there is an index to use.
        sqlx::raw_sql("SET enable_seqscan = off").execute(&mut connection).await.unwrap();
        let found = scans(&mut connection, &statements, "forced").await;
        assert!(found.is_empty(), "{found:#?}");
    }
}
