//! From the rows of two customers to the plan of their merge, and from a plan to its hash (spec/identity.md rule 28).
//!
//! Pure: the same rows give the same plan, so that what was previewed is what is executed, or is seen not to be.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Side};
use super::golden::{self, Field};
use super::tree::Tree;
use super::{ConsentLine, Initiator, MovedLink, Moves, Plan, PlanRequest, Risk, RiskReason, SectorLine, refusal};
use crate::clock::Timestamp;
use crate::config::{MergeConfig, Survivorship};
use crate::secret;
use crate::store::{Member, MergeKind};

/// Plans a merge of these two.
pub(super) fn plan(config: &MergeConfig, request: &PlanRequest, facts: &Facts, now: Timestamp) -> Plan {
    let rows = in_order(facts);
    let mut choices = golden::choices_of(&rows);
    choices.extend(request.choices.clone());
    let fields = golden::fields(&rows, config, &choices);
    let risk = risk(facts, &fields);
    let by_admin = matches!(request.by, Initiator::Admin { .. });
    Plan {
        survivor: facts.survivor.root,
        absorbed: facts.absorbed.root,
        kind: request.by.kind(),
        refusals: refusal::refusals(config, request, facts, now),
        questions: questions(&fields),
        fields,
        moves: moves(request.by.kind(), facts),
        sectors: sectors(facts),
        sessions: request.sessions(config.sessions),
        needs_approval: by_admin && risk.score >= config.approval_from_risk,
        risk,
        versions: (facts.survivor.version(), facts.absorbed.version()),
    }
}

impl Plan {
    /// The same for the same plan only: 43 characters.
    pub fn hash(&self) -> String {
        // A version rises with events that change nothing of this, such as an approval.
        let text = serde_json::to_string(&Self { versions: (0, 0), ..self.clone() }).unwrap_or_default();
        secret::base64url(&secret::sha256(&[b"merge plan", text.as_bytes()]))
    }

    /// Whether it may be executed as it is.
    pub fn is_clear(&self) -> bool {
        self.refusals.is_empty() && self.questions.is_empty()
    }
}

/// The rows as they will stand in the tree: the survivor's branch, then the absorbed one as its last child.
fn in_order(facts: &Facts) -> Vec<&Member> {
    let mut rows = Tree::new(&facts.survivor.rows).branch_rows(facts.survivor.root);
    rows.extend(Tree::new(&facts.absorbed.rows).branch_rows(facts.absorbed.root));
    rows
}

fn questions(fields: &[Field]) -> Vec<String> {
    let open = fields.iter().filter(|field| field.rule == Survivorship::Ask && !field.by_choice && field.differs());
    open.map(|field| field.name.clone()).collect()
}

fn moves(kind: MergeKind, facts: &Facts) -> Moves {
    let absorbed = &facts.absorbed;
    let consents = facts.survivor.consents.iter().chain(&absorbed.consents);
    Moves {
        customers: absorbed.rows.iter().map(|row| row.id).collect(),
        links: absorbed
            .links
            .iter()
            .map(|link| MovedLink {
                link: link.id,
                namespace: link.namespace.clone(),
                external_id: link.external_id.clone(),
            })
            .collect(),
        passwords: absorbed.passwords.len(),
        password_rests: kind == MergeKind::Full
            && !absorbed.passwords.is_empty()
            && facts.survivor.passwords.contains(&facts.survivor.root),
        consents: consents
            .map(|consent| ConsentLine {
                customer: consent.customer,
                client_id: consent.client_id.clone(),
                scope: consent.scope.clone(),
            })
            .collect(),
    }
}

fn sectors(facts: &Facts) -> Vec<SectorLine> {
    let (survivor, absorbed) = (current(&facts.survivor), current(&facts.absorbed));
    let names: BTreeSet<&str> = survivor.keys().chain(absorbed.keys()).copied().collect();
    let line = |sector: &str| {
        let (kept, other) = (survivor.get(sector).copied(), absorbed.get(sector).copied());
        Some(SectorLine {
            sector: sector.to_owned(),
            survivor: kept.map(str::to_owned),
            absorbed: other.map(str::to_owned),
            after: kept.or(other)?.to_owned(),
        })
    };
    names.into_iter().filter_map(line).collect()
}

fn current(side: &Side) -> BTreeMap<&str, &str> {
    let current = side.subjects.iter().filter(|subject| subject.current);
    current.map(|subject| (subject.sector.as_str(), subject.sub.as_str())).collect()
}

/// What makes a merge one to regret: nothing that both have proved, names and birth dates that differ, much at stake.
fn risk(facts: &Facts, fields: &[Field]) -> Risk {
    let mut reasons = Vec::new();
    let mut add = |points: u32, why: &str| reasons.push(RiskReason { points, why: why.to_owned() });
    if !share_a_hint(facts) {
        add(30, "no identifier of one was ever seen with the other");
    }
    for field in fields.iter().filter(|field| field.differs()) {
        match field.name.as_str() {
            "birthdate" => add(30, "the birth dates differ"),
            "name" => add(10, "the names differ"),
            _ => {}
        }
    }
    let can_log_in =
        |side: &Side| !side.passwords.is_empty() || side.links.iter().any(|link| link.verified_at.is_some());
    if can_log_in(&facts.survivor) && can_log_in(&facts.absorbed) {
        add(10, "both have ways to log in");
    }
    let known = |side: &Side| side.subjects.iter().filter(|subject| subject.current).count();
    if known(&facts.survivor) > 0 && known(&facts.absorbed) > 0 {
        add(10, "apps know both");
    }
    if facts.survivor.rows.len() + facts.absorbed.rows.len() > 4 {
        add(20, "more than four customers would be one");
    }
    Risk { score: reasons.iter().map(|reason| reason.points).sum::<u32>().min(100), reasons }
}

/// Whether an address or a number of one stands with the other too, proved or not.
fn share_a_hint(facts: &Facts) -> bool {
    let identifiers = |side: &Side| -> BTreeSet<String> {
        let of_people = |namespace: &str| matches!(namespace, "email" | "unproved_email" | "phone");
        side.links.iter().filter(|link| of_people(&link.namespace)).map(|link| link.external_id.clone()).collect()
    };
    !identifiers(&facts.survivor).is_disjoint(&identifiers(&facts.absorbed))
}
