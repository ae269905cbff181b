//! What a deed to a customer would do, in words and numbers, before it is done (experience specification, rule 12).
//!
//! It reads and never decides: what goes with a link is `unlinking`'s to say, what may not be the deed's own.

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::access::Desk;
use super::customer::erased;
use super::frame::{Frame, Here, Person, short};
use super::plan_view::{Signed, counted, refusal};
use super::{session_view, words};
use crate::board::dossier::{self, Dossier};
use crate::board::links::is_removable;
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::identity::merge::{Refusal, sessions};
use crate::identity::namespace::Rules;
use crate::identity::profile::Profile;
use crate::identity::unlinking::{self, Ways};
use crate::ids::{CustomerId, LinkId};
use crate::session::pending::{AgreedDeed, Deed};
use crate::session::{self, FOR_EVER, Of};
use crate::store::{self, CustomerState, Link, LinkState, Tx};

/// Why nobody erases the customer they are.
pub const ONESELF: &str = "This is you: nobody erases themselves here.";
/// Digits of the customer ID that are typed to confirm.
const TYPED: usize = 6;

#[derive(Template)]
#[template(path = "desk/deed.html", config = ".askama.toml")]
struct DeedPage<'a> {
    frame: Frame<'a>,
    person: Person,
    version: i64,
    reason: String,
    notice: String,
    /// Where the form goes.
    action: String,
    says: Says,
}

impl View for DeedPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

/// What the page of one deed says.
#[derive(Default)]
pub struct Says {
    pub title: &'static str,
    pub lead: String,
    /// What it is about, if that is a part of the customer.
    pub about: Option<(String, String)>,
    /// Why it cannot be; empty if it can.
    pub refusals: Vec<String>,
    pub numbers: Vec<(&'static str, String, String)>,
    pub happens: Vec<String>,
    pub stays: Vec<String>,
    pub brand: Option<BrandField>,
    /// What is typed to confirm.
    pub typed: Option<String>,
    pub button: &'static str,
    pub danger: bool,
}

/// The brand of a row, to be changed.
pub struct BrandField {
    now: String,
    /// Those that the configuration keeps apart.
    known: Vec<String>,
    /// The other rows of this customer, with theirs.
    others: Vec<(CustomerId, String, String)>,
}

/// The end of a customer ID, which is random.
pub fn ending_of(customer: CustomerId) -> String {
    let text = customer.to_string();
    text.get(text.len().saturating_sub(TYPED)..).unwrap_or_default().to_owned()
}

/// Whether a customer is the admin who acts.
///
/// # Errors
/// If the database fails.
pub async fn is_oneself(tx: &mut Tx, desk: &Desk, customer: CustomerId) -> Result<bool, store::Error> {
    let (one, own) = (tx.customer_living(customer).await?, tx.customer_living(desk.session.customer).await?);
    Ok(one.map(|one| one.id) == own.map(|own| own.id))
}

/// The page, as things are now.
pub async fn show(desk: &Desk, agreed: &AgreedDeed, notice: &str) -> Result<Response, Failure> {
    let (app, now) = (&desk.app, desk.context.now);
    let mut tx = app.store().begin_read().await?;
    let Some(dossier) = dossier::read(&mut tx, agreed.customer, &app.config.merge, now).await? else {
        return Err(desk.missing());
    };
    if dossier.customer.state == CustomerState::Erased {
        return Ok(erased(desk));
    }
    let says = match &agreed.deed {
        Deed::Disconnect(link) => disconnect(&mut tx, desk, &dossier, *link).await?,
        Deed::Enable(link) => enable(desk, &dossier, *link),
        Deed::SignOut => Some(session_view::sign_out(desk, dossier.customer.id, &dossier.members).await?),
        Deed::EndSession(sid) => Some(session_view::end_one(desk, dossier.customer.id, &dossier.members, sid).await?),
        Deed::Hold => Some(hold(&dossier)),
        Deed::Release => Some(release(&dossier)),
        Deed::Brand(_) => brand(desk, &dossier, agreed.customer),
        Deed::Erase => Some(erase(&mut tx, desk, &dossier).await?),
    };
    drop(tx);
    let Some(says) = says else { return Err(desk.missing()) };
    desk.looked("desk: before a change", &[dossier.customer.id]).await?;
    let word = match &agreed.deed {
        Deed::Disconnect(link) => format!("links/{link}/disconnect"),
        Deed::Enable(link) => format!("links/{link}/enable"),
        Deed::SignOut => "sign-out".to_owned(),
        Deed::EndSession(sid) => format!("sessions/{sid}/end"),
        Deed::Hold => "hold".to_owned(),
        Deed::Release => "release".to_owned(),
        Deed::Brand(_) => "brand".to_owned(),
        Deed::Erase => "erase".to_owned(),
    };
    let page = DeedPage {
        frame: Frame::of(desk, Here::Elsewhere).await?,
        person: Person::new(&dossier.customer, &Profile::from_json(&dossier.profile)),
        version: dossier.customer.version,
        reason: agreed.reason.clone(),
        notice: notice.to_owned(),
        // A brand is a row's own; all else is done to the customer whom the page shows.
        action: match agreed.deed {
            Deed::Brand(_) => format!("/admin/customers/{}/{word}", agreed.customer),
            _ => format!("/admin/customers/{}/{word}", dossier.customer.id),
        },
        says,
    };
    Ok(page.page().into_response())
}

fn about(desk: &Desk, link: &Link) -> (String, String) {
    let shown = link.display.as_deref().unwrap_or(&link.external_id);
    (words::namespace(&desk.app, &link.namespace), words::cut(shown, 200))
}

async fn disconnect(tx: &mut Tx, desk: &Desk, dossier: &Dossier, link: LinkId) -> Result<Option<Says>, Failure> {
    let Some(found) = dossier.links.iter().find(|found| found.id == link) else { return Ok(None) };
    let mut says = Says {
        title: "Disconnect an identifier",
        lead: "It leads to this customer no more. It is free again: whoever proves it next can have it.".to_owned(),
        about: Some(about(desk, found)),
        button: "Disconnect it",
        danger: true,
        ..Says::default()
    };
    if found.state == LinkState::Ended {
        says.refusals.push("It was disconnected before.".to_owned());
        return Ok(Some(says));
    }
    if !is_removable(found) {
        says.refusals.push("An address is the customer’s to remove.".to_owned());
        return Ok(Some(says));
    }
    let effect = unlinking::effect(tx, dossier.customer.id, link, &Ways::offered(&desk.app.config)).await?;
    let account = effect.as_ref().map_or_else(|| vec![link], |effect| effect.account.clone());
    let mut browsers = 0;
    for link in account {
        browsers += session::sids_of(desk.app.kv(), &Of::Link(link), FOR_EVER).await?.len();
    }
    says.numbers.push(("Signed in through it", browsers.to_string(), "ended at once".to_owned()));
    if let Some(effect) = effect {
        says.numbers.push(("Addresses it vouches for", effect.unproved.len().to_string(), "become hints".to_owned()));
        for address in &effect.unproved {
            let (_, shown) = about(desk, address);
            says.happens.push(format!("{shown} is proved no more: nothing but this account vouched for it."));
        }
        says.happens.push("The tokens that the provider gave us are given back.".to_owned());
        says.happens.push("The customer is told by mail, at every proved address.".to_owned());
        if !effect.leaves_a_way {
            says.happens
                .push("It is the last way to sign in: afterwards nobody can sign in as this customer.".to_owned());
        }
    }
    says.stays.push("Whatever the customer did stays on record, and apps keep the same customer.".to_owned());
    Ok(Some(says))
}

fn enable(desk: &Desk, dossier: &Dossier, link: LinkId) -> Option<Says> {
    let found = dossier.links.iter().find(|found| found.id == link)?;
    let flagged = dossier.flags.iter().any(|flag| flag.link == link);
    let mut says = Says {
        title: "Let an identifier log in again",
        lead:
            "Its provider spoke against it. Do this if you know better: whoever has the account can sign in again as \
               this customer."
                .to_owned(),
        about: Some(about(desk, found)),
        happens: vec!["It logs in again, and its flags are taken down.".to_owned()],
        stays: vec!["The next word of the provider against it disables it again.".to_owned()],
        button: "Let it log in",
        ..Says::default()
    };
    says.numbers.push((
        "Stands",
        words::standing(found, Rules::of(&desk.app.config, desk.context.now)).to_owned(),
        String::new(),
    ));
    if found.state == LinkState::Ended {
        says.refusals.push("It was disconnected: only the customer can connect it anew.".to_owned());
    } else if found.disabled_at.is_none() && !flagged {
        says.refusals.push("It is not disabled, and nobody has flagged it.".to_owned());
    }
    Some(says)
}

fn held(dossier: &Dossier) -> Option<String> {
    dossier.members.iter().find_map(|member| member.legal_hold.clone())
}

fn hold(dossier: &Dossier) -> Says {
    let held = held(dossier);
    Says {
        title: "Place a legal hold",
        lead: "Somebody must keep this customer’s data as it is, until you lift the hold.".to_owned(),
        refusals: held.map(|reason| format!("They are under a legal hold already: {reason}")).into_iter().collect(),
        happens: vec![
            "Nobody merges them with anybody, undoes a merge of theirs, changes their brand or erases them.".to_owned(),
            "Proposals that wait are refused while it stands.".to_owned(),
        ],
        stays: vec!["They sign in, change their profile and use every app as before, and are not told.".to_owned()],
        button: "Place the hold",
        ..Says::default()
    }
}

fn release(dossier: &Dossier) -> Says {
    let held = held(dossier);
    Says {
        title: "Lift the legal hold",
        lead: held.as_ref().map(|reason| format!("It was placed for this reason: {reason}")).unwrap_or_default(),
        refusals: if held.is_some() { Vec::new() } else { vec!["They are under no legal hold.".to_owned()] },
        happens: vec!["They can be merged, parted and erased again.".to_owned()],
        stays: vec!["That they were held, by whom and why stays in the audit log.".to_owned()],
        button: "Lift the hold",
        ..Says::default()
    }
}

fn brand(desk: &Desk, dossier: &Dossier, row: CustomerId) -> Option<Says> {
    let of = |brand: &Option<String>| brand.clone().unwrap_or_default();
    let own = dossier.members.iter().find(|member| member.id == row)?;
    let others = dossier.members.iter().filter(|member| member.id != row);
    let name = |member: &store::Member| words::called(&Profile::from_json(&member.profile));
    let walled = desk.app.config.merge.walled_brands.clone();
    let mut happens = vec!["It says whose customer this very customer ID is, and parts again with it.".to_owned()];
    if !walled.is_empty() {
        happens.push(format!("Kept apart from every other brand: {}.", walled.join(", ")));
    }
    Some(Says {
        title: "Change the brand",
        lead: format!("Of the customer ID {}. Brands that are kept apart are never merged.", short(row)),
        refusals: held(dossier)
            .map(|_| refusal(&Refusal::LegalHold { customer: dossier.customer.id }))
            .into_iter()
            .collect(),
        happens,
        brand: Some(BrandField {
            now: of(&own.brand),
            known: walled,
            others: others.map(|member| (member.id, name(member), of(&member.brand))).collect(),
        }),
        button: "Change the brand",
        ..Says::default()
    })
}

async fn erase(tx: &mut Tx, desk: &Desk, dossier: &Dossier) -> Result<Says, Failure> {
    let (app, root) = (&desk.app, dossier.customer.id);
    let signed = Signed(sessions::count(app.store(), Some(app.kv()), root, desk.context.now).await?.but(&[]));
    let live = dossier.links.iter().filter(|link| link.state == LinkState::Live).count();
    let values = Profile::from_json(&dossier.profile).iter().count();
    let (members, apps) = (dossier.members.len(), dossier.subjects.iter().filter(|subject| subject.current).count());
    let number = |name, count: usize| (name, count.to_string(), String::new());
    let mut refusals = Vec::new();
    if is_oneself(tx, desk, root).await? {
        refusals.push(ONESELF.to_owned());
    }
    if held(dossier).is_some() {
        refusals.push(refusal(&Refusal::LegalHold { customer: root }));
    }
    let mut happens = vec![
        "Every value of the profile, every identifier and every credential goes, in the merges and proposals too."
            .to_owned(),
        "Everybody who is signed in is signed out, and tokens are given back to the providers.".to_owned(),
        "Apps are told that this customer was erased.".to_owned(),
    ];
    if members > 1 {
        let others = u64::try_from(members - 1).unwrap_or_default();
        happens.push(format!(
            "So does all of {} merged into them, and no merge of theirs can be undone any more.",
            counted(others, "customer")
        ));
    }
    Ok(Says {
        title: "Erase this customer",
        lead: "For good: there is no undoing, not by us either.".to_owned(),
        refusals,
        numbers: vec![
            number("Customer IDs", members),
            number("Values of the profile", values),
            number("Identifiers", live),
            number("Credentials", dossier.credentials.len()),
            ("Signed in", signed.browsers(), format!("and {}", signed.refresh_tokens())),
            number("Apps that know them", apps),
        ],
        happens,
        stays: vec![
            "The customer ID stays taken and answers that it is gone, never somebody else.".to_owned(),
            "The audit log keeps what was done, when and by whom, without identifiers; its chain stays whole."
                .to_owned(),
            "What apps hold themselves is theirs to erase.".to_owned(),
            "Whoever comes back later is a new customer.".to_owned(),
        ],
        typed: Some(ending_of(root)),
        button: "Erase for good",
        danger: true,
        ..Says::default()
    })
}
