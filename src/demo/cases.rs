//! What there is to look into at the demonstration's desk: a legal hold, a brand, an account whose provider speaks against
//! it, and a merge that somebody has proposed.
//!
//! All of it is made by the functions that the desk's own buttons call.

use anyhow::Context as _;

use super::people::claimed;
use crate::app::App;
use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::identity::brand::{self, BrandName};
use crate::identity::hold;
use crate::identity::merge::{self, Initiator, PlanRequest, Terms};
use crate::identity::namespace::Namespace;
use crate::identity::receive;
use crate::ids::CustomerId;
use crate::protocol::security_event::{AccountEvent, Cause, Happened};
use crate::store::Link;

use super::provider::CONNECTOR;

/// Makes them. `customers` are those of the demonstration, by address; `approver` proposes.
pub(super) async fn settle(
    app: &App,
    approver: CustomerId,
    customers: &[(&str, CustomerId)],
    now: Timestamp,
) -> anyhow::Result<()> {
    let id = |email: &str| customers.iter().find(|(known, _)| *known == email).map(|(_, id)| *id);
    if let Some(signe) = id("signe@mail.example") {
        keep(app, signe, now).await?;
    }
    if let (Some(katarina), Some(kata)) = (id("katarina.oest@mail.example"), id("kata@trails.example")) {
        disable(app, kata, now).await?;
        let request = PlanRequest {
            survivor: katarina,
            absorbed: kata,
            by: Initiator::Admin { name: approver.to_string(), customer: Some(approver) },
            reason: "She has moved to Luleå, and wrote to us from both addresses.".to_owned(),
            choices: std::collections::BTreeMap::new(),
            sessions: None,
        };
        merge::propose(app.store(), &app.config.merge, &request, Terms::default(), now).await?;
    }
    Ok(())
}

/// Somebody of a brand, whose data must stay as it is.
async fn keep(app: &App, customer: CustomerId, now: Timestamp) -> anyhow::Result<()> {
    let by = || Actor::Admin("demonstration".to_owned());
    let club = "polar-club".parse::<BrandName>().map_err(anyhow::Error::msg)?;
    let mut tx = app.store().begin().await?;
    let reason = "Came with the club's members";
    brand::set(&mut tx, &app.config.merge, customer, Some(&club), (by(), reason), now).await?;
    hold::place(&mut tx, customer, by(), "Dispute over a refund, case 2026-118", now).await?;
    tx.commit().await?;
    Ok(())
}

/// An account at the stand-in provider, which says that somebody else got into it.
async fn disable(app: &App, customer: CustomerId, now: Timestamp) -> anyhow::Result<()> {
    let mut tx = app.store().begin().await?;
    let link = Link {
        namespace: Namespace::Social(CONNECTOR.to_owned()).to_string(),
        exclusive: true,
        source: format!("connector:{CONNECTOR}"),
        proof: Some(format!("connector:{CONNECTOR}")),
        verified_at: Some(now),
        display: Some("@katarina".to_owned()),
        ..claimed(customer, "katarina", now)
    };
    tx.link_insert(&link).await?;
    let (namespace, external_id) = (link.namespace.clone(), link.external_id.clone());
    let added = Event::LinkAdded { link: link.id, namespace, external_id };
    events::record(&mut tx, customer, Actor::System, added, now).await?;
    let told = AccountEvent { subject: Some(link.external_id.clone()), happened: Happened::Disabled(Cause::Hijacking) };
    receive::account_event(&mut tx, CONNECTOR, &told, now, now).await?.context("the account is unknown")?;
    tx.commit().await?;
    Ok(())
}
