//! `samesake customer hold`, `release` and `brand`: what keeps a customer from being merged or erased.
//!
//! Done again they change nothing. A refusal is an error: its reason is printed, and the exit code is 1.

use anyhow::bail;

use super::{open, operator, reason};
use crate::cli::{CustomerBrand, CustomerHold};
use crate::clock::Clock;
use crate::events::Actor;
use crate::identity::brand::{self, Branded};
use crate::identity::hold::{self, Held};

/// Puts a customer under a legal hold.
pub(super) async fn hold(command: &CustomerHold) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let (reason, by) = (reason(&command.reason)?, Actor::Admin(operator()));
    let mut tx = store.begin().await?;
    let held = hold::place(&mut tx, command.id, by, reason, Clock::system().now()).await?;
    match held {
        Held::Done { customer } => {
            tx.commit().await?;
            println!("customer {customer} is under a legal hold");
        }
        Held::Already { customer, reason } => {
            println!("customer {customer} is under a legal hold already: {}", reason.unwrap_or_default());
        }
        Held::Erased { customer } => bail!("customer {customer} is erased: there is nothing to hold"),
        Held::Unknown => bail!("nobody is known by this ID"),
    }
    Ok(())
}

/// Lifts a legal hold.
pub(super) async fn release(command: &CustomerHold) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let (reason, by) = (reason(&command.reason)?, Actor::Admin(operator()));
    let mut tx = store.begin().await?;
    let lifted = hold::lift(&mut tx, command.id, by, reason, Clock::system().now()).await?;
    match lifted {
        Held::Done { customer } => {
            tx.commit().await?;
            println!("customer {customer} is free again");
        }
        Held::Already { customer, .. } | Held::Erased { customer } => {
            println!("customer {customer} was under no legal hold");
        }
        Held::Unknown => bail!("nobody is known by this ID"),
    }
    Ok(())
}

/// Says which brand's customer somebody is.
pub(super) async fn brand(command: &CustomerBrand) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let (reason, by) = (reason(&command.reason)?, Actor::Admin(operator()));
    let name = command.brand.as_ref();
    let mut tx = store.begin().await?;
    match brand::set(&mut tx, &config.merge, command.id, name, (by, reason), Clock::system().now()).await? {
        Branded::Done { customer } => {
            tx.commit().await?;
            let whose = name.map_or("no brand in particular", |name| name.as_str());
            println!("customer {customer} is of {whose}");
            Ok(())
        }
        Branded::Already { customer } => {
            println!("customer {customer} was so before");
            Ok(())
        }
        Branded::Refused(refusal) => bail!("refused: {refusal}"),
        Branded::Erased { customer } => bail!("customer {customer} is erased"),
        Branded::Unknown => bail!("nobody is known by this ID"),
    }
}
