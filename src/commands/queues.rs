//! `samesake candidates`, `merge-requests` and `conflicts`: what waits for a person, as the admin API has it.
//!
//! JSON is that of the API's answers. What is settled by now is an error, and the exit code is 1.

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::{open, print_json, reason};
use crate::app::Secrets;
use crate::board::notices::Notices;
use crate::board::queue::{self, Settled};
use crate::cli::{CandidateJudgment, CandidateList, CandidateShow, Candidates, Conflicts, Listing, MergeRequests};
use crate::cli::{Settle, Shown};
use crate::clock::Clock;
use crate::events::Actor;
use crate::http::admin_api::candidate_view::{CandidateDetail, CandidateView};
use crate::http::admin_api::conflicts::ConflictView;
use crate::http::admin_api::merge_requests::MergeRequestView;
use crate::identity::not_same::{self, Marked};
use crate::store::{CandidateState, Store, Tx};

/// Runs `samesake candidates …`.
///
/// # Errors
/// A wrong configuration, an unreachable database, no such pair, or one that is settled.
pub(super) async fn candidates(command: &Candidates) -> anyhow::Result<()> {
    match command {
        Candidates::List(command) => list(command).await,
        Candidates::Show(command) => show(command).await,
        Candidates::Dismiss(command) => dismiss(command).await,
        Candidates::Watch(command) => watch(command).await,
    }
}

async fn list(command: &CandidateList) -> anyhow::Result<()> {
    let (_, store) = open(&command.listing.installation).await?;
    let limit = i64::from(command.listing.limit);
    let lines = store.begin_read().await?.candidates_page(command.band.as_str(), None, limit).await?;
    if command.listing.json {
        return print_json(&lines.iter().map(CandidateView::from).collect::<Vec<_>>());
    }
    if lines.is_empty() {
        println!("no pair waits here");
    }
    for line in &lines {
        let pair = &line.candidate;
        println!("{}  {}  same {:.4}  household {:.4}  {}", pair.a, pair.b, pair.same, pair.household, pair.model);
    }
    Ok(())
}

async fn show(command: &CandidateShow) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let line = store.begin_read().await?.candidate_find(command.one, command.other).await?;
    let Some(line) = line else { bail!("there is no such pair") };
    let detail = CandidateDetail::from(line.clone());
    if command.json {
        return print_json(&detail);
    }
    let (pair, view) = (&line.candidate, &detail.pair);
    println!("{}  {}", pair.a, pair.b);
    println!("  {}, {}, found by {}, {}", pair.state.as_str(), pair.band, pair.model, pair.updated_at);
    println!("  same {:.4}  household {:.4}  unrelated {:.4}", view.same, view.household, view.unrelated);
    for rule in &detail.rules {
        println!("  rule {rule}");
    }
    if let Some(waterfall) = &detail.waterfall {
        println!("  {:<20} {:<20} {:>8} bits", "prior", "", rounded(waterfall.prior_bits));
        for step in &waterfall.steps {
            println!("  {:<20} {:<20} {:>8} bits", step.field, step.level, rounded(step.bits));
        }
    }
    Ok(())
}

fn rounded(bits: f64) -> String {
    format!("{bits:+.2}")
}

async fn dismiss(command: &CandidateJudgment) -> anyhow::Result<()> {
    let (store, why) = opened(command).await?;
    let mut tx = store.begin().await?;
    let pair = open_pair(&mut tx, command).await?;
    let by = Actor::Admin(command.deed.admin.clone());
    let marked = not_same::mark_within(&mut tx, pair, by, why, Clock::system().now()).await?;
    match marked {
        Marked::Done | Marked::Already => {
            tx.commit().await?;
            println!("dismissed: they are not the same person");
            Ok(())
        }
        Marked::Merged => bail!("they are one customer: undo the merge first"),
        Marked::Unknown => bail!("nobody is known by one of these IDs"),
    }
}

async fn watch(command: &CandidateJudgment) -> anyhow::Result<()> {
    let (store, why) = opened(command).await?;
    let mut tx = store.begin().await?;
    let pair = open_pair(&mut tx, command).await?;
    let by = Actor::Admin(command.deed.admin.clone());
    if !queue::watch(&mut tx, pair, (&by, why), Clock::system().now()).await? {
        bail!("the pair is settled by now");
    }
    tx.commit().await?;
    println!("on watch until more speaks for it");
    Ok(())
}

async fn opened(command: &CandidateJudgment) -> anyhow::Result<(Store, &str)> {
    let why = reason(&command.deed.reason)?;
    Ok((open(&command.installation).await?.1, why))
}

async fn open_pair(
    tx: &mut Tx,
    command: &CandidateJudgment,
) -> anyhow::Result<(crate::ids::CustomerId, crate::ids::CustomerId)> {
    let line = tx.candidate_find(command.one, command.other).await?.context("there is no such pair")?;
    match line.candidate.state {
        CandidateState::Open => Ok((line.candidate.a, line.candidate.b)),
        settled => bail!("the pair is {}", settled.as_str()),
    }
}

/// Runs `samesake merge-requests …`.
///
/// # Errors
/// A wrong configuration, an unreachable database, no such request, or one that is settled.
pub(super) async fn merge_requests(command: &MergeRequests) -> anyhow::Result<()> {
    match command {
        MergeRequests::List(command) => list_requests(command).await,
        MergeRequests::Show(command) => {
            let (_, store) = open(&command.installation).await?;
            let request = store.begin_read().await?.merge_request_find(command.id).await?;
            shown(command, &MergeRequestView::from(request.context("there is no such request")?))
        }
        MergeRequests::Decline(command) => decline(command).await,
    }
}

async fn list_requests(command: &Listing) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let requests = store.begin_read().await?.merge_requests_page(None, i64::from(command.limit)).await?;
    if command.json {
        return print_json(&requests.into_iter().map(MergeRequestView::from).collect::<Vec<_>>());
    }
    if requests.is_empty() {
        println!("nobody waits");
    }
    for request in &requests {
        println!("{}  {}  {}  since {}", request.id, request.a, request.b, request.opened_at);
    }
    Ok(())
}

async fn decline(command: &Settle) -> anyhow::Result<()> {
    let why = reason(&command.deed.reason)?;
    let (config, store) = open(&command.installation).await?;
    let secrets = Secrets::derive(config.secrets.master_key().context("no master key is configured")?);
    let notices = Notices::new(&config, &secrets.mail);
    let by = Actor::Admin(command.deed.admin.clone());
    let mut tx = store.begin().await?;
    match queue::decline(&mut tx, &notices, command.id, (&by, why), Clock::system().now()).await? {
        Settled::Done => {
            tx.commit().await?;
            println!("declined: the two accounts stay two, and are told so");
            Ok(())
        }
        Settled::Already => bail!("the request is settled by now"),
        Settled::Unknown => bail!("there is no such request"),
    }
}

/// Runs `samesake conflicts …`.
///
/// # Errors
/// A wrong configuration, an unreachable database, no such case, or one that is closed.
pub(super) async fn conflicts(command: &Conflicts) -> anyhow::Result<()> {
    match command {
        Conflicts::List(command) => list_conflicts(command).await,
        Conflicts::Show(command) => {
            let (_, store) = open(&command.installation).await?;
            let conflict = store.begin_read().await?.conflict_find(command.id).await?;
            shown(command, &ConflictView::from(conflict.context("there is no such case")?))
        }
        Conflicts::Close(command) => close(command).await,
    }
}

async fn list_conflicts(command: &Listing) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let conflicts = store.begin_read().await?.conflicts_page(None, i64::from(command.limit)).await?;
    if command.json {
        return print_json(&conflicts.into_iter().map(ConflictView::from).collect::<Vec<_>>());
    }
    if conflicts.is_empty() {
        println!("no case waits");
    }
    for case in &conflicts {
        println!(
            "{}  {:<20} {}  {}  since {}",
            case.id,
            case.kind.as_str(),
            case.customer,
            case.other,
            case.created_at
        );
    }
    Ok(())
}

async fn close(command: &Settle) -> anyhow::Result<()> {
    let why = reason(&command.deed.reason)?;
    let (_, store) = open(&command.installation).await?;
    let by = Actor::Admin(command.deed.admin.clone());
    let mut tx = store.begin().await?;
    match queue::close_conflict(&mut tx, command.id, (&by, why), Clock::system().now()).await? {
        Settled::Done => {
            tx.commit().await?;
            println!("closed");
            Ok(())
        }
        Settled::Already => bail!("the case is closed already"),
        Settled::Unknown => bail!("there is no such case"),
    }
}

/// One thing: as JSON on one line for programs, or each member on a line of its own.
fn shown(command: &Shown, view: &impl Serialize) -> anyhow::Result<()> {
    if command.json {
        return print_json(view);
    }
    if let serde_json::Value::Object(members) = serde_json::to_value(view)? {
        for (name, value) in members {
            println!("{name:<12} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    Ok(())
}
