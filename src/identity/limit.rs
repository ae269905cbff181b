//! How many links a customer may have, and how many may begin in a week (spec/identity.md rules 1 and 3).
//!
//! Reaching a limit refuses; nothing is pushed out. What ended again counts for its week, so that no loop of linking and
//! unlinking gets around it. Both are counted under the customer's lock, which the caller holds.

use std::time::Duration;

use super::namespace::{Namespace, Rules};
use super::other_names;
use crate::ids::CustomerId;
use crate::store::{self, Link, Tx};

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A limit that is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// As many are live as may be.
    Live,
    /// As many have begun in the last seven days as may.
    Week,
}

/// What stands against one more link of a namespace on a locked root; `None` if nothing does. `links` are its live ones.
pub(super) async fn reached(
    tx: &mut Tx,
    root: CustomerId,
    links: &[Link],
    namespace: &Namespace,
    rules: Rules<'_>,
) -> Result<Option<Limit>, store::Error> {
    let (name, policy) = (namespace.to_string(), rules.policy(namespace));
    let counts = |link: &&Link| link.namespace == name && !other_names::is_other_name(link);
    let live = u32::try_from(links.iter().filter(counts).count()).unwrap_or(u32::MAX);
    if live >= policy.live {
        return Ok(Some(Limit::Live));
    }
    let begun = tx.links_begun(root, &name, &other_names::SOURCES, rules.now - WEEK).await?;
    Ok((begun >= i64::from(policy.new_per_week)).then_some(Limit::Week))
}
