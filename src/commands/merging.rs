//! `samesake customer merge`, `unmerge`, `not-same` and `erase`, and `samesake audit verify`.
//!
//! A refusal is an error: its reasons are printed, and the exit code is 1. Whoever runs a command here runs the
//! installation, and needs no second person.

use anyhow::{Context, bail};
use serde::Serialize;

use super::{open, operator, print_json, reason, sessions_store};
use crate::app::Secrets;
use crate::board::audit;
use crate::cli::{Audit, AuditVerify, CustomerErase, CustomerMerge, CustomerNotSame, CustomerUnmerge};
use crate::clock::Clock;
use crate::events::Actor;
use crate::identity::erase::{self, Erased};
use crate::identity::merge::sessions::{self, SessionCount};
use crate::identity::merge::{
    self, Initiator, MovedLink, Outcome, Plan, PlanRequest, Planned, Terms, UndoPlan, UndoRequest, Undone,
};
use crate::identity::not_same::{self, Marked};
use crate::store::AuditCheck;

/// Merges two customers, or says what that would do.
pub(super) async fn merge(command: &CustomerMerge) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let request = PlanRequest {
        survivor: command.survivor,
        absorbed: command.absorbed,
        by: Initiator::Operator { name: operator() },
        reason: reason(&command.reason)?.to_owned(),
        choices: command.choices.iter().cloned().collect(),
        sessions: command.sessions,
    };
    let now = Clock::system().now();
    if command.dry_run {
        return match merge::plan(&store, &config.merge, &request, now).await? {
            Outcome::Done(Planned::New(plan)) | Outcome::Refused(plan) => {
                let kv = sessions_store(&config).await?;
                let survivor = sessions::count(&store, kv.as_ref(), plan.survivor, now).await?.but(&[]);
                let absorbed = sessions::count(&store, kv.as_ref(), plan.absorbed, now).await?.but(&[]);
                let live_sessions = Live { survivor, absorbed };
                show(command.json, &Hashed { hash: plan.hash(), live_sessions, plan: &plan })
            }
            Outcome::Done(Planned::Already(_)) => bail!("they are one customer already"),
            other => not_done(other),
        };
    }
    let terms = Terms { hash: command.hash.as_deref(), idempotency_key: None };
    match merge::execute(&store, &config.merge, &request, terms, now).await? {
        Outcome::Done(executed) if command.json => print_json(&executed),
        Outcome::Done(executed) => {
            let before = if executed.repeated { " before" } else { "" };
            println!("customer {} was merged into {}{before}", executed.absorbed, executed.survivor);
            println!("merge {}", executed.merge);
            Ok(())
        }
        other => not_done(other),
    }
}

pub(super) fn not_done<T>(outcome: Outcome<T>) -> anyhow::Result<()> {
    match outcome {
        Outcome::Done(_) => Ok(()),
        Outcome::Unknown(id) => bail!("nobody to merge by the ID {id}"),
        Outcome::Refused(plan) => {
            let reasons = plan.refusals.iter().map(ToString::to_string);
            let questions =
                plan.questions.iter().map(|field| format!("say whose {field} counts (--choose {field}=ID)"));
            bail!("refused: {}", reasons.chain(questions).collect::<Vec<_>>().join("; "))
        }
        Outcome::Stale(plan) => bail!("the plan has changed; its hash is {} now", plan.hash()),
        Outcome::NeedsApproval(_) => bail!("others must approve it"),
    }
}

/// Undoes a merge, or says what that would do.
pub(super) async fn unmerge(command: &CustomerUnmerge) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let request = UndoRequest {
        merge: command.merge,
        by: Initiator::Operator { name: operator() },
        reason: reason(&command.reason)?.to_owned(),
        take: command.take.clone(),
    };
    let now = Clock::system().now();
    if command.dry_run {
        return match merge::undo_plan(&store, &config.merge, &request, now).await? {
            Some(plan) => {
                let kv = sessions_store(&config).await?;
                let counts = sessions::count(&store, kv.as_ref(), plan.from, now).await?;
                let live_sessions = LiveParted { from: counts.but(&plan.moved), restored: counts.of(&plan.moved) };
                show(command.json, &Undoing { hash: plan.hash(), live_sessions, plan: &plan })
            }
            None => bail!("there is no open merge by this ID"),
        };
    }
    match merge::undo(&store, &config.merge, &request, command.hash.as_deref(), now).await? {
        Undone::Done { from, restored, repeated, .. } => {
            let before = if repeated { " before" } else { "" };
            println!("customer {restored} was restored from {from}{before}");
            Ok(())
        }
        Undone::Unknown => bail!("there is no merge by this ID"),
        Undone::Refused(plan) => {
            let reasons: Vec<String> = plan.refusals.iter().map(ToString::to_string).collect();
            bail!("refused: {}", reasons.join("; "))
        }
        Undone::Stale(plan) => bail!("the plan has changed; its hash is {} now", plan.hash()),
    }
}

/// Remembers that two customers are not the same person, or forgets it.
pub(super) async fn not_same(command: &CustomerNotSame) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let (now, by) = (Clock::system().now(), Actor::Admin(operator()));
    let marked = if command.lift {
        not_same::lift(&store, command.one, command.other, by, now).await?
    } else {
        let why = reason(command.reason.as_deref().unwrap_or_default())?;
        not_same::mark(&store, command.one, command.other, by, why, now).await?
    };
    match (marked, command.lift) {
        (Marked::Done, false) => println!("remembered: they are not the same person"),
        (Marked::Done, true) => println!("lifted: they may be merged"),
        (Marked::Already, _) => println!("it was so before"),
        (Marked::Merged, _) => bail!("they are one customer: undo the merge first"),
        (Marked::Unknown, _) => bail!("nobody is known by one of these IDs"),
    }
    Ok(())
}

/// Erases a customer.
pub(super) async fn erase(command: &CustomerErase) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let master = config.secrets.master_key().context("no master key is configured")?;
    let (key, by) = (Secrets::derive(master).task, Actor::Admin(operator()));
    match erase::erase(&store, &key, command.id, (by, reason(&command.reason)?), Clock::system().now()).await? {
        Erased::Done { customer, members } => {
            println!("customer {customer} is erased, {} rows in all", members.len());
            Ok(())
        }
        Erased::Already { customer } => {
            println!("customer {customer} was erased before");
            Ok(())
        }
        Erased::Unknown => bail!("nobody is known by this ID"),
        Erased::Refused(refusal) => bail!("refused: {refusal}"),
    }
}

/// Runs `samesake audit …`.
pub(super) async fn audit(command: &Audit) -> anyhow::Result<()> {
    match command {
        Audit::Verify(command) => verify(command).await,
    }
}

async fn verify(command: &AuditVerify) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let mut broken = Vec::new();
    for (chain, check) in audit::verify(&store).await?.into_iter().enumerate() {
        match check {
            AuditCheck::Intact { entries } => println!("chain {chain:>2}  intact  {entries} entries"),
            AuditCheck::Broken { seq } => {
                println!("chain {chain:>2}  BROKEN  at entry {seq}");
                broken.push(chain);
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { bail!("{} of {} chains are broken", broken.len(), AuditCheck::CHAINS) }
}

/// A plan that prints itself for people.
trait Table: Serialize {
    fn print(&self);
}

/// Live sessions of both, now: no part of what the hash stands for.
#[derive(Serialize)]
struct Live {
    survivor: SessionCount,
    absorbed: SessionCount,
}

#[derive(Serialize)]
struct LiveParted {
    from: SessionCount,
    restored: SessionCount,
}

#[derive(Serialize)]
struct Hashed<'a> {
    hash: String,
    live_sessions: Live,
    plan: &'a Plan,
}

#[derive(Serialize)]
struct Undoing<'a> {
    hash: String,
    live_sessions: LiveParted,
    plan: &'a UndoPlan,
}

fn print_sessions(whose: &str, count: SessionCount) {
    let sso = count.sso.map_or_else(|| "unknown".to_owned(), |sso| sso.to_string());
    println!("  sessions  {whose:<20} {sso} signed in, {} with refresh tokens", count.refresh_tokens);
}

fn show(json: bool, table: &impl Table) -> anyhow::Result<()> {
    if json {
        return print_json(table);
    }
    table.print();
    Ok(())
}

impl Table for Hashed<'_> {
    fn print(&self) {
        let plan = self.plan;
        println!("{} lives on, {} becomes part of it", plan.survivor, plan.absorbed);
        for refusal in &plan.refusals {
            println!("  refused   {refusal}");
        }
        for field in &plan.questions {
            println!("  to decide {field}");
        }
        for field in &plan.fields {
            for candidate in &field.candidates {
                let mark = if candidate.customer == field.chosen { "*" } else { " " };
                println!("  {mark} {:<16} {:<32} {}", field.name, candidate.value.to_string(), candidate.customer);
            }
        }
        print_links("moves", &plan.moves.links);
        for line in &plan.sectors {
            println!("  sector    {:<20} will see {}", line.sector, line.after);
        }
        print_sessions("of the survivor", self.live_sessions.survivor);
        print_sessions("of the absorbed", self.live_sessions.absorbed);
        println!("  the absorbed side's sessions: {}", plan.sessions.as_str());
        for reason in &plan.risk.reasons {
            println!("  risk {:>4} {}", reason.points, reason.why);
        }
        println!("risk {} of 100\nhash {}", plan.risk.score, self.hash);
    }
}

impl Table for Undoing<'_> {
    fn print(&self) {
        let plan = self.plan;
        println!("{} parts from {}", plan.restored, plan.from);
        for refusal in &plan.refusals {
            println!("  refused   {refusal}");
        }
        print_links("goes", &plan.links);
        print_links("stays", &plan.stay);
        print_links("taken", &plan.taken);
        for line in &plan.sectors {
            println!("  sector    {:<20} will see {}", line.sector, line.restored);
        }
        print_sessions("of the rest end", self.live_sessions.from);
        print_sessions("of the restored end", self.live_sessions.restored);
        println!("hash {}", self.hash);
    }
}

fn print_links(what: &str, links: &[MovedLink]) {
    for link in links {
        println!("  {what:<9} {}:{}  link {}", link.namespace, link.external_id, link.link);
    }
}
