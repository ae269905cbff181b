//! What is always true of the customers in a database, whatever was done to them and by how many at once.
//!
//! Rules 41 to 46 of spec/identity.md, read from the tables as they lie there and not through the store. To be called
//! when nothing writes any more.

use std::collections::{BTreeMap, BTreeSet};

use samesake::config::Config;
use samesake::identity::address::EmailAddress;
use samesake::identity::namespace::Namespace;
use samesake::store::AuditCheck;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

use super::env::{Env, Pair};

/// Every row that matters, IDs as hexadecimal text.
#[derive(Debug)]
pub struct Graph {
    pub customers: BTreeMap<String, CustomerRow>,
    pub links: Vec<LinkRow>,
    pub subjects: Vec<SubjectRow>,
    pub events: Vec<EventRow>,
    pub credentials: Vec<Vec<String>>,
    /// Customer, root, client, scope.
    pub consents: Vec<Vec<String>>,
    pub merges: Vec<MergeRow>,
    /// Events up to this number are not kept any more.
    removed: i64,
    not_same: Vec<Vec<String>>,
    audit: Vec<Vec<String>>,
}

#[derive(Debug)]
pub struct MergeRow {
    pub id: String,
    pub survivor: String,
    pub absorbed: String,
    pub is_open: bool,
    pub merged_at: i64,
    pub undone_at: Option<i64>,
    seq: String,
    keys_joined: bool,
}

#[derive(Debug)]
pub struct CustomerRow {
    pub canonical: String,
    pub state: String,
    /// Empty for a root.
    pub absorbed_by: String,
    absorbed_seq: String,
    pub keys_joined: bool,
    pub version: i64,
    pub event_seq: i64,
    pub profile: Value,
}

#[derive(Debug)]
pub struct LinkRow {
    pub id: String,
    pub namespace: String,
    pub external_id: String,
    pub exclusive: bool,
    pub customer: String,
    pub root: String,
    pub live: bool,
    pub proved: bool,
    /// It stays, but does not log in.
    pub disabled: bool,
    /// Where it came from.
    pub source: String,
    pub first_seen: i64,
}

#[derive(Debug)]
pub struct SubjectRow {
    pub sector: String,
    pub sub: String,
    pub customer: String,
    pub root: String,
    pub current: bool,
    pub own_side: bool,
}

#[derive(Debug)]
pub struct EventRow {
    pub id: String,
    pub kind: String,
    pub payload: Value,
    pub root: String,
    pub root_seq: i64,
    /// `None` until it has one.
    pub sequence: Option<i64>,
}

impl Graph {
    /// Reads everything.
    pub async fn read(env: &Env) -> Graph {
        let customers = query(
            env,
            "customers",
            "{id} {canonical} state version event_seq profile {absorbed_by} absorbed_seq keys_joined",
            "created_at, id",
        )
        .await;
        let links = query(
            env,
            "links",
            "{id} namespace external_id exclusive {customer} {root} state verified_at disabled_at source first_seen",
            "first_seen, namespace",
        );
        let events = query(env, "outbox", "{id} type payload {root} root_seq {aggregateid} sequence", "position");
        Graph {
            customers: customers.into_iter().map(|row| (row[0].clone(), customer(&row))).collect(),
            links: links.await.iter().map(|row| link(row)).collect(),
            subjects: subjects(env).await,
            events: events.await.iter().map(|row| event(row)).collect(),
            credentials: query(env, "credentials", "{id} {customer} {root} kind state", "created_at").await,
            consents: query(env, "consents", "{customer} {root} client_id scope", "customer, client_id").await,
            merges: merges(env).await,
            removed: query(env, "outbox_retention", "removed", "id").await[0][0].parse().unwrap(),
            not_same: query(env, "not_same", "{a} {b}", "a, b").await,
            audit: query(env, "audit", "{id} action {customer} detail", "chain, seq").await,
        }
    }

    /// The live links of a namespace with this identifier.
    pub fn live(&self, namespace: &str, external_id: &str) -> Vec<&LinkRow> {
        let is_it = |link: &&LinkRow| link.live && link.namespace == namespace && link.external_id == external_id;
        self.links.iter().filter(is_it).collect()
    }

    /// The names of the events of a customer, in their order.
    pub fn history(&self, root: &str) -> Vec<&str> {
        let mut events: Vec<&EventRow> = self.events.iter().filter(|event| event.root == root).collect();
        events.sort_by_key(|event| event.root_seq);
        events.iter().map(|event| event.kind.as_str()).collect()
    }

    fn root_of(&self, customer: &str) -> &str {
        let row = self.customers.get(customer).unwrap_or_else(|| panic!("customer {customer} was never issued"));
        &row.canonical
    }

    /// Rules 41 and 44: `canonical` is a living or erased root, and the end of the path of open merges.
    fn check_roots(&self) {
        let open: BTreeMap<&str, &MergeRow> =
            self.merges.iter().filter(|row| row.is_open).map(|row| (row.absorbed.as_str(), row)).collect();
        let count = self.merges.iter().filter(|row| row.is_open).count();
        assert_eq!(open.len(), count, "rule 44: one customer is absorbed by two open merges");
        for (id, row) in &self.customers {
            let root = &self.customers[&row.canonical];
            assert_eq!(root.canonical, row.canonical, "rule 41: the canonical of {id} is no root");
            assert_ne!(root.state, "merged", "rule 41: the canonical of {id} is merged itself");
            assert_eq!(row.state == "merged", open.contains_key(id.as_str()), "rule 44: {id}");
            let (mut end, mut steps) = (id.as_str(), 0);
            while let Some(next) = open.get(end) {
                (end, steps) = (&next.survivor, steps + 1);
                assert!(steps <= self.customers.len(), "rule 44: the open merges go round in a ring at {id}");
            }
            assert_eq!(row.canonical, end, "rule 44: {id}");
            let hangs = (row.absorbed_by.as_str(), row.absorbed_seq.as_str(), row.keys_joined);
            let merge = open.get(id.as_str());
            let expected = merge.map_or(("", "", false), |it| (it.survivor.as_str(), it.seq.as_str(), it.keys_joined));
            assert_eq!(hangs, expected, "rule 44: {id} does not hang where its open merge says");
        }
        for pair in &self.not_same {
            assert_ne!(self.root_of(&pair[0]), self.root_of(&pair[1]), "rule 35: not the same, and yet one: {pair:?}");
        }
    }

    /// Rules 41, 42 and 46, and the policies of rule 1.
    fn check_links(&self) {
        let mut live = BTreeSet::new();
        let declared = Config::load(None, Vec::new()).unwrap().namespaces;
        for link in &self.links {
            assert_eq!(link.root, self.root_of(&link.customer), "rule 41: {link:?}");
            let namespace = Namespace::parse(&link.namespace).unwrap_or_else(|| panic!("rule 1: {link:?}"));
            // Of a browser, the link of its current owner is exclusive.
            let is_free = matches!(namespace, Namespace::Visitor(_));
            assert!(is_free || link.exclusive == namespace.is_exclusive(), "rule 1: {link:?}");
            if link.live && link.exclusive {
                assert!(live.insert((&link.namespace, &link.external_id)), "rule 42: twice {link:?}");
            }
            assert!(
                link.proved || !declared.policy(&link.namespace).login,
                "rule 46: a way in without a proof: {link:?}"
            );
            assert!(!link.proved || namespace != Namespace::UnprovedEmail, "rule 46: {link:?}");
        }
        for id in self.customers.keys() {
            let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
            // Another name of an account that has a link already is no second account (rule 3).
            let is_account = |link: &&LinkRow| !matches!(link.source.as_str(), "transfer" | "business");
            for link in self.links.iter().filter(|link| link.live && link.root == *id).filter(is_account) {
                *counts.entry(&link.namespace).or_default() += 1;
            }
            // A merge unites hints and browsers however many there are: they prove nothing.
            let limited = |namespace: &str| Namespace::parse(namespace).unwrap().is_exclusive();
            let merged = self.merges.iter().any(|merge| merge.survivor == *id);
            for (namespace, count) in counts.into_iter().filter(|(namespace, _)| !merged || limited(namespace)) {
                let most = declared.policy(namespace).live;
                assert!(count <= most, "rule 1: {count} links of {namespace} on {id}");
            }
        }
    }

    /// Rule 46: what a customer is said to have proved is a proved link of theirs.
    fn check_profiles(&self) {
        for (id, row) in &self.customers {
            if row.profile["email_verified"]["value"] != true {
                continue;
            }
            let email = row.profile["email"]["value"].as_str().unwrap();
            let address = EmailAddress::parse(email).unwrap();
            let owned = self.live("email", address.normalized());
            assert!(owned.iter().any(|link| link.root == row.canonical), "rule 46: {id} never proved its address");
        }
    }

    /// Rule 43: every `sub` has one owner and resolves; one per sector is current.
    fn check_subjects(&self) {
        let (mut issued, mut current) = (BTreeSet::new(), BTreeSet::new());
        for subject in &self.subjects {
            assert_eq!(subject.root, self.root_of(&subject.customer), "rule 41: {subject:?}");
            assert!(issued.insert((&subject.sector, &subject.sub)), "rule 43: two owners of {subject:?}");
            if subject.current {
                assert!(current.insert((&subject.sector, &subject.root)), "rule 43: two current {subject:?}");
            }
        }
        for subject in self.subjects.iter().filter(|subject| !subject.own_side) {
            let named = current.contains(&(&subject.sector, &subject.root));
            assert!(named, "rule 23: a sector that knows the customer has no name for them now: {subject:?}");
        }
        for consent in &self.consents {
            assert_eq!(consent[1], self.root_of(&consent[0]), "rule 41: consent {consent:?}");
        }
        for credential in &self.credentials {
            assert_eq!(credential[2], self.root_of(&credential[1]), "rule 41: credential {}", credential[0]);
        }
    }

    /// Rule 45: events are numbered without gaps, each has its audit entry, and nothing else has one but what admins do
    /// among themselves and at whom they look. Where old events are removed, it is the first ones of each customer.
    fn check_events(&self) {
        let mut last: BTreeMap<&str, i64> = BTreeMap::new();
        let is_kept = |event: &&EventRow| event.sequence.is_none_or(|sequence| sequence > self.removed);
        let mut ordered: Vec<&EventRow> = self.events.iter().filter(is_kept).collect();
        ordered.sort_by_key(|event| (&event.root, event.root_seq));
        for event in ordered {
            let first = if self.removed > 0 { event.root_seq - 1 } else { 0 };
            let seq = last.entry(&event.root).or_insert(first);
            *seq += 1;
            assert_eq!(event.root_seq, *seq, "rule 45: a gap before {event:?}");
        }
        let mut numbers: Vec<i64> = self.events.iter().filter(is_kept).filter_map(|event| event.sequence).collect();
        numbers.sort_unstable();
        let expected: Vec<i64> = (self.removed + 1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "rule 45: a gap that a follower could take for a loss");
        for (id, row) in &self.customers {
            let gone = if self.removed > 0 { row.event_seq } else { 0 };
            assert_eq!(row.event_seq, last.get(id.as_str()).copied().unwrap_or(gone), "rule 45: events of {id}");
            assert!(row.version >= row.event_seq, "rule 31: the version of {id} did not rise");
        }
        let of_events: Vec<&Vec<String>> = self.audit.iter().filter(|row| !row[1].starts_with("admin.")).collect();
        let mut audit: BTreeMap<&str, Vec<&Vec<String>>> = BTreeMap::new();
        for entry in of_events {
            audit.entry(entry[0].as_str()).or_default().push(entry);
        }
        for entries in audit.values() {
            // The end of a proposal is one event, and on record of both.
            let of_both = matches!(entries.as_slice(), [one, other] if one[1] == "merge.proposal_closed"
                && (&one[1], &one[3]) == (&other[1], &other[3]) && one[2] != other[2]);
            assert!(of_both || entries.len() == 1, "rule 45: audit entries: {entries:?}");
        }
        let of_events = if self.removed > 0 { audit.len() } else { self.events.len() };
        assert_eq!(audit.len(), of_events, "rule 45: audit entries");
        for event in &self.events {
            let entries = audit.get(event.id.as_str()).unwrap_or_else(|| panic!("rule 45: no audit of {event:?}"));
            let entry = entries.iter().find(|entry| entry[2] == event.root);
            let entry = entry.unwrap_or_else(|| panic!("rule 45: audit of others: {event:?}"));
            let detail: Value = serde_json::from_str(&entry[3]).unwrap();
            let said = (&entry[1], &entry[2], &detail);
            assert_eq!(said, (&event.kind, &event.root, &event.payload), "rule 45: audit and event differ");
        }
    }

    /// Rule 45: whoever replays the outbox from empty has the partition.
    fn check_replay(&self) {
        if self.removed > 0 {
            return;
        }
        let mut replay = Replay::default();
        for event in &self.events {
            replay.apply(event, self);
        }
        let partition: BTreeMap<String, String> =
            self.customers.iter().map(|(id, row)| (id.clone(), row.canonical.clone())).collect();
        assert_eq!(replay.roots, partition, "rule 45: the partition after a replay");
        let disabled: BTreeSet<String> =
            self.links.iter().filter(|link| link.live && link.disabled).map(|link| link.id.clone()).collect();
        let told: BTreeSet<String> = self.disabled_by_events().difference(&replay.removed).cloned().collect();
        assert_eq!(told, disabled, "rule 45: disabled links after a replay");
        for link in self.links.iter().filter(|link| link.live) {
            let holder = replay.holders.get(&link.id).unwrap_or_else(|| panic!("rule 45: nobody was told of {link:?}"));
            assert_eq!(replay.roots[holder], link.root, "rule 45: whose link after a replay: {link:?}");
        }
        let ended = self.links.iter().filter(|link| !link.live).map(|link| link.id.clone()).collect();
        let erased = self.links.iter().filter(|link| !link.live && replay.is_erased(&link.customer));
        let erased: Vec<String> = erased.map(|link| link.id.clone()).collect();
        replay.removed.extend(erased);
        assert_eq!(replay.removed, ended, "rule 45: ended links after a replay");
        let row = |link: &LinkRow| (link.id.clone(), (link.namespace.clone(), link.external_id.clone()));
        let known = |link: &&LinkRow| !replay.is_erased(&link.customer);
        let kept: BTreeMap<_, _> = self.links.iter().filter(known).map(row).collect();
        let gone: BTreeSet<&String> = self.links.iter().filter(|link| !known(link)).map(|link| &link.id).collect();
        let linked: BTreeMap<_, _> = replay.linked.into_iter().filter(|(id, _)| !gone.contains(id)).collect();
        assert_eq!(linked, kept, "rule 45: links after a replay");
        let mut kept: Vec<&String> = self.credentials.iter().map(|row| &row[2]).collect();
        kept.sort();
        let mut passwords: Vec<&String> = replay.passwords.iter().map(|customer| &replay.roots[customer]).collect();
        passwords.sort();
        assert_eq!(passwords, kept, "rule 45: credentials after a replay");
    }
}

impl Graph {
    /// The links that the last event about it disabled.
    fn disabled_by_events(&self) -> BTreeSet<String> {
        let mut ordered: Vec<&EventRow> = self.events.iter().collect();
        ordered.sort_by_key(|event| (&event.root, event.root_seq));
        let mut disabled = BTreeSet::new();
        for event in ordered {
            let link = || event.payload["link"].as_str().unwrap().replace('-', "");
            match event.kind.as_str() {
                "link.disabled" => drop(disabled.insert(link())),
                "link.enabled" => drop(disabled.remove(&link())),
                _ => {}
            }
        }
        disabled
    }
}

/// Who is who, from the events alone.
#[derive(Default)]
struct Replay {
    /// Each customer ever created with its root.
    roots: BTreeMap<String, String>,
    linked: BTreeMap<String, (String, String)>,
    /// The customer each link came to, or went with.
    holders: BTreeMap<String, String>,
    removed: BTreeSet<String>,
    passwords: Vec<String>,
    erased: BTreeSet<String>,
}

impl Replay {
    fn apply(&mut self, event: &EventRow, graph: &Graph) {
        let text = |name: &str| event.payload[name].as_str().unwrap_or_else(|| panic!("{event:?}"));
        let id = |name: &str| text(name).replace('-', "");
        match event.kind.as_str() {
            "customer.created" => {
                let before = self.roots.insert(event.root.clone(), event.root.clone());
                assert_eq!(before, None, "created twice: {event:?}");
            }
            "link.added" => {
                assert!(self.roots.contains_key(&event.root), "rule 6: linked before it was created: {event:?}");
                let row = graph.links.iter().find(|link| link.id == id("link"));
                let row = row.unwrap_or_else(|| panic!("rule 45: a link that is not there: {event:?}"));
                assert_eq!(self.roots[&row.customer], event.root, "rule 45: whose link: {event:?}");
                let said = |name: &str| event.payload[name].as_str().unwrap_or_default().to_owned();
                let before = self.linked.insert(id("link"), (said("namespace"), said("external_id")));
                assert_eq!(before, None, "linked twice: {event:?}");
                self.holders.insert(id("link"), event.root.clone());
            }
            "link.removed" => {
                assert!(self.linked.contains_key(&id("link")), "removed before it was added: {event:?}");
                assert!(self.removed.insert(id("link")), "removed twice: {event:?}");
            }
            "credential.added" => self.passwords.push(event.root.clone()),
            "customer.merged" => self.follow(event, &id("absorbed"), &event.root),
            "customer.unmerged" => {
                self.follow(event, &event.root, &id("restored"));
                for link in event.payload["links"].as_array().unwrap() {
                    self.holders.insert(link.as_str().unwrap().replace('-', ""), id("restored"));
                }
            }
            "customer.erased" => {
                let of_root: Vec<String> =
                    self.roots.iter().filter(|(_, root)| **root == event.root).map(|(id, _)| id.clone()).collect();
                self.erased.extend(of_root);
            }
            _ => {}
        }
    }

    /// Rows go from one root to another.
    fn follow(&mut self, event: &EventRow, from: &str, to: &str) {
        for id in event.payload["moved"].as_array().unwrap() {
            let id = id.as_str().unwrap().replace('-', "");
            let root = self.roots.insert(id.clone(), to.to_owned());
            assert_eq!(root.as_deref(), Some(from), "rule 45: {id} moved from elsewhere: {event:?}");
        }
    }

    fn is_erased(&self, customer: &str) -> bool {
        self.erased.contains(customer)
    }
}

/// Fails the test if anything is not as it always is; answers what is there.
pub async fn check(env: &Env) -> Graph {
    let graph = Graph::read(env).await;
    graph.check_roots();
    graph.check_links();
    graph.check_profiles();
    graph.check_subjects();
    graph.check_events();
    graph.check_replay();
    // In one statement: the keys of whoever changed last may be being written.
    let halves = "(SELECT COALESCE(h.customer, t.customer) AS customer \
                  FROM (SELECT customer, count(*) AS keys FROM duplicate_keys GROUP BY customer) h \
                  FULL JOIN (SELECT customer, length(keys) / 8 AS keys FROM duplicate_indexed WHERE length(keys) > 0) t \
                  ON t.customer = h.customer WHERE h.keys IS DISTINCT FROM t.keys) odd";
    let odd = query(env, halves, "{customer}", "customer").await;
    assert!(odd.is_empty(), "rule 38: the halves of the index differ: {odd:?}");
    let store = env.store().await;
    let mut entries = 0;
    for chain in 0..16 {
        match store.begin_read().await.unwrap().audit_verify(chain).await.unwrap() {
            AuditCheck::Intact { entries: more } => entries += more,
            AuditCheck::Broken { seq } => panic!("rule 45: audit chain {chain} is broken at {seq}"),
        }
    }
    store.close().await;
    assert_eq!(usize::try_from(entries).unwrap(), graph.audit.len(), "rule 45: entries outside the chains");
    graph
}

async fn subjects(env: &Env) -> Vec<SubjectRow> {
    let rows = query(env, "subjects", "sector sub {customer} {root} current own_side", "issued_at, sector").await;
    let subject = |row: &Vec<String>| SubjectRow {
        sector: row[0].clone(),
        sub: row[1].clone(),
        customer: row[2].clone(),
        root: row[3].clone(),
        current: is_true(&row[4]),
        own_side: is_true(&row[5]),
    };
    rows.iter().map(subject).collect()
}

fn customer(row: &[String]) -> CustomerRow {
    CustomerRow {
        canonical: row[1].clone(),
        state: row[2].clone(),
        version: row[3].parse().unwrap(),
        event_seq: row[4].parse().unwrap(),
        profile: serde_json::from_str(&row[5]).unwrap(),
        absorbed_by: row[6].clone(),
        absorbed_seq: row[7].clone(),
        keys_joined: is_true(&row[8]),
    }
}

async fn merges(env: &Env) -> Vec<MergeRow> {
    let columns = "{id} {survivor} {absorbed} merged_at undone_at seq keys_joined_at";
    let rows = query(env, "merges", columns, "merged_at, id").await;
    let merge = |row: &Vec<String>| MergeRow {
        id: row[0].clone(),
        survivor: row[1].clone(),
        absorbed: row[2].clone(),
        is_open: row[4].is_empty(),
        merged_at: row[3].parse().unwrap(),
        undone_at: row[4].parse().ok(),
        seq: row[5].clone(),
        keys_joined: !row[6].is_empty(),
    };
    rows.iter().map(merge).collect()
}

fn link(row: &[String]) -> LinkRow {
    LinkRow {
        id: row[0].clone(),
        namespace: row[1].clone(),
        external_id: row[2].clone(),
        exclusive: is_true(&row[3]),
        customer: row[4].clone(),
        root: row[5].clone(),
        live: row[6] == "live",
        proved: !row[7].is_empty(),
        disabled: !row[8].is_empty(),
        source: row[9].clone(),
        first_seen: row[10].parse().unwrap(),
    }
}

fn event(row: &[String]) -> EventRow {
    assert_eq!(row[5].replace('-', ""), row[3], "the aggregate of an event is its root");
    EventRow {
        id: row[0].clone(),
        kind: row[1].clone(),
        payload: serde_json::from_str(&row[2]).unwrap(),
        root: row[3].clone(),
        root_seq: row[4].parse().unwrap(),
        sequence: row[6].parse().ok(),
    }
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "true")
}

/// Columns of a table as text; those in braces are UUIDs. NULL is empty.
async fn query(env: &Env, table: &str, columns: &str, order: &str) -> Vec<Vec<String>> {
    let column = |name: &str| match name.strip_prefix('{').map(|name| name.trim_end_matches('}')) {
        // The one UUID that is kept as text already has its hyphens.
        Some("aggregateid") => "aggregateid".to_owned(),
        Some(name) if env.pair == Pair::SqliteInProcess => format!("lower(hex({name}))"),
        Some(name) => format!("replace(CAST({name} AS TEXT), '-', '')"),
        None => format!("CAST({name} AS TEXT)"),
    };
    let names: Vec<&str> = columns.split(' ').collect();
    let columns: Vec<String> = names.iter().map(|name| column(name)).collect();
    let sql = AssertSqlSafe(format!("SELECT {} FROM {table} ORDER BY {order}", columns.join(", ")));
    let url = env.database_url().await;
    if env.pair == Pair::SqliteInProcess {
        let mut connection = SqliteConnection::connect(url.split('?').next().unwrap()).await.unwrap();
        let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
        return rows.iter().map(|row| (0..names.len()).map(|at| text(row.get(at))).collect()).collect();
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
    rows.iter().map(|row| (0..names.len()).map(|at| text(row.get(at))).collect()).collect()
}

fn text(value: Option<String>) -> String {
    value.unwrap_or_default()
}
