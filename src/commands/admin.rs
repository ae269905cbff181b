//! `samesake admin`: who may administer customers, and as what. A change counts from the next request on.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::open;
use crate::board::admin::{self, Change};
use crate::cli::{Admin, AdminGrant, AdminList, AdminRevoke};
use crate::clock::Clock;
use crate::events::Actor;
use crate::ids::CustomerId;
use crate::protocol::client_metadata::ClientMetadata;
use crate::store::Tx;

/// Who acts at the command line: whoever may read the configuration.
const ACTOR: &str = "command line";

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unreachable database, or an ID that nobody has.
pub(super) async fn run(command: &Admin) -> anyhow::Result<()> {
    match command {
        Admin::Grant(command) => grant(command).await,
        Admin::Revoke(command) => revoke(command).await,
        Admin::List(command) => list(command).await,
    }
}

async fn customer(tx: &mut Tx, id: &str) -> anyhow::Result<CustomerId> {
    admin::find(tx, id).await?.context("nobody is known by this ID, or the address is not proved")
}

async fn grant(command: &AdminGrant) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let mut tx = store.begin().await?;
    let customer = customer(&mut tx, &command.id).await?;
    let actor = Actor::Admin(ACTOR.to_owned());
    let change = admin::grant(&mut tx, customer, command.role, &actor, None, Clock::system().now()).await?;
    tx.commit().await?;
    match change {
        Change::Done => println!("customer {customer} is {} now", command.role),
        Change::Nothing => println!("customer {customer} is {} already", command.role),
        Change::Own | Change::NotAllowed => bail!("whoever does this may not"),
        Change::NotActive => bail!("customer {customer} is blocked or gone, and can have no role"),
    }
    Ok(())
}

async fn revoke(command: &AdminRevoke) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let mut tx = store.begin().await?;
    let customer = admin::find_admin(&mut tx, &command.id).await?.context("nobody with a role is known by this ID")?;
    let actor = Actor::Admin(ACTOR.to_owned());
    admin::revoke(&mut tx, customer, &actor, None, Clock::system().now()).await?;
    tx.commit().await?;
    println!("customer {customer} has no role any more");
    Ok(())
}

async fn list(command: &AdminList) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let mut tx = store.begin_read().await?;
    let (people, stored) = (tx.admins().await?, tx.clients_all().await?);
    let configured = config.clients.iter().map(|client| &client.metadata);
    let clients: Vec<&ClientMetadata> = configured
        .chain(stored.iter().map(|row| &row.metadata))
        .filter(|metadata| metadata.admin_role.is_some())
        .collect();
    if command.json {
        let mut all: Vec<_> = people
            .iter()
            .map(|admin| {
                json!({ "customer_id": admin.customer, "role": admin.role, "granted_by": admin.granted_by,
                        "granted_at": admin.granted_at.to_string() })
            })
            .collect();
        all.extend(clients.iter().map(|client| json!({ "client_id": client.client_id, "role": client.admin_role })));
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("{:<9} {:<44} since", "role", "who");
    for admin in people {
        println!("{:<9} {:<44} {}", admin.role.as_str(), admin.customer, admin.granted_at);
    }
    for client in clients {
        let role = client.admin_role.map_or("", |role| role.as_str());
        println!("{role:<9} {:<44} by its registration", format!("client {}", client.client_id));
    }
    Ok(())
}
