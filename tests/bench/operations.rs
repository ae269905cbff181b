//! The operations that are measured, each as an app and a customer's browser do it, and those who do it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Client, StatusCode};
use samesake::clock::Clock;
use samesake::credential::password::{HashPolicy, Hasher};
use samesake::identity::address::EmailAddress;
use samesake::identity::sign_in;
use samesake::secret::Secret;
use serde_json::json;
use url::Url;

use crate::gateway::{Gateway, shop};
use crate::harness::app::{CLIENT_SECRET, PASSWORD};
use crate::harness::browser::http_client;
use crate::harness::relying_party::{Answer, Authorization};
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Page, RelyingParty};

const CUSTOMERS: usize = 500;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    PasswordLogin,
    SocialLogin,
    SsoLogin,
    Refresh,
    Userinfo,
    Discovery,
    ForwardAuth,
}

impl Operation {
    pub const ALL: [Operation; 7] = [
        Self::PasswordLogin,
        Self::SocialLogin,
        Self::SsoLogin,
        Self::Refresh,
        Self::Userinfo,
        Self::Discovery,
        Self::ForwardAuth,
    ];

    /// What it is and the requests it consists of.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PasswordLogin => "password login (authorize, page, form, token)",
            Self::SocialLogin => "social login (authorize, page, form, callback, token)",
            Self::SsoLogin => "SSO login (authorize, token)",
            Self::Refresh => "refresh",
            Self::Userinfo => "userinfo",
            Self::Discovery => "discovery",
            Self::ForwardAuth => "forward-auth",
        }
    }
}

/// Somebody who uses the gateway over connections of their own. Clones are the same somebody.
#[derive(Clone)]
pub struct Worker(Arc<Parts>);

struct Parts {
    party: RelyingParty,
    /// Signed in, also at the app behind forward-auth.
    browser: Browser,
    http: Client,
    upstream: Arc<Upstream>,
    discovery: Url,
    forward_auth: Url,
    access_token: String,
    refresh_token: Mutex<String>,
}

/// Whose turn it is to log in.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// The people at the provider.
pub fn know_people(upstream: &Upstream) {
    for number in 0..CUSTOMERS {
        let claims = json!({ "email": format!("u{number}@mail.example"), "email_verified": true, "name": "Somebody" });
        upstream.add_person(&format!("u-{number}"), claims);
    }
}

/// Customers with a password, hashed at the default cost.
pub async fn create_customers(env: &Env) {
    let policy = HashPolicy { memory_kib: 19456, iterations: 2, threads: 2, queue: 64, min_length: 8 };
    let hash = Hasher::new(policy).unwrap().hash(Secret::new(PASSWORD.to_owned())).await.unwrap();
    let (store, now) = (env.store().await, Clock::system().now());
    for number in 0..CUSTOMERS {
        let address = EmailAddress::parse(&email(number)).unwrap();
        sign_in::sign_up(&store, &address, &hash, Some("Somebody"), now).await.unwrap();
    }
    store.close().await;
}

fn email(number: usize) -> String {
    format!("customer{}@shop.example", number % CUSTOMERS)
}

/// So many workers, each signed in as somebody else.
pub async fn workers(gateway: &Gateway, upstream: &Arc<Upstream>, count: u64) -> Vec<Worker> {
    let mut workers = Vec::new();
    for _ in 0..count {
        workers.push(Worker::sign_in(gateway, upstream).await);
    }
    workers
}

impl Worker {
    async fn sign_in(gateway: &Gateway, upstream: &Arc<Upstream>) -> Worker {
        let party = RelyingParty::discover(&gateway.issuer, &shop(), Some(CLIENT_SECRET), &Clock::system()).await;
        let browser = Browser::new();
        let authorization = party.authorization();
        let page = with_password(&browser, &authorization).await;
        let tokens = party.finish(&authorization, &page).await;
        let mut at_the_app = gateway.issuer.clone();
        at_the_app.set_host(Some("localhost")).unwrap();
        let mut start = at_the_app.join("/.samesake/recommendations/start").unwrap();
        start.query_pairs_mut().append_pair("rd", at_the_app.as_str());
        assert_eq!(browser.get(start).await.url, at_the_app);
        Worker(Arc::new(Parts {
            discovery: gateway.issuer.join("/.well-known/openid-configuration").unwrap(),
            forward_auth: at_the_app.join("/forward-auth/recommendations").unwrap(),
            access_token: tokens.access_token,
            refresh_token: Mutex::new(tokens.refresh_token.unwrap()),
            http: http_client(),
            upstream: Arc::clone(upstream),
            browser,
            party,
        }))
    }

    /// Does it once; anything but success ends the benchmark.
    pub async fn perform(&self, operation: Operation) {
        let party = &self.0.party;
        match operation {
            Operation::PasswordLogin => {
                let authorization = party.authorization();
                let page = with_password(&self.0.browser.another(), &authorization).await;
                self.redeem(&authorization, &page).await;
            }
            Operation::SocialLogin => {
                let authorization = party.authorization();
                let page = self.with_provider(&authorization).await;
                self.redeem(&authorization, &page).await;
            }
            Operation::SsoLogin => {
                let authorization = party.authorization();
                let page = self.0.browser.get(&authorization.url).await;
                self.redeem(&authorization, &page).await;
            }
            Operation::Refresh => self.refresh().await,
            Operation::Userinfo => succeeded(&party.userinfo(&self.0.access_token).await),
            Operation::Discovery => {
                let answer = self.0.http.get(self.0.discovery.clone()).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::OK);
                answer.bytes().await.unwrap();
            }
            Operation::ForwardAuth => {
                let page = self.0.browser.get_one(&self.0.forward_auth).await;
                assert_eq!(page.header("samesake-level"), Some("authenticated"));
            }
        }
    }

    async fn redeem(&self, authorization: &Authorization, page: &Page) {
        let code = self.0.party.code(authorization, page);
        succeeded(&self.0.party.redeem(authorization, &code).await);
    }

    async fn with_provider(&self, authorization: &Authorization) -> Page {
        let browser = self.0.browser.another();
        self.0.upstream.choose(&format!("u-{}", TURN.fetch_add(1, Ordering::Relaxed) % CUSTOMERS));
        let page = browser.get(&authorization.url).await;
        browser.submit(&page, "/login/social", &[("connector", "google")]).await
    }

    async fn refresh(&self) {
        let token = self.0.refresh_token.lock().unwrap().clone();
        let answer = self.0.party.refresh(&token).await;
        succeeded(&answer);
        let next = answer.body["refresh_token"].as_str().unwrap();
        next.clone_into(&mut self.0.refresh_token.lock().unwrap());
    }
}

fn succeeded(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

/// The next customer, in a browser of their own, in a household of their own.
async fn with_password(browser: &Browser, authorization: &Authorization) -> Page {
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let household = format!("10.{}.{}.1", (turn >> 8) % 256, turn % 256);
    let browser = browser.clone().with_header("x-forwarded-for", &household);
    let page = browser.get(&authorization.url).await;
    browser.submit(&page, "/login/password", &[("email", &email(turn)), ("password", PASSWORD)]).await
}
