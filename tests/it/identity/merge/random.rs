//! Everything at once, on Postgres and at two replicas: whatever the order, the graph is whole (rules 29, 41 to 46).
//!
//! Seeded. `SAMESAKE_TEST_MERGE_ROUNDS` makes it longer. Two deliberately wrong merges show that the checker sees what
//! a wrong one leaves: one takes no lock, one re-points only the absorbed customer itself.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt;
use samesake::events::{self, Actor, Event};
use samesake::identity::erase::{self, Erased};
use samesake::identity::merge::{self, MergeKind, Outcome, Refusal, Terms, Undone};
use samesake::identity::namespace::Namespace;
use samesake::identity::not_same;
use samesake::ids::{CustomerId, GrantId, LinkId, MergeId};
use samesake::oidc::grants::refresh_token::{self, RefreshToken};
use samesake::protocol::ErrorCode;
use samesake::protocol::params::Params;
use samesake::secret::MasterKey;
use samesake::store::{Branch, Customer, CustomerState, Error, Grant, LinkState, Merge, Store};
use serde_json::json;

use super::{Board, at, by_customer, by_operator};
use crate::harness::{Env, TestApp, invariants};
use crate::identity::races::Dice;
use crate::on_servers;
use crate::store::samples::{execute, literal};

const WORKERS: usize = 8;
const CUSTOMERS: usize = 24;
const STEPS: usize = 60;
/// The sector of the client of that name.
const SHOP: &str = "shop.example";

/// Which merge is tried.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Right,
    /// Reads who is a root, and believes it.
    WithoutLock,
    /// Forgets those who were absorbed before.
    DirectChildrenOnly,
}

struct World<'e> {
    env: &'e Env,
    replicas: [Board; 2],
    /// Each replica's own gateway.
    apps: [TestApp; 2],
    kind: Kind,
    ids: Mutex<Vec<CustomerId>>,
    merges: Mutex<Vec<MergeId>>,
    /// Refresh tokens that the shop has, each with what it calls the customer.
    families: Mutex<Vec<(String, String)>>,
    /// How often each thing was really done.
    done: Mutex<BTreeMap<&'static str, usize>>,
}

impl World<'_> {
    fn somebody(&self, dice: &mut Dice) -> CustomerId {
        let ids = self.ids.lock().unwrap();
        ids[dice.roll(ids.len())]
    }

    fn count(&self, what: &'static str) {
        *self.done.lock().unwrap().entry(what).or_default() += 1;
    }
}

async fn worker(world: &World<'_>, number: usize, steps: usize) {
    let mut dice = Dice(0x6d65_7267 + number as u64);
    for step in 0..steps {
        let board = &world.replicas[(number + step) % 2];
        let name = format!("w{number}-{step}");
        let outcome = match dice.roll(40) {
            0..5 => join_in(world, board, &name).await,
            5..11 => link(world, board, &mut dice, &name).await,
            11..15 => unlink(world, board, &mut dice).await,
            15..20 => meet(world, board, &mut dice, &name).await,
            20..24 => refresh(world, &world.apps[(number + step) % 2], &mut dice).await,
            24..33 => merge(world, board, &mut dice).await,
            33..39 => undo(world, board, &mut dice).await,
            _ => erase(world, board, &mut dice).await,
        };
        // In the way of another: a caller tries again, and so does the next step.
        match outcome {
            Ok(()) | Err(Error::Contention) => {}
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

async fn join_in(world: &World<'_>, board: &Board, name: &str) -> Result<(), Error> {
    let id = board.customer(name, at(1)).await;
    world.ids.lock().unwrap().push(id);
    world.count("join");
    Ok(())
}

async fn link(world: &World<'_>, board: &Board, dice: &mut Dice, name: &str) -> Result<(), Error> {
    let customer = world.somebody(dice);
    let mut tx = board.store.begin().await?;
    let Some(root) = tx.customer_lock(customer).await? else { panic!("rule 29: no customer") };
    if root.state != CustomerState::Active {
        return Ok(());
    }
    let namespace = Namespace::Visitor("shop".to_owned());
    let link = samesake::store::Link { root: root.id, ..super::link(namespace, name, customer, at(1)) };
    assert!(tx.link_insert(&link).await?);
    events::record(&mut tx, customer, Actor::Customer, super::added(&link), at(1)).await?;
    tx.commit().await?;
    world.count("link");
    Ok(())
}

async fn unlink(world: &World<'_>, board: &Board, dice: &mut Dice) -> Result<(), Error> {
    let customer = world.somebody(dice);
    let mut tx = board.store.begin().await?;
    let Some(root) = tx.customer_lock(customer).await? else { panic!("rule 29: no customer") };
    let links = tx.links_live(root.id).await?;
    let Some(link) = links.iter().find(|link| link.state == LinkState::Live && link.namespace == "visitor:shop") else {
        return Ok(());
    };
    tx.link_end(link.id, at(2)).await?;
    let (namespace, external_id) = (link.namespace.clone(), link.external_id.clone());
    let event = Event::LinkRemoved { link: link.id, namespace, external_id };
    events::record(&mut tx, root.id, Actor::Customer, event, at(2)).await?;
    tx.commit().await?;
    world.count("unlink");
    Ok(())
}

/// A login, as an app sees it: by whatever ID, there is always somebody, and the sector has a name for them.
async fn meet(world: &World<'_>, board: &Board, dice: &mut Dice, name: &str) -> Result<(), Error> {
    let customer = world.somebody(dice);
    let sector = [SHOP, "bank", "news"][dice.roll(3)];
    let mut tx = board.store.begin().await?;
    let rows = tx.members_seen(sector, customer).await?;
    let seen = merge::side::see(&rows, customer, &board.config, at(1)).unwrap(); // rule 29: there is always somebody
    if seen.state != CustomerState::Active {
        return Ok(());
    }
    let is_first = seen.sub.is_none();
    let sub = match seen.sub.clone() {
        Some(sub) => sub,
        None => {
            let sub = format!("{sector}-{}", LinkId::new(at(1)));
            if seen.is_whole() {
                tx.subject_issue(sector, seen.root, &sub, at(1)).await?
            } else {
                tx.subject_issue_own_side(sector, seen.side, seen.root, &sub, at(1)).await?
            }
        }
    };
    if sector == SHOP {
        let grant = family(name, customer, &sub);
        assert!(tx.grant_insert(&grant, None).await?);
        let token = RefreshToken { grant: grant.id, generation: 0 }.encode(&world.apps[0].app.provider.refresh_key);
        world.families.lock().unwrap().push((token, sub));
    }
    tx.commit().await?;
    if is_first {
        world.count("first meeting");
    }
    world.count("login");
    Ok(())
}

/// A family of refresh tokens, as a login leaves it.
fn family(name: &str, customer: CustomerId, sub: &str) -> Grant {
    Grant {
        id: GrantId::of_code(name),
        client_id: "shop".to_owned(),
        customer: Some(customer),
        sid: None,
        scope: "openid offline_access".to_owned(),
        audience: Vec::new(),
        offline: true,
        claims: json!({ "sub": sub }),
        generation: 0,
        rotated_at: at(1),
        created_at: at(1),
        last_used_at: at(1),
        idle_expires_at: at(10_000),
        expires_at: at(10_000),
        revoked_at: None,
        revoked_reason: None,
    }
}

/// The shop's own refresh: the `sub` is the one it always was, or there is none any more.
async fn refresh(world: &World<'_>, app: &TestApp, dice: &mut Dice) -> Result<(), Error> {
    let (token, sub) = {
        let mut families = world.families.lock().unwrap();
        let Some(most) = families.len().checked_sub(1) else { return Ok(()) };
        families.swap_remove(dice.roll(most + 1))
    };
    let provider = &app.app.provider;
    let client = provider.clients.find("shop").unwrap();
    let params = Params::parse(format!("refresh_token={token}").as_bytes());
    match refresh_token::rotate(provider, &client, &params, at(2)).await {
        Ok(granted) => {
            assert_eq!(granted.subject, sub, "rule 23: a family changed its sub");
            world.families.lock().unwrap().push((granted.refresh_token.unwrap(), sub));
            world.count("refresh");
        }
        Err(error) if error.code == ErrorCode::InvalidGrant => world.count("ended family"),
        // In the way of a merge: the client asks again with the same token.
        Err(_) => world.families.lock().unwrap().push((token, sub)),
    }
    Ok(())
}

async fn erase(world: &World<'_>, board: &Board, dice: &mut Dice) -> Result<(), Error> {
    let customer = world.somebody(dice);
    let key = MasterKey::generate().derive("task");
    match erase::erase(&board.store, &key, customer, (Actor::System, "random"), at(3)).await? {
        Erased::Done { .. } => world.count("erase"),
        Erased::Already { .. } => {}
        other => panic!("{other:?}"),
    }
    Ok(())
}

async fn merge(world: &World<'_>, board: &Board, dice: &mut Dice) -> Result<(), Error> {
    let (survivor, absorbed) = (world.somebody(dice), world.somebody(dice));
    if world.kind != Kind::Right {
        return wrong_merge(world, &board.store, survivor, absorbed).await;
    }
    let request =
        if dice.roll(2) == 0 { by_operator(survivor, absorbed) } else { by_customer(survivor, absorbed, at(1)) };
    // Only those that stand in the way of this very merge may refuse it.
    match merge::execute(&board.store, &board.config, &request, Terms::default(), at(1)).await? {
        Outcome::Done(executed) if !executed.repeated => {
            world.merges.lock().unwrap().push(executed.merge);
            world.count(if executed.kind == MergeKind::Full { "full merge" } else { "merge" });
        }
        Outcome::Done(_) => world.count("already one"),
        Outcome::Unknown(_) => assert_eq!(survivor, absorbed),
        Outcome::Refused(_) => world.count("refused"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

async fn undo(world: &World<'_>, board: &Board, dice: &mut Dice) -> Result<(), Error> {
    let merge = {
        let merges = world.merges.lock().unwrap();
        let Some(most) = merges.len().checked_sub(1) else { return Ok(()) };
        merges[dice.roll(most + 1)]
    };
    if world.kind != Kind::Right {
        return Ok(());
    }
    let request = super::undo_request(merge);
    match merge::undo(&board.store, &board.config, &request, None, at(2)).await? {
        Undone::Done { repeated: false, restored, .. } => {
            world.count("undo");
            // The pair may be merged again later on.
            let row = board.store.begin_read().await?.merge_find(merge).await?.unwrap();
            not_same::lift(&board.store, row.survivor, restored, Actor::System, at(2)).await?;
        }
        Undone::Done { .. } => {}
        // Rule 34: what was erased is not parted any more.
        Undone::Refused(plan) => {
            let erased = plan.refusals.iter().all(|refusal| matches!(refusal, Refusal::Erased { .. }));
            assert!(erased && !plan.refusals.is_empty(), "{plan:?}");
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

/// What `execute` does, with one thing left out.
async fn wrong_merge(
    world: &World<'_>,
    store: &Store,
    survivor: CustomerId,
    absorbed: CustomerId,
) -> Result<(), Error> {
    let mut tx = store.begin().await?;
    let (survivor, absorbed) = match (tx.customer_living(survivor).await?, tx.customer_living(absorbed).await?) {
        (Some(survivor), Some(absorbed))
            if survivor.id != absorbed.id && is_active(&survivor) && is_active(&absorbed) =>
        {
            (survivor.id, absorbed.id)
        }
        _ => return Ok(()),
    };
    if world.kind != Kind::WithoutLock && tx.roots_lock(survivor, absorbed).await?.len() != 2 {
        return Ok(());
    }
    tokio::task::yield_now().await;
    let id = MergeId::new(at(1));
    let members = tx.members_of(absorbed).await?;
    let moved: Vec<CustomerId> = members.iter().map(|row| row.id).collect();
    let event = Event::CustomerMerged {
        merge: id,
        absorbed,
        kind: MergeKind::Full,
        moved: moved.clone(),
        audiences: Vec::new(),
    };
    let seq = events::record_numbered(&mut tx, survivor, &Actor::System, &event, at(1)).await?;
    let row = Merge {
        id,
        survivor,
        absorbed,
        kind: MergeKind::Full,
        actor: "system".to_owned(),
        reason: json!({}),
        moved,
        seq,
        keys_joined_at: Some(at(1)),
        plan: None,
        plan_hash: None,
        idempotency_key: None,
        merged_at: at(1),
        undone_at: None,
        undone_by: None,
    };
    if !tx.merge_insert(&row).await? {
        return Ok(());
    }
    tx.subjects_retire(absorbed, survivor, at(1)).await?;
    let branch = Branch { top: absorbed, under: survivor, seq, keys_joined: true, choices: None };
    tx.members_absorb(&branch, at(1)).await?;
    tx.belongings_follow(absorbed, survivor).await?;
    tx.commit().await?;
    if world.kind == Kind::DirectChildrenOnly {
        // Whoever hangs further below stays where the absorbed customer was.
        for row in members.iter().filter(|row| row.absorbed_by.is_some_and(|parent| parent != absorbed)) {
            let (left, id) = (literal(world.env, absorbed.0), literal(world.env, row.id.0));
            execute(world.env, &format!("UPDATE customers SET canonical = {left} WHERE id = {id}")).await;
        }
    }
    world.count("merge");
    Ok(())
}

fn is_active(customer: &Customer) -> bool {
    customer.state == CustomerState::Active
}

/// Runs it all; answers what was really done.
async fn run(env: &Env, kind: Kind, rounds: usize) -> BTreeMap<&'static str, usize> {
    let mut replicas = [Board::new(env.store().await), Board::new(env.store().await)];
    for board in &mut replicas {
        // The limits are tested elsewhere; here everybody may be merged with everybody.
        board.config.one_id_per_person.clear();
    }
    let first =
        TestApp::builder(env).web_client("shop").configure(|config| config.tokens.refresh_grace = Duration::ZERO);
    let first = first.start().await;
    let world = World {
        env,
        replicas,
        apps: [first.replica(env).await, first],
        kind,
        ids: Mutex::default(),
        merges: Mutex::default(),
        families: Mutex::default(),
        done: Mutex::default(),
    };
    for number in 0..CUSTOMERS {
        join_in(&world, &world.replicas[0], &format!("first-{number}")).await.unwrap();
    }
    for round in 0..rounds {
        let workers = (0..WORKERS).map(|number| worker(&world, round * WORKERS + number, STEPS));
        futures::future::join_all(workers).await;
        invariants::check(env).await;
    }
    world.done.into_inner().unwrap()
}

on_servers! {
    async fn any_order_of_everything_at_once_leaves_the_graph_whole(env: &Env) {
        let rounds = std::env::var("SAMESAKE_TEST_MERGE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
        let done = run(env, Kind::Right, rounds).await;
        for what in ["join", "link", "unlink", "login", "first meeting", "refresh", "merge", "full merge", "undo"] {
            assert!(done.get(what).is_some_and(|count| *count >= 15), "{what} too seldom: {done:?}");
        }
        assert!(done.get("erase").is_some_and(|count| *count >= 5), "erase too seldom: {done:?}");
    }

    async fn a_merge_without_a_lock_is_caught(env: &Env) {
        assert!(is_caught(env, Kind::WithoutLock).await, "the checker sees no merge without a lock");
    }

    async fn a_merge_of_direct_children_only_is_caught(env: &Env) {
        assert!(is_caught(env, Kind::DirectChildrenOnly).await, "the checker sees no branch that was left behind");
    }
}

/// Whether a wrong merge is seen: by a rule that is broken, or by the database itself.
async fn is_caught(env: &Env, kind: Kind) -> bool {
    for _ in 0..5 {
        if AssertUnwindSafe(run(env, kind, 1)).catch_unwind().await.is_err() {
            return true;
        }
    }
    false
}
