//! `samesake customer link …` and `resolve …`: what the company says is a customer's, and who several identifiers mean.
//!
//! What may be linked so, and who is meant, is decided in `identity`.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::open;
use crate::cli::{CustomerLink, CustomerResolve};
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Actor;
use crate::identity::attaching::{self, Attached, Said};
use crate::identity::customer;
use crate::identity::limit::Limit;
use crate::identity::namespace::{Namespace, Rules};
use crate::identity::resolve::{self, Identifier, Lead};
use crate::store;

/// How often a link that lost against others is tried again.
const TRIES: usize = 5;

/// Attaches an identifier. Doing it again changes nothing.
pub(super) async fn link(command: &CustomerLink) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let rules = Rules::of(&config, Clock::system().now());
    let identifier = identifier(&command.identifier, &config)?;
    let views = customer::show(&mut store.begin_read().await?, &command.id, rules).await?;
    let [view] = views.as_slice() else { bail!("nobody is known by this ID, or more than one customer") };
    let proof = command.proved_by.as_deref().map(|proof| (proof, command.proved_at.unwrap_or(rules.now)));
    let said = Said {
        source: "admin",
        proof,
        actor: Actor::Admin(command.admin.clone()),
        reason: super::reason(&command.reason)?,
    };
    let mut tries = 1;
    let attached = loop {
        let mut tx = store.begin().await?;
        match attaching::attach(&mut tx, view.customer_id, &identifier, &said, rules).await {
            Ok(attached) => {
                tx.commit().await?;
                break attached;
            }
            Err(store::Error::Contention) if tries < TRIES => tries += 1,
            Err(error) => return Err(error.into()),
        }
    };
    let name = format!("{}:{}", identifier.namespace, identifier.external_id);
    match attached {
        Attached::Added(_) => println!("{name} is linked to customer {}", view.customer_id),
        Attached::Renewed(_) => println!("{name} is customer {}'s as before, proved anew", view.customer_id),
        Attached::Already(_) => println!("{name} was linked to customer {} before", view.customer_id),
        Attached::Taken(other) => bail!("{name} is customer {other}'s; merge the two if they are one person"),
        Attached::Full(Limit::Live) => bail!("the customer has as many links of {} as allowed", identifier.namespace),
        Attached::Full(Limit::Week) => {
            bail!("as many links of {} as allowed began on this customer in seven days", identifier.namespace)
        }
        Attached::Unproved => bail!("it needs a proof that is not too old and not in the future: --proved-by"),
        Attached::NotThisWay => bail!("identifiers of {} are linked by their owner only", identifier.namespace),
        Attached::Refused => bail!("the customer is blocked or erased"),
        Attached::Unknown => bail!("nobody is known by this ID"),
    }
    Ok(())
}

/// Who several identifiers mean, and which of them disagree.
pub(super) async fn resolve(command: &CustomerResolve) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let rules = Rules::of(&config, Clock::system().now());
    let mut identifiers = Vec::new();
    for given in &command.identifiers {
        identifiers.push(identifier(given, &config)?);
    }
    let resolution = resolve::resolve(&mut store.begin_read().await?, &identifiers, rules).await?;
    let resolution = resolution.context("nobody is known by any of these")?;
    let line = |lead: &Lead| {
        let text = format!("{}:{}", lead.identifier.namespace, lead.identifier.external_id);
        json!({ "identifier": text, "customer_id": lead.customer, "link": lead.link, "priority": lead.priority })
    };
    if command.json {
        let by: Vec<_> = resolution.by.iter().map(line).collect();
        let against: Vec<_> = resolution.against.iter().map(line).collect();
        let answer = json!({ "customer_id": resolution.customer, "by": by, "against": against });
        println!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    println!("customer {}", resolution.customer);
    for (words, leads) in [("by", &resolution.by), ("against", &resolution.against)] {
        for Lead { identifier, customer, priority, .. } in leads {
            println!(
                "  {words} {}:{}  customer {customer}  priority {priority}",
                identifier.namespace, identifier.external_id
            );
        }
    }
    Ok(())
}

fn identifier((namespace, external_id): &(Namespace, String), config: &Config) -> anyhow::Result<Identifier> {
    let external_id = namespace.identifier(external_id, &config.namespaces)?;
    Ok(Identifier { namespace: namespace.clone(), external_id })
}
