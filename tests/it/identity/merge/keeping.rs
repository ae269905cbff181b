//! What keeps customers as they are: legal holds and walled brands (rule 30), set by functions and by the program.

use samesake::events::Actor;
use samesake::identity::brand::{self, BrandName, Branded};
use samesake::identity::hold::{self, Held};
use samesake::identity::merge::{Refusal, Terms, Undone};
use samesake::ids::CustomerId;
use samesake::store::Tx;
use serde_json::json;

use super::{Board, at, by_operator, done};
use crate::harness::{Env, Gateway, invariants};
use crate::on_both;

fn admin() -> Actor {
    Actor::Admin("eve".to_owned())
}

impl Board {
    /// What an admin does to one customer, in one transaction.
    async fn act<T>(&self, act: impl AsyncFnOnce(&mut Tx) -> T) -> T {
        let mut tx = self.store.begin().await.unwrap();
        let done = act(&mut tx).await;
        tx.commit().await.unwrap();
        done
    }

    async fn hold(&self, id: CustomerId, reason: &str) -> Held {
        self.act(async |tx| hold::place(tx, id, admin(), reason, at(5)).await.unwrap()).await
    }

    async fn release(&self, id: CustomerId) -> Held {
        self.act(async |tx| hold::lift(tx, id, admin(), "the case is closed", at(6)).await.unwrap()).await
    }

    async fn brand(&self, id: CustomerId, name: Option<&str>) -> Branded {
        let name: Option<BrandName> = name.map(|name| name.parse().unwrap());
        let by = || (admin(), "as contracted");
        self.act(async |tx| brand::set(tx, &self.config, id, name.as_ref(), by(), at(5)).await.unwrap()).await
    }
}

on_both! {
    async fn a_legal_hold_stops_merge_and_undoing_until_it_is_lifted(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob, eve) =
            (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await, board.customer("eve", at(0)).await);
        let merge = board.merge(ann, bob, at(1)).await;
        // Any ID of the customer will do; the hold is the living one's.
        assert_eq!(board.hold(bob, "court order 7").await, Held::Done { customer: ann });
        let again = Held::Already { customer: ann, reason: Some("court order 7".to_owned()) };
        assert_eq!(board.hold(ann, "another").await, again, "the first one stays");
        let held = [Refusal::LegalHold { customer: ann }];
        let Undone::Refused(plan) = board.undo(merge.merge, at(6)).await else { panic!("undone") };
        assert_eq!(plan.refusals, held);
        assert_eq!(board.plan(&by_operator(ann, eve), at(6)).await.refusals, held);
        assert_eq!(board.release(bob).await, Held::Done { customer: ann });
        assert_eq!(board.release(bob).await, Held::Already { customer: ann, reason: None });
        assert!(matches!(board.undo(merge.merge, at(7)).await, Undone::Done { repeated: false, .. }));
        assert_eq!(board.hold(CustomerId::new(at(9)), "nobody").await, Held::Unknown);
        let graph = invariants::check(env).await;
        let events: Vec<&str> = graph.events.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(events.iter().filter(|kind| **kind == "customer.held").count(), 1, "{events:?}");
        assert_eq!(events.iter().filter(|kind| **kind == "customer.released").count(), 1, "{events:?}");
    }

    async fn a_walled_brand_stands_beside_no_other(env: &Env) {
        let mut board = Board::new(env.store().await);
        board.config.walled_brands = vec!["bank".to_owned()];
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        assert_eq!(board.brand(ann, Some("bank")).await, Branded::Done { customer: ann });
        assert_eq!(board.brand(ann, Some("bank")).await, Branded::Already { customer: ann });
        assert_eq!(board.brand(bob, Some("shop")).await, Branded::Done { customer: bob });
        let apart = Refusal::WalledBrands { brands: vec!["bank".to_owned(), "shop".to_owned()] };
        assert_eq!(board.plan(&by_operator(ann, bob), at(6)).await.refusals, std::slice::from_ref(&apart));
        assert_eq!(board.brand(bob, None).await, Branded::Done { customer: bob });
        done(board.execute(&by_operator(ann, bob), Terms::default(), at(7)).await);
        // No wall goes through one customer afterwards either.
        assert_eq!(board.brand(bob, Some("shop")).await, Branded::Refused(apart));
        assert_eq!(board.brand(bob, Some("bank")).await, Branded::Done { customer: bob });
        invariants::check(env).await;
    }

    async fn the_program_holds_releases_and_brands(env: &Env) {
        let board = Board::new(env.store().await);
        let ann = board.customer("ann", at(0)).await.to_string();
        let gateway = Gateway::configured(env, "").await;
        let run = |words: &[&str]| {
            let output = gateway.run(&[&["customer"], words].concat());
            let text = if output.status.success() { output.stdout } else { output.stderr };
            (output.status.code(), String::from_utf8(text).unwrap())
        };
        let held = run(&["hold", &ann, "--reason", "court order 7"]);
        assert_eq!(held, (Some(0), format!("customer {ann} is under a legal hold\n")));
        let shown: serde_json::Value = serde_json::from_str(&run(&["show", &ann, "--json"]).1).unwrap();
        assert_eq!(shown[0]["legal_hold"], json!("court order 7"));
        let (code, refused) = run(&["erase", &ann, "--reason", "on request"]);
        assert!(code == Some(1) && refused.contains("legal hold"), "{refused}");
        let (code, branded) = run(&["brand", &ann, "bank", "--reason", "as contracted"]);
        assert!(code == Some(1) && branded.contains("legal hold"), "{branded}");
        assert_eq!(run(&["release", &ann, "--reason", "closed"]).1, format!("customer {ann} is free again\n"));
        assert_eq!(run(&["brand", &ann, "bank", "--reason", "x"]).1, format!("customer {ann} is of bank\n"));
        assert_eq!(run(&["brand", &ann, "--none", "--reason", "x"]).0, Some(0));
        assert_eq!(run(&["hold", &ann, "--reason", " "]).0, Some(1), "a reason is a reason");
        assert_eq!(run(&["brand", &ann, "--reason", "x"]).0, Some(2), "wrong usage");
        invariants::check(env).await;
    }
}
