//! Everything at once, by the program as it is shipped: two gateways on one Postgres and Redis, many browsers, apps and
//! admins, and power cuts in between (spec/identity.md rules 23, 25, 29, and 41 to 46).
//!
//! People come in families: whoever is merged with anybody is merged within the family, so that a `sub` that ever
//! changes its person shows. The test keeps a book of its own of every ID token that it saw. Seeded: the same numbers
//! begin the same steps, although not the same races. `SAMESAKE_TEST_SOAK_STEPS` says how many steps each of the
//! browsers takes, and makes it as long as anybody wants.

mod book;
mod steps;
mod world;

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use tokio::sync::watch;

use self::steps::Walker;
use self::world::World;
use crate::harness::{Env, Gateway, NoAnswer, invariants};
use crate::identity::races::Dice;
use crate::on_servers;
use crate::store::samples::let_go;

const WALKERS: usize = 6;
/// How many steps each takes in the test as it usually runs.
const STEPS: usize = 40;
/// One power cut in so many steps.
const STEPS_PER_CUT: usize = 60;

/// Where chance had it that something succeeded too seldom, a run goes on, at most so many times as long.
const LONGEST: usize = 4;

/// What must have succeeded, and how often at least in a run of the usual length.
const LEAST: &[(&str, usize)] = &[
    ("login", 25),
    ("refresh", 6),
    ("userinfo", 4),
    ("link", 4),
    ("unlink", 3),
    ("merge", 4),
    ("full merge", 2),
    ("undo", 2),
    ("erase", 1),
];

/// Takes the steps of one walker. What a power cut cuts off is counted and forgotten; whatever else goes wrong ends the
/// test.
async fn walk(world: &World<'_>, mut walker: Walker, steps: usize, taken: &watch::Sender<usize>) {
    for number in 0..steps * LONGEST {
        if number >= steps && too_seldom(world).is_none() {
            break;
        }
        let cuts = world.cuts();
        if let Err(panic) = AssertUnwindSafe(walker.step(world)).catch_unwind().await {
            if !panic.is::<NoAnswer>() || world.cuts() == cuts {
                world.logged_errors().for_each(|line| eprintln!("{line}"));
                std::panic::resume_unwind(panic);
            }
            world.count("cut off");
        }
        taken.send_modify(|taken| *taken += 1);
    }
}

/// Something that has not succeeded often enough yet.
fn too_seldom(world: &World<'_>) -> Option<&'static str> {
    let done = world.done();
    let (what, _) = LEAST.iter().find(|(what, least)| done.get(what).is_none_or(|count| count < least))?;
    Some(what)
}

/// Cuts the power of one gateway after the other, and gives it back a few steps later.
async fn cut(world: &World<'_>, gateways: &mut [Gateway; 2], steps: usize, mut taken: watch::Receiver<usize>) {
    let mut dice = Dice(0x0c07);
    for number in 0..steps / STEPS_PER_CUT {
        let point = number * STEPS_PER_CUT + STEPS_PER_CUT / 4 + dice.roll(STEPS_PER_CUT / 4);
        taken.wait_for(|taken| *taken >= point).await.unwrap();
        for _ in 0..dice.roll(200) {
            tokio::task::yield_now().await;
        }
        let which = dice.roll(2);
        world.power(which, false);
        gateways[which].kill();
        taken.wait_for(|taken| *taken >= point + 5).await.unwrap();
        gateways[which].restart().await;
        world.power(which, true);
    }
}

on_servers! {
    async fn whatever_happens_at_once_every_sub_means_whom_it_meant(env: &Env) {
        let steps = std::env::var("SAMESAKE_TEST_SOAK_STEPS").ok().and_then(|text| text.parse().ok()).unwrap_or(STEPS);
        let (world, mut gateways) = World::start(env).await;
        let (taken, seen) = watch::channel(0);
        let walkers = (0..WALKERS).map(|number| walk(&world, Walker::new(number), steps, &taken));
        let walkers = futures::future::join_all(walkers);
        futures::join!(walkers, cut(&world, &mut gateways, steps * WALKERS, seen));

        // The power goes for good. What lies there is whole, and every token told the truth.
        gateways.iter_mut().for_each(Gateway::kill);
        let_go(env).await;
        world.check(&invariants::check(env).await);
        let done = world.done();
        assert_eq!(too_seldom(&world), None, "{done:?}");
        assert!(done.contains_key("cut off"), "the power cuts met nobody: {done:?}");

        // And when it is back, everybody gets in, and sees what is theirs.
        for gateway in &mut gateways {
            gateway.restart().await;
        }
        let before = invariants::check(env).await;
        steps::everybody_once_more(&world, &before).await;
        gateways.iter_mut().for_each(Gateway::kill);
        let_go(env).await;
        world.check(&invariants::check(env).await);
    }
}
