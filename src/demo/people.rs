//! The people at the demonstration's desk: two who look after customers, and a few customers who may be one person.
//!
//! All of it is made as the product makes it: by signing up, by the search for duplicates, by a role that is given. A
//! directory that is kept has them already.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::cases;
use crate::app::App;
use crate::board::admin;
use crate::clock::{Clock, Timestamp};
use crate::events::{self, Actor, Event};
use crate::identity::address::EmailAddress;
use crate::identity::candidates::{self, Refit};
use crate::identity::duplicates::Blocks;
use crate::identity::namespace::Namespace;
use crate::identity::profile::Profile;
use crate::identity::sign_in::{self, SignedUp};
use crate::ids::{CustomerId, LinkId};
use crate::oidc::subject::{self, Sector};
use crate::protocol::admin_role::AdminRole;
use crate::secret::Secret;
use crate::store::{Link, LinkState, Tx};

/// Who may do everything at the desk.
pub(super) const OWNER: &str = "astrid@fernweh.example";
/// Who may approve what the first one proposes.
pub(super) const APPROVER: &str = "nils@fernweh.example";
/// Who helps customers with their accounts.
pub(super) const SUPPORT: &str = "liv@fernweh.example";
/// Of all three, and of nobody who matters.
pub(super) const PASSWORD: &str = "northern lights";

/// A customer of the company.
struct Person {
    email: &'static str,
    given: &'static str,
    family: &'static str,
    born: &'static str,
    phone: &'static str,
    /// Street with number, postcode, town.
    lives: [&'static str; 3],
    /// An address that an app has of them, and that nobody has proved.
    claims: Option<&'static str>,
}

const PEOPLE: &[Person] = &[
    // One person, who has proved two addresses.
    Person {
        email: "tova.lindgren@mail.example",
        given: "Tova",
        family: "Lindgren",
        born: "1988-04-12",
        phone: "+46701740605",
        lives: ["Storgatan 14", "90325", "Umeå"],
        claims: None,
    },
    Person {
        email: "t.lindgren@work.example",
        given: "Tova",
        family: "Lindgren",
        born: "1988-04-12",
        phone: "+46701740605",
        lives: ["Storgatan 41", "90325", "Umeå"],
        claims: Some("tova.lindgren@mail.example"),
    },
    // One person, who has moved and writes her name another way.
    Person {
        email: "katarina.oest@mail.example",
        given: "Katarina",
        family: "Öst",
        born: "1971-11-30",
        phone: "+46701740611",
        lives: ["Kyrkogatan 3", "83134", "Östersund"],
        claims: None,
    },
    Person {
        email: "kata@trails.example",
        given: "Katharina",
        family: "Oest",
        born: "1971-11-30",
        phone: "+46701740611",
        lives: ["Hamngatan 22", "97231", "Luleå"],
        claims: None,
    },
    // Father and son, at one address: two people.
    Person {
        email: "gustav.holm@mail.example",
        given: "Gustav",
        family: "Holm",
        born: "1959-06-02",
        phone: "+46701740620",
        lives: ["Älvvägen 8", "98138", "Kiruna"],
        claims: None,
    },
    Person {
        email: "gustav.holm.jr@mail.example",
        given: "Gustav",
        family: "Holm",
        born: "1989-09-17",
        phone: "+46701740620",
        lives: ["Älvvägen 8", "98138", "Kiruna"],
        claims: None,
    },
    // Nobody's double.
    Person {
        email: "signe@mail.example",
        given: "Signe",
        family: "Åkerman",
        born: "1994-01-25",
        phone: "+46701740633",
        lives: ["Skolgatan 5", "96233", "Jokkmokk"],
        claims: None,
    },
];

/// Makes them all, unless they are there.
pub(super) async fn settle(app: &App, clock: &Clock) -> anyhow::Result<()> {
    let hash = app.hasher.hash(Secret::new(PASSWORD.to_owned())).await.context("a password cannot be hashed")?;
    let now = clock.now();
    let mut approver = None;
    for (email, name, role) in [
        (OWNER, "Astrid at the desk", AdminRole::Owner),
        (APPROVER, "Nils, who approves", AdminRole::Approver),
        (SUPPORT, "Liv at the telephone", AdminRole::Support),
    ] {
        let Some(customer) = sign_up(app, email, name, &hash, now).await? else { return Ok(()) };
        let mut tx = app.store().begin().await?;
        let actor = Actor::Admin("demonstration".to_owned());
        admin::grant(&mut tx, customer, role, &actor, None, now).await?;
        tx.commit().await?;
        approver = approver.or(Some(customer).filter(|_| role == AdminRole::Approver));
    }
    let mut customers = Vec::new();
    for person in PEOPLE {
        let name = format!("{} {}", person.given, person.family);
        if let Some(customer) = sign_up(app, person.email, &name, &hash, now).await? {
            let mut tx = app.store().begin().await?;
            fill_in(&mut tx, customer, person, now).await?;
            if let Some(shop) = app.provider.clients.find("shop") {
                subject::view(&mut tx, Sector::from(shop.as_ref()), customer, &app.provider.subject_key, now).await?;
            }
            tx.commit().await?;
            customers.push((person.email, customer));
        }
    }
    search(app, clock).await?;
    match approver {
        Some(approver) => cases::settle(app, approver, &customers, now).await,
        None => Ok(()),
    }
}

async fn sign_up(app: &App, email: &str, name: &str, hash: &str, now: Timestamp) -> anyhow::Result<Option<CustomerId>> {
    let address = EmailAddress::parse(email).map_err(|_| anyhow::anyhow!("{email} is no address"))?;
    Ok(match sign_in::sign_up(app.store(), &address, hash, Some(name), now).await? {
        SignedUp::Created(customer) => Some(customer),
        SignedUp::AddressTaken => None,
    })
}

/// What the shop knows of them.
async fn fill_in(tx: &mut Tx, customer: CustomerId, person: &Person, now: Timestamp) -> anyhow::Result<()> {
    let stored = tx.customer_find(customer).await?.context("the customer is gone")?;
    let mut profile = Profile::from_json(&stored.profile);
    let [street, postcode, town] = person.lives;
    let address = json!({ "street_address": street, "postal_code": postcode, "locality": town, "country": "SE" });
    let values: [(&str, Value); 5] = [
        ("given_name", person.given.into()),
        ("family_name", person.family.into()),
        ("birthdate", person.born.into()),
        ("phone_number", person.phone.into()),
        ("address", address),
    ];
    let fields = values.iter().map(|(name, _)| (*name).to_owned()).collect();
    for (name, value) in values {
        profile.set(name, Some(value), None, now);
    }
    tx.member_profile_set(customer, &profile.to_json(), now).await?;
    let mut events = vec![Event::ProfileUpdated { fields }];
    if let Some(address) = person.claims {
        let link = claimed(customer, address, now);
        let (namespace, external_id) = (link.namespace.clone(), link.external_id.clone());
        tx.link_insert(&link).await?;
        events.push(Event::LinkAdded { link: link.id, namespace, external_id });
    }
    events::record_all(tx, customer, Actor::System, events, now).await?;
    Ok(())
}

pub(super) fn claimed(customer: CustomerId, address: &str, now: Timestamp) -> Link {
    Link {
        id: LinkId::new(now),
        namespace: Namespace::UnprovedEmail.to_string(),
        external_id: address.to_owned(),
        exclusive: false,
        customer,
        root: customer,
        state: LinkState::Live,
        source: "import".to_owned(),
        proof: None,
        verified_at: None,
        display: Some(address.to_owned()),
        profile: json!({}),
        first_seen: now,
        last_seen: now,
        ended_at: None,
        disabled_at: None,
        disabled_reason: None,
        mail_stopped_at: None,
    }
}

/// The search that `samesake duplicates scan` makes, and the index by which whoever signs up is compared.
async fn search(app: &App, clock: &Clock) -> anyhow::Result<()> {
    let rules = candidates::Rules::new(&app.config.duplicates, &app.config.merge);
    let loaded = candidates::load(app.store(), &rules, clock.now(), |_| {}).await?;
    let blocks = Blocks::new(&loaded.records);
    let model = candidates::model(app.store(), &loaded, &blocks, Refit::Never, clock.now()).await?;
    candidates::scan(app.store(), clock, &loaded, (&model, &blocks), &rules, |_| true).await?;
    candidates::index(app.store(), &rules, clock, |_| {}).await?;
    Ok(())
}
