//! Power cuts: the program is killed in the middle of deliveries (spec/handoff.md rule 19).

use std::collections::HashSet;

use super::order::assert_in_order;
use super::receiver::{Receiver, SECRET};
use super::{customer, happen};
use crate::harness::{Env, Gateway, until};
use crate::identity::races::Dice;
use crate::on_both;

const KILLS: usize = 3;
const CUSTOMERS: usize = 5;
const EVENTS: usize = 30;

on_both! {
    /// Whatever was under way is delivered again, under its ID and in its place.
    async fn a_kill_in_the_middle_of_deliveries_loses_nothing_and_changes_no_order(env: &Env) {
        let receiver = Receiver::start().await;
        let table = format!(
            "[[webhooks]]\nid = \"crm\"\nurl = \"{}\"\ninternal = true\nsecret = \"{SECRET}\"\ntimeout = \"500ms\"\n",
            receiver.url,
        );
        let mut gateway = Gateway::start(env, &table).await;
        let store = env.store().await;
        until("the receiver to be known", async || {
            !store.begin_read().await.unwrap().webhooks_all().await.unwrap().is_empty()
        })
        .await;
        let mut customers = Vec::new();
        for _ in 0..CUSTOMERS {
            customers.push(customer(&store, &env.clock).await);
        }
        let (mut dice, mut total) = (Dice(0xfade), CUSTOMERS);
        for round in 0..KILLS {
            let point = receiver.received().len() + 1 + dice.roll(EVENTS / 2);
            for _ in 0..EVENTS {
                happen(&store, &env.clock, customers[dice.roll(CUSTOMERS)], &round.to_string()).await;
            }
            total += EVENTS;
            until("so many deliveries", async || receiver.received().len() >= point).await;
            gateway.kill();
            gateway.restart().await;
        }
        // The last one's lease ends after five seconds.
        until("everything to arrive", async || {
            receiver.taken().iter().map(|delivery| delivery.id.clone()).collect::<HashSet<_>>().len() == total
        })
        .await;
        assert_in_order(&receiver.taken());
    }
}
