//! What an ID sees of its customer: the whole, or its own side of a merge (spec/identity.md rule 25).
//!
//! A session, a grant and a code name the customer as of the login. After a merge by an admin or a rule that row's ways
//! in open its own side only: its own values, its own subject.

use serde_json::Value;

use super::golden;
use super::subjects::{self, Standing};
use super::tree::Tree;
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::ids::CustomerId;
use crate::store::{
    self, ConsentMember, CustomerState, Link, Member, PasswordLogin, SectorMember, SubjectMember, Tx, most_restrictive,
};

/// How many retired subjects are told at most.
const TOLD: usize = 10;

/// A customer as an ID and a sector see them.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The living customer.
    pub root: CustomerId,
    /// Whose own side it is; the root if it is the whole.
    pub side: CustomerId,
    /// Of the living customer: a blocked one is blocked on every side.
    pub state: CustomerState,
    pub version: i64,
    /// The values that count, in their stored form.
    pub profile: Value,
    /// What the sector calls what is seen; `None` before the first issue.
    pub sub: Option<String>,
    /// Every subject that the sector has for what is seen.
    pub subs: Vec<String>,
    /// Subjects retired at this sector lately: for as long as `told_for` in `[merge]` says.
    pub merged_from: Vec<String>,
    /// Logins by this ID from before no longer count.
    pub sessions_from: Option<Timestamp>,
}

impl Seen {
    /// Whether it is the whole customer.
    pub fn is_whole(&self) -> bool {
        self.side == self.root
    }

    /// The subjects retired lately, for whoever is told of `sub`.
    pub fn retired_beside(&self, sub: &str) -> Vec<String> {
        self.merged_from.iter().filter(|retired| *retired != sub).cloned().collect()
    }

    /// Whether a login at this time still counts.
    pub fn counts(&self, auth_time: Timestamp) -> bool {
        self.sessions_from.is_none_or(|from| auth_time >= from)
    }

    /// Whether a login at this time proves the whole customer to be there.
    pub fn is_authenticated(&self, auth_time: Timestamp) -> bool {
        self.state == CustomerState::Active && self.is_whole() && self.counts(auth_time)
    }
}

/// What `customer` sees of these rows; `None` if the ID is not among them.
pub fn see(rows: &[SectorMember], customer: CustomerId, config: &MergeConfig, now: Timestamp) -> Option<Seen> {
    let tree = Tree::new(rows.iter().map(|row| &row.member));
    let own = tree.get(customer)?;
    let (root, side) = (tree.get(own.canonical)?, tree.leader(customer));
    let branch = tree.branch_rows(side);
    let subjects: Vec<&SectorMember> = branch
        .iter()
        .filter_map(|member| rows.iter().find(|row| row.member.id == member.id && row.sub.is_some()))
        .collect();
    let is_whole = side == root.id;
    let sub = if is_whole { current(&subjects) } else { of_a_side(&subjects, side, &tree) };
    Some(Seen {
        root: root.id,
        side,
        state: root.state,
        version: root.version,
        profile: golden::record(&branch, config),
        merged_from: if is_whole { retired(&subjects, config, now) } else { Vec::new() },
        sub: sub.and_then(|row| row.sub.clone()),
        subs: subjects.iter().filter_map(|row| row.sub.clone()).collect(),
        sessions_from: own.sessions_from,
    })
}

/// What the holder of a grant sees behind a subject. The holder is known from the session, else from the grant, else
/// the row that the subject was issued for is taken: it sees the least. `None` if the subject is another customer's by
/// now than the holder.
pub fn see_by_sub(
    rows: &[SubjectMember],
    holder: Option<CustomerId>,
    config: &MergeConfig,
    now: Timestamp,
) -> Option<Seen> {
    let first = rows.first()?;
    let holder = holder.or(first.holder).unwrap_or(first.owner);
    let members: Vec<SectorMember> = rows.iter().map(|row| row.seen.clone()).collect();
    see(&members, holder, config, now)
}

/// What a customer sees of rows that nobody asked a sector's subjects of.
pub fn see_members(rows: &[Member], customer: CustomerId, config: &MergeConfig, now: Timestamp) -> Option<Seen> {
    let bare = |member: &Member| SectorMember {
        member: member.clone(),
        sub: None,
        sub_current: false,
        sub_own_side: false,
        sub_retired_at: None,
    };
    let rows: Vec<SectorMember> = rows.iter().map(bare).collect();
    see(&rows, customer, config, now)
}

/// What a customer sees, with what they allowed a client.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenConsent {
    pub seen: Seen,
    /// What every row of what is seen allowed (rule 27). `None` if none ever did.
    pub scope: Option<String>,
}

/// The same of rows that were read with their consents to one client.
pub fn see_consent(
    rows: &[ConsentMember],
    customer: CustomerId,
    config: &MergeConfig,
    now: Timestamp,
) -> Option<SeenConsent> {
    let members: Vec<Member> = rows.iter().map(|row| row.member.clone()).collect();
    let seen = see_members(&members, customer, config, now)?;
    let branch = Tree::new(&members).branch(seen.side);
    let allowed = rows.iter().filter(|row| branch.contains(&row.member.id)).filter_map(|row| row.scope.clone());
    let scope = most_restrictive(allowed);
    Some(SeenConsent { seen, scope })
}

/// The values that an ID sees, in their stored form.
pub fn profile(rows: &[Member], customer: CustomerId, config: &MergeConfig) -> Option<Value> {
    let tree = Tree::new(rows);
    tree.get(customer)?;
    Some(golden::record(&tree.branch_rows(tree.leader(customer)), config))
}

/// Whether what an ID sees holds another row of its customer.
pub fn holds(rows: &[Member], customer: CustomerId, row: CustomerId) -> bool {
    let tree = Tree::new(rows);
    tree.get(customer).is_some() && tree.branch(tree.leader(customer)).contains(&row)
}

/// Whether the ways in of two IDs open the same.
pub fn is_same(rows: &[Member], one: CustomerId, other: CustomerId) -> bool {
    let tree = Tree::new(rows);
    tree.get(one).is_some() && tree.get(other).is_some() && tree.leader(one) == tree.leader(other)
}

/// The live links that an ID sees, in the order in which they were made.
///
/// # Errors
/// If the database fails.
pub async fn links(tx: &mut Tx, customer: CustomerId) -> Result<Vec<Link>, store::Error> {
    let rows = tx.members_of(customer).await?;
    let Some(root) = rows.first().map(|row| row.canonical) else { return Ok(Vec::new()) };
    let tree = Tree::new(&rows);
    let branch = tree.branch(tree.leader(customer));
    let mut links = tx.links_live(root).await?;
    links.retain(|link| branch.contains(&link.customer));
    Ok(links)
}

/// Those of a customer's live links by which somebody gets in who sees what `customer` sees: a side of a merge below
/// it opens itself only.
///
/// # Errors
/// If the database fails.
pub async fn leading_rows(tx: &mut Tx, customer: CustomerId) -> Result<Vec<CustomerId>, store::Error> {
    let rows = tx.members_of(customer).await?;
    let tree = Tree::new(&rows);
    let side = tree.leader(customer);
    Ok(rows.iter().map(|row| row.id).filter(|id| tree.leader(*id) == side).collect())
}

/// The password that opens an address. Of a side with several, as after a full merge, it is that of the customer who
/// survived: one password stays (rule 27), and an undoing gives the other back.
///
/// # Errors
/// If the database fails.
pub async fn password(tx: &mut Tx, address: &str) -> Result<Option<PasswordLogin>, store::Error> {
    let mut found = tx.password_logins(address).await?;
    let Some(first) = found.first() else { return Ok(None) };
    if first.customer == first.root && found.len() == 1 && first.keeper == first.customer {
        return Ok(found.pop());
    }
    let customer = first.customer;
    let rows = tx.members_of(customer).await?;
    let tree = Tree::new(&rows);
    let side = tree.leader(customer);
    found.retain(|login| tree.leader(login.keeper) == side);
    let survivors = found.iter().position(|login| login.keeper == side);
    Ok(found.into_iter().nth(survivors.unwrap_or_default()))
}

fn current<'a>(subjects: &[&'a SectorMember]) -> Option<&'a SectorMember> {
    subjects.iter().copied().find(|row| row.sub_current)
}

/// What the sector calls a side: never what was issued to another side below it for itself alone.
fn of_a_side<'a>(subjects: &[&'a SectorMember], side: CustomerId, tree: &Tree<'_>) -> Option<&'a SectorMember> {
    let its_own = |row: &&SectorMember| !row.sub_own_side || tree.leader(row.member.id) == side;
    let standing = |row: &&SectorMember| Standing::of(row.sub_current, row.sub_own_side, row.sub_retired_at);
    subjects::chosen(subjects.iter().copied().filter(its_own), standing)
}

fn retired(subjects: &[&SectorMember], config: &MergeConfig, now: Timestamp) -> Vec<String> {
    let recent = |row: &&&SectorMember| {
        row.sub_retired_at.is_some_and(|at| now.since(at) < config.told_for) && !row.sub_own_side
    };
    subjects.iter().filter(recent).filter_map(|row| row.sub.clone()).take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tree::tests::{id, member};
    use super::*;
    use crate::config::Config;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn row(member: Member, sub: Option<(&str, bool)>) -> SectorMember {
        SectorMember {
            sub: sub.map(|(sub, _)| sub.to_owned()),
            sub_current: sub.is_some_and(|(_, current)| current),
            sub_own_side: false,
            sub_retired_at: sub.filter(|(_, current)| !current).map(|_| at(50)),
            member,
        }
    }

    fn look(rows: &[SectorMember], number: u128) -> Seen {
        see(rows, id(number), &Config::load(None, Vec::new()).unwrap().merge, at(60)).unwrap()
    }

    #[test]
    fn a_side_whose_keys_were_not_joined_sees_its_own_values_and_subject() {
        let named =
            |member: Member, name: &str| Member { profile: json!({"name": {"value": name, "at": 1}}), ..member };
        let rows = [
            row(named(member(1, None), "Ada"), Some(("a", true))),
            row(named(member(2, Some((1, 5, false))), "Bob"), Some(("b", false))),
        ];
        let (survivor, absorbed) = (look(&rows, 1), look(&rows, 2));
        assert_eq!((survivor.sub.as_deref(), survivor.is_whole()), (Some("a"), true));
        assert_eq!(survivor.merged_from, ["b"]);
        assert_eq!((absorbed.sub.as_deref(), absorbed.is_whole()), (Some("b"), false));
        assert_eq!(absorbed.profile["name"]["value"], "Bob");
        assert_eq!((absorbed.root, absorbed.side, absorbed.merged_from.len()), (id(1), id(2), 0));
    }

    #[test]
    fn a_side_is_never_called_what_another_side_below_it_is() {
        let mut rows = [
            row(member(1, None), None),
            row(member(2, Some((1, 5, false))), None),
            row(member(3, Some((2, 5, false))), Some(("c", false))),
        ];
        rows[2].sub_own_side = true;
        assert_eq!((look(&rows, 3).sub.as_deref(), look(&rows, 2).sub), (Some("c"), None));
        rows[2].member.keys_joined = true;
        assert_eq!(look(&rows, 2).sub.as_deref(), Some("c"), "its own by now");
    }

    #[test]
    fn of_merges_at_one_moment_the_outer_one_says_what_a_side_was_called() {
        let rows = [
            row(member(1, None), Some(("a", true))),
            row(member(2, Some((1, 5, false))), Some(("b", false))),
            row(member(3, Some((2, 5, false))), Some(("c", false))),
        ];
        assert_eq!(look(&rows, 2).sub.as_deref(), Some("b"));
        assert_eq!(look(&rows, 3).sub.as_deref(), Some("c"));
    }

    #[test]
    fn joined_keys_open_the_whole() {
        let rows = [row(member(1, None), Some(("a", true))), row(member(2, Some((1, 5, true))), Some(("b", false)))];
        assert_eq!(look(&rows, 2).sub.as_deref(), Some("a"));
        assert!(look(&rows, 2).is_whole());
    }

    #[test]
    fn a_sector_that_knew_the_absorbed_side_alone_sees_no_change() {
        let rows = [row(member(1, None), None), row(member(2, Some((1, 5, false))), Some(("b", true)))];
        assert_eq!((look(&rows, 1).sub.as_deref(), look(&rows, 2).sub.as_deref()), (Some("b"), Some("b")));
        assert!(look(&rows, 1).merged_from.is_empty());
    }

    #[test]
    fn a_login_from_before_the_sides_parted_counts_no_more() {
        let mut rows = [row(member(1, None), None)];
        rows[0].member.sessions_from = Some(at(10));
        let seen = look(&rows, 1);
        assert!(!seen.is_authenticated(at(9)) && seen.is_authenticated(at(10)));
    }
}
