//! A plan in words and numbers, as the dry run and a proposal show it.
//!
//! Nothing is weighed here: what a merge may be, what it moves and how risky it is are the core's to say.

use std::collections::BTreeMap;

use super::access::Desk;
use super::frame::{Person, short};
use super::words;
use crate::app::App;
use crate::board::dossier;
use crate::config::{MergedSessions, Survivorship};
use crate::http::error::Failure;
use crate::identity::merge::golden::{Candidate, Field};
use crate::identity::merge::sessions::{self, SessionCount};
use crate::identity::merge::{Plan, Refusal, SectorLine};
use crate::identity::profile::Profile;
use crate::ids::CustomerId;

/// Lines of one kind that are shown; the rest is counted.
const MOST: usize = 200;

/// The whole plan.
pub struct PlanView {
    pub survivor: Person,
    pub absorbed: Person,
    pub hash: String,
    pub refusals: Vec<String>,
    pub questions: Vec<String>,
    pub fields: Vec<FieldView>,
    /// What somebody decided, to be sent along.
    pub choices: Vec<(String, CustomerId)>,
    pub sectors: Vec<SectorView>,
    pub links: Vec<(String, String)>,
    pub counts: Counts,
    /// What may become of the absorbed side's sessions.
    pub sessions: Vec<SessionsView>,
    pub risk: u32,
    pub risk_reasons: Vec<(u32, String)>,
    pub needs_approval: bool,
    pub approvals: u32,
    pub undo_days: u64,
}

/// What it comes to in numbers.
pub struct Counts {
    pub customers: usize,
    pub links: usize,
    /// Sectors that know both: each loses one name for the customer.
    pub apps_with_both: usize,
    pub apps: usize,
    pub passwords: usize,
    pub consents: usize,
    /// Where they are signed in as either of the two.
    pub survivor: Signed,
    pub absorbed: Signed,
    /// Values that differ.
    pub differences: usize,
}

/// The live sessions of one side.
#[derive(Clone, Copy, Debug)]
pub struct Signed(pub SessionCount);

impl Signed {
    /// Browsers; a stroke where they cannot be counted.
    pub fn browsers(&self) -> String {
        self.0.sso.map_or_else(|| "—".to_owned(), |count| count.to_string())
    }

    pub fn refresh_tokens(&self) -> String {
        counted(self.0.refresh_tokens, "refresh token")
    }

    fn browsers_in_words(&self) -> String {
        self.0.sso.map_or_else(|| "every browser".to_owned(), |count| counted(count, "browser"))
    }
}

/// A number of things in words.
pub fn counted(count: u64, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

/// One of the things that may become of the absorbed side's sessions.
pub struct SessionsView {
    pub name: &'static str,
    pub label: &'static str,
    /// What that means of those there are now.
    pub words: String,
    /// As it is planned.
    pub chosen: bool,
}

impl SessionsView {
    fn of(policy: MergedSessions, planned: MergedSessions, signed: Signed) -> Self {
        let (browsers, tokens) = (signed.browsers_in_words(), signed.refresh_tokens());
        let (label, words) = match policy {
            MergedSessions::Keep => ("Stays", format!("Kept, seeing their own side only: {browsers}, {tokens}.")),
            MergedSessions::Downgrade => {
                ("Signs in again", format!("Asked to sign in at the next step: {browsers}. Kept: {tokens}."))
            }
            MergedSessions::End => {
                ("Is signed out", format!("Asked to sign in at the next step: {browsers}. Ended: {tokens}."))
            }
        };
        Self { name: policy.as_str(), label, words, chosen: policy == planned }
    }
}

/// A field with the values to choose from.
pub struct FieldView {
    pub name: String,
    pub label: String,
    pub rule: &'static str,
    pub differs: bool,
    /// Somebody must say.
    pub open: bool,
    /// Somebody said.
    pub decided: bool,
    pub values: Vec<FieldValue>,
}

/// One customer's value of it.
pub struct FieldValue {
    pub customer: CustomerId,
    pub whose: String,
    pub value: String,
    pub verified: bool,
    pub source: String,
    pub chosen: bool,
}

/// What one app calls the two, and what it will.
pub struct SectorView {
    pub name: String,
    pub survivor: Option<String>,
    pub absorbed: Option<String>,
    pub after: String,
}

impl SectorView {
    pub fn knows_both(&self) -> bool {
        self.survivor.is_some() && self.absorbed.is_some()
    }
}

impl PlanView {
    /// A plan with what is around it: who the two are, and where they are signed in.
    pub async fn read(desk: &Desk, plan: &Plan, choices: &BTreeMap<String, CustomerId>) -> Result<Self, Failure> {
        let (survivor, signed_survivor) = side(desk, plan.survivor).await?;
        let (absorbed, signed_absorbed) = side(desk, plan.absorbed).await?;
        let app = &desk.app;
        let both = |line: &&SectorLine| line.survivor.is_some() && line.absorbed.is_some();
        let counts = Counts {
            customers: plan.moves.customers.len(),
            links: plan.moves.links.len(),
            apps_with_both: plan.sectors.iter().filter(both).count(),
            apps: plan.sectors.len(),
            passwords: plan.moves.passwords,
            consents: plan.moves.consents.len(),
            survivor: signed_survivor,
            absorbed: signed_absorbed,
            differences: plan.fields.iter().filter(|field| field.differs()).count(),
        };
        let link = |link: &crate::identity::merge::MovedLink| {
            (words::namespace(app, &link.namespace), words::cut(&link.external_id, 120))
        };
        Ok(Self {
            hash: plan.hash(),
            refusals: plan.refusals.iter().map(refusal).collect(),
            questions: plan.questions.iter().map(|name| words::field(name)).collect(),
            fields: plan.fields.iter().map(|field| field_view(app, plan, field)).collect(),
            choices: choices.iter().map(|(name, customer)| (name.clone(), *customer)).collect(),
            sectors: plan.sectors.iter().map(|line| sector(app, line)).collect(),
            links: plan.moves.links.iter().take(MOST).map(link).collect(),
            counts,
            sessions: MergedSessions::ALL.map(|one| SessionsView::of(one, plan.sessions, signed_absorbed)).into(),
            risk: plan.risk.score,
            risk_reasons: plan.risk.reasons.iter().map(|reason| (reason.points, reason.why.clone())).collect(),
            needs_approval: plan.needs_approval,
            approvals: app.config.merge.approvals,
            undo_days: app.config.merge.undo_window.as_secs() / 86_400,
            survivor,
            absorbed,
        })
    }

    /// What becomes of the absorbed side's sessions, as planned.
    pub fn planned_sessions(&self) -> Option<&SessionsView> {
        self.sessions.iter().find(|policy| policy.chosen)
    }

    /// Whether it may be made.
    pub fn is_clear(&self) -> bool {
        self.refusals.is_empty() && self.questions.is_empty()
    }

    pub fn differing(&self) -> impl Iterator<Item = &FieldView> {
        self.fields.iter().filter(|field| field.differs)
    }

    pub fn agreeing(&self) -> impl Iterator<Item = &FieldView> {
        self.fields.iter().filter(|field| !field.differs)
    }
}

async fn side(desk: &Desk, id: CustomerId) -> Result<(Person, Signed), Failure> {
    let (app, now) = (&desk.app, desk.context.now);
    let dossier = dossier::read(&mut app.store().begin_read().await?, id, &app.config.merge, now).await?;
    let Some(dossier) = dossier else { return Err(desk.missing()) };
    let signed = sessions::count(app.store(), Some(app.kv()), dossier.customer.id, now).await?.but(&[]);
    let mut person = Person::new(&dossier.customer, &Profile::from_json(&dossier.profile));
    // A plan of before may name who was merged since.
    person.id = id;
    Ok((person, Signed(signed)))
}

fn sector(app: &App, line: &SectorLine) -> SectorView {
    SectorView {
        name: words::sector(app, &line.sector),
        survivor: line.survivor.clone(),
        absorbed: line.absorbed.clone(),
        after: line.after.clone(),
    }
}

fn field_view(app: &App, plan: &Plan, field: &Field) -> FieldView {
    let value = |candidate: &Candidate| FieldValue {
        customer: candidate.customer,
        whose: whose(plan, candidate.customer),
        value: words::value(&candidate.value),
        verified: candidate.verified,
        source: words::source(app, candidate.source.as_deref().unwrap_or("customer")),
        chosen: candidate.customer == field.chosen,
    };
    FieldView {
        name: field.name.clone(),
        label: words::field(&field.name),
        rule: rule(field.rule),
        differs: field.differs(),
        open: plan.questions.contains(&field.name),
        decided: field.by_choice,
        values: field.candidates.iter().map(value).collect(),
    }
}

fn whose(plan: &Plan, customer: CustomerId) -> String {
    match customer {
        id if id == plan.survivor => "survivor".to_owned(),
        id if id == plan.absorbed => "absorbed".to_owned(),
        // Somebody who was merged into one of the two before.
        id => short(id),
    }
}

const fn rule(rule: Survivorship) -> &'static str {
    match rule {
        Survivorship::Survivor => "the survivor’s counts",
        Survivorship::MostRecent => "the latest counts",
        Survivorship::MostTrusted => "the most trusted source’s counts",
        Survivorship::VerifiedFirst => "a proved one counts first",
        Survivorship::MostComplete => "the most complete counts",
        Survivorship::Ask => "somebody must say which counts",
    }
}

/// Why it cannot be, and what that means.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Blocked { customer } => {
            format!("{} is blocked: a suspension is not washed off by a merge.", short(*customer))
        }
        Refusal::Erased { customer } => format!("{} was erased.", short(*customer)),
        Refusal::LegalHold { customer } => format!("{} is under a legal hold and stays as it is.", short(*customer)),
        Refusal::MinorWithAdult => "One is a minor by birth date and the other is not.".to_owned(),
        Refusal::WalledBrands { brands } => {
            format!("They belong to brands that are kept apart: {}.", brands.join(", "))
        }
        Refusal::Oneself => "One of the two is you: nobody merges themselves.".to_owned(),
        Refusal::UpwardInRights { customer } => {
            format!("{} is an admin: nobody comes into rights by a merge.", short(*customer))
        }
        Refusal::NotSame { a, b } => {
            format!("Somebody found {} and {} not to be the same person. Take that back first.", short(*a), short(*b))
        }
        Refusal::TwoBirthDates => "Both birth dates are verified, and they differ.".to_owned(),
        Refusal::TwoIds { namespace } => format!("Each has an ID of its own at {namespace}, which gives a person one."),
        Refusal::OverLimit { namespace, most } => {
            format!("Together they would have more than {most} identifiers of {namespace}.")
        }
        other => {
            let text = other.to_string();
            let mut letters = text.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
            format!("{first}{}.", letters.as_str())
        }
    }
}
