//! Who and what there is: two gateways, the families with their accounts, the apps, and the admin's robot.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::{Method, StatusCode};
use samesake::config::MergeConfig;
use samesake::credential::password::{HashPolicy, Hasher};
use samesake::identity::address::EmailAddress;
use samesake::identity::sign_in::{self, SignedUp};
use samesake::ids::{CustomerId, MergeId};
use samesake::oidc::client::hash_client_secret;
use samesake::secret::{Secret, random_token};
use samesake::store::{ClientRow, Store};
use serde_json::{Value, json};
use url::Url;

use super::book::{Book, Sighting};
use crate::harness::app::{CLIENT_SECRET, PASSWORD, web_client};
use crate::harness::browser::http_client;
use crate::harness::gateway::connector_toml;
use crate::harness::invariants::Graph;
use crate::harness::relying_party::Answer;
use crate::harness::upstream::Upstream;
use crate::harness::{Env, Gateway, RelyingParty, unanswered, until};
use crate::identity::merge::config;
use crate::identity::races::Dice;

pub const FAMILIES: usize = 6;
pub const APPS: [&str; 3] = ["shop", "bank", "news"];
/// Accounts of one family: a connector, or none for a password; the last two are signed in with only once they are
/// connected to somebody.
const WAYS: [Option<&str>; 6] = [Some("google"), Some("google"), Some("github"), None, Some("github"), Some("google")];
/// How many of them sign in from the beginning.
pub const KNOWN: usize = 4;

/// A way in that a person of a family has.
#[derive(Debug)]
pub struct Account {
    pub family: usize,
    pub connector: Option<&'static str>,
    /// The subject at the provider, or the address.
    pub id: String,
}

impl Account {
    /// As the mapping table has it.
    pub fn key(&self) -> (String, String) {
        let namespace = self.connector.map_or_else(|| "email".to_owned(), |connector| format!("social:{connector}"));
        (namespace, self.id.clone())
    }
}

/// Tokens that an app keeps.
#[derive(Clone, Debug)]
pub struct Kept {
    pub app: usize,
    pub account: usize,
    pub sub: String,
    pub access: String,
    pub refresh: String,
}

pub struct World<'e> {
    pub env: &'e Env,
    pub upstream: Upstream,
    pub issuer: Url,
    pub accounts: Vec<Account>,
    /// One customer's own, for what only a customer may do.
    pub store: Store,
    pub config: MergeConfig,
    pub kept: Mutex<Vec<Kept>>,
    /// Merges that were made, with the family.
    pub merges: Mutex<Vec<MergeId>>,
    pub book: Mutex<Book>,
    apps: Vec<RelyingParty>,
    robot: RelyingParty,
    replicas: [Url; 2],
    logs: [PathBuf; 2],
    up: [AtomicBool; 2],
    cuts: AtomicUsize,
    done: Mutex<BTreeMap<&'static str, usize>>,
}

impl World<'_> {
    pub async fn start(env: &Env) -> (World<'_>, [Gateway; 2]) {
        let upstream = Upstream::start().await;
        let accounts: Vec<Account> = (0..FAMILIES * WAYS.len()).map(account).collect();
        for account in accounts.iter().filter(|account| account.connector.is_some()) {
            upstream.add_person(&account.id, json!({ "name": account.id }));
        }
        let connectors = ["google", "github"].map(|id| connector_toml(&upstream.config(id))).concat();
        let mut first = Gateway::configured(env, &format!("[merge]\napproval_from_risk = 100\n{connectors}")).await;
        let mut second = first.replica();
        let store = env.store().await;
        let audience = format!("{}/api/v1", first.issuer.as_str().trim_end_matches('/'));
        let robot = json!({
            "grant_types": ["client_credentials"], "scope": "admin", "resources": [audience], "admin_role": "owner",
        });
        register(env, &store, "robot", robot.clone()).await;
        for app in APPS {
            register(env, &store, app, json!({ "subject_type": "pairwise" })).await;
        }
        sign_up_all(env, &store, &accounts).await;
        first.restart().await;
        second.restart().await;
        let discover = async |id: &str, changes: Value| {
            RelyingParty::discover(&first.issuer, &web_client(id, changes), Some(CLIENT_SECRET), &env.clock).await
        };
        let mut apps = Vec::new();
        for app in APPS {
            apps.push(discover(app, json!({ "subject_type": "pairwise" })).await);
        }
        let world = World {
            env,
            issuer: first.issuer.clone(),
            accounts,
            store,
            config: config(),
            kept: Mutex::default(),
            merges: Mutex::default(),
            book: Mutex::default(),
            apps,
            robot: discover("robot", robot).await,
            replicas: [first.address.clone(), second.address.clone()],
            logs: [first.log.clone(), second.log.clone()],
            up: [AtomicBool::new(true), AtomicBool::new(true)],
            cuts: AtomicUsize::new(0),
            done: Mutex::default(),
            upstream,
        };
        (world, [first, second])
    }

    /// A gateway that has power, as a load balancer would choose it.
    pub fn replica(&self, dice: &mut Dice) -> &Url {
        let first = dice.roll(2);
        let is_up = self.up[first].load(Ordering::SeqCst);
        &self.replicas[if is_up { first } else { 1 - first }]
    }

    pub fn power(&self, which: usize, is_up: bool) {
        self.up[which].store(is_up, Ordering::SeqCst);
        if !is_up {
            self.cuts.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How many power cuts there were.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }

    pub fn count(&self, what: &'static str) {
        *self.done.lock().unwrap().entry(what).or_default() += 1;
    }

    pub fn done(&self) -> BTreeMap<&'static str, usize> {
        self.done.lock().unwrap().clone()
    }

    /// One of the apps, whose own requests go to some gateway.
    pub fn app(&self, app: usize, dice: &mut Dice) -> RelyingParty {
        self.apps[app].clone().via(self.replica(dice))
    }

    pub fn see(&self, sighting: Sighting) {
        self.book.lock().unwrap().sightings.push(sighting);
    }

    pub fn sector(&self, app: usize) -> String {
        format!("{}.example", APPS[app])
    }

    /// What went wrong at the gateways, in their words.
    pub fn logged_errors(&self) -> impl Iterator<Item = String> {
        let logs = self.logs.iter().map(|log| std::fs::read_to_string(log).unwrap());
        let lines = logs.flat_map(|log| log.lines().map(str::to_owned).collect::<Vec<_>>());
        lines.filter(|line| line.contains("ERROR") || line.contains("lost against"))
    }

    /// Holds the book against what lies in the database.
    pub fn check(&self, graph: &Graph) {
        self.book.lock().unwrap().check(graph, &self.accounts);
    }

    /// Whose an account is, as the admin API says.
    pub async fn whose(&self, account: usize, dice: &mut Dice) -> Option<CustomerId> {
        let (namespace, id) = self.accounts[account].key();
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("namespace", &namespace)
            .append_pair("external_id", &id)
            .finish();
        let answer = self.ask(Method::GET, &format!("/links?{query}"), None, dice).await;
        match answer.status {
            StatusCode::NOT_FOUND => None,
            _ => Some(id_in(&answer, "customer").parse().unwrap()),
        }
    }

    /// Asks the admin API something that changes nothing.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>, dice: &mut Dice) -> Answer {
        self.send(method, path, body, None, dice).await.unwrap_or_else(unanswered)
    }

    /// Has the admin API change something. Cut off, it is asked again under the same key, at whichever gateway has power.
    pub async fn change(&self, path: &str, body: &Value, dice: &mut Dice) -> Answer {
        let key = random_token();
        let answer = self.change_by(&key, path, body, dice).await;
        if answer.status.is_success() && dice.roll(4) == 0 {
            let again = self.change_by(&key, path, body, dice).await;
            assert_eq!((again.status, &again.body), (answer.status, &answer.body), "rule 29: {path} twice");
        }
        answer
    }

    async fn change_by(&self, key: &str, path: &str, body: &Value, dice: &mut Dice) -> Answer {
        let mut answered = None;
        until("an answer", async || {
            match self.send(Method::POST, path, Some(body), Some(key), dice).await {
                Ok(answer) if answer.body["type"] == "urn:samesake:problem:contention" => {}
                Ok(answer) => answered = Some(answer),
                Err(_) => self.count("asked again"),
            }
            answered.is_some()
        })
        .await;
        answered.unwrap()
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
        dice: &mut Dice,
    ) -> reqwest::Result<Answer> {
        let replica = self.replica(dice);
        let audience = format!("{}/api/v1", self.issuer.as_str().trim_end_matches('/'));
        let client = http_client();
        let token = client
            .post(replica.join("/token").unwrap())
            .basic_auth(&self.robot.client.client_id, self.robot.secret.as_ref())
            .form(&[("grant_type", "client_credentials"), ("scope", "admin"), ("resource", &audience)])
            .send()
            .await?
            .json::<Value>()
            .await?;
        let mut request = client.request(method, format!("{}api/v1{path}", replica.as_str()));
        request = request.bearer_auth(token["access_token"].as_str().unwrap_or_else(|| panic!("{token}")));
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key).header("if-match", "*");
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        assert!(status.as_u16() < 500, "{path}: {status} {text}");
        Ok(Answer { status, headers, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }
}

/// A member of an answer that is an ID.
pub fn id_in<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.body[name].as_str().unwrap_or_else(|| panic!("no {name}: {} {}", answer.status, answer.text))
}

fn account(number: usize) -> Account {
    let (family, place) = (number / WAYS.len(), number % WAYS.len());
    let connector = WAYS[place];
    let id = match connector {
        Some(_) => format!("f{family}-{place}"),
        None => format!("f{family}-{place}@shop.example"),
    };
    Account { family, connector, id }
}

/// The numbers of the accounts of a family.
pub fn of_family(family: usize) -> std::ops::Range<usize> {
    family * WAYS.len()..(family + 1) * WAYS.len()
}

async fn register(env: &Env, store: &Store, client_id: &str, changes: Value) {
    let (metadata, now) = (web_client(client_id, changes), env.clock.now());
    let secret_hash = Some(hash_client_secret(CLIENT_SECRET));
    let mut tx = store.begin().await.unwrap();
    tx.client_put(&ClientRow { metadata, secret_hash, created_at: now, updated_at: now }).await.unwrap();
    tx.commit().await.unwrap();
}

async fn sign_up_all(env: &Env, store: &Store, accounts: &[Account]) {
    let policy = HashPolicy { memory_kib: 64, iterations: 1, threads: 1, queue: 10, min_length: 8 };
    let phc = Hasher::new(policy).unwrap().hash(Secret::new(PASSWORD.to_owned())).await.unwrap();
    for account in accounts.iter().filter(|account| account.connector.is_none()) {
        let address = EmailAddress::parse(&account.id).unwrap();
        let signed_up = sign_in::sign_up(store, &address, &phc, Some(&account.id), env.clock.now()).await.unwrap();
        assert!(matches!(signed_up, SignedUp::Created(_)));
    }
}
