//! The admin API as consoles and programs meet it: tokens, roles, look-ups, changes, and the document that describes it.
//!
//! Rules 9 and 10 of spec/experience.md; 20, 24 and 30 of spec/identity.md; RFC 6750, 9110, 9457, 9470 and 9728.

mod access;
mod admins;
mod audit;
mod commands;
mod contract;
mod customer_links;
mod customers;
mod document;
mod fuzz;
mod keeping;
mod links;
mod manner;
mod merges;
mod names;
mod queues;
mod roles;
mod sessions;
mod terminal;
mod webhooks;

use reqwest::{Method, RequestBuilder};
use samesake::board::admin::{Change, grant};
use samesake::events::Actor;
use samesake::ids::CustomerId;
use samesake::oidc::client::hash_client_secret;
use samesake::protocol::admin_role::AdminRole;
use samesake::store::ClientRow;
use serde_json::{Value, json};

use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::browser::http_client;
use crate::harness::relying_party::{Answer, Tokens, answer};
use crate::harness::{Browser, Env, RelyingParty};

pub const ANN: &str = "ann@example.com";
pub const BEN: &str = "ben@example.com";

/// A gateway with a console that people use, and a robot of each role.
pub struct Office {
    pub app: TestApp,
    pub console: RelyingParty,
}

impl Office {
    pub async fn start(env: &Env) -> Office {
        Office::of(TestApp::start(env).await).await
    }

    /// The same on any gateway.
    pub async fn of(app: TestApp) -> Office {
        let resources = json!([audience(&app)]);
        let scope = "openid profile admin offline_access";
        let console = json!({ "resources": resources, "scope": scope });
        let console = register(&app, "console", console).await;
        for role in AdminRole::ALL {
            let robot = json!({
                "grant_types": ["client_credentials"], "scope": "admin stock", "resources": resources, "admin_role": role,
            });
            register(&app, &format!("robot-{role}"), robot).await;
        }
        let nobody = json!({ "grant_types": ["client_credentials"], "scope": "admin", "resources": resources });
        register(&app, "robot-nobody", nobody).await;
        app.app.reload_clients().await.unwrap();
        Office { app, console }
    }

    /// The access token of the robot with this role.
    pub async fn robot(&self, role: AdminRole) -> String {
        self.token_of(&format!("robot-{role}"), &[]).await.body["access_token"].as_str().unwrap().to_owned()
    }

    /// What the token endpoint answers a robot; an empty value leaves a parameter out.
    pub async fn token_of(&self, robot: &str, changes: &[(&str, &str)]) -> Answer {
        let mut robot_party = self.console.clone();
        robot_party.client.client_id = robot.to_owned();
        let audience = audience(&self.app);
        let usual = [("grant_type", "client_credentials"), ("resource", audience.as_str()), ("scope", "admin")];
        let unchanged = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        let fields: Vec<(&str, &str)> =
            unchanged.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect();
        robot_party.token(&fields).await
    }

    /// A customer with a role, and nothing else done with it.
    pub async fn admin(&self, email: &str, role: AdminRole) -> CustomerId {
        let customer = self.app.customer(email, "An Admin").await;
        self.grant(customer, role).await;
        customer
    }

    /// Gives a role, as the command line does.
    pub async fn grant(&self, customer: CustomerId, role: AdminRole) {
        let mut tx = self.app.store.background().begin().await.unwrap();
        let actor = Actor::Admin("test".to_owned());
        let change = grant(&mut tx, customer, role, &actor, None, self.app.clock.now()).await.unwrap();
        assert_eq!(change, Change::Done);
        tx.commit().await.unwrap();
    }

    /// Signs in at the console, in this browser.
    pub async fn sign_in(&self, browser: &Browser, email: &str) -> Tokens {
        self.sign_in_with(browser, email, &[]).await
    }

    /// The same with another authorization request.
    pub async fn sign_in_with(&self, browser: &Browser, email: &str, changes: &[(&str, &str)]) -> Tokens {
        let audience = audience(&self.app);
        let mut all = vec![("resource", audience.as_str())];
        all.extend(changes);
        let authorization = self.console.authorization_with(&all);
        let callback = self.app.log_in(browser, &authorization.url, email).await;
        self.console.finish(&authorization, &callback).await
    }

    /// A request to the API, not sent yet.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = if path.starts_with('/') { format!("/api/v1{path}") } else { panic!("{path}") };
        http_client().request(method, self.app.url(&path))
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        answer(self.request(Method::GET, path).bearer_auth(token)).await
    }

    /// A query with this text, percent-encoded.
    pub async fn search(&self, token: &str, text: &str) -> Answer {
        let query: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        self.get(token, &format!("/customers?q={query}")).await
    }

    /// A change, whatever the version of what it changes.
    pub async fn post(&self, token: &str, path: &str, key: &str, body: &Value) -> Answer {
        self.post_as(token, path, key, "*", body).await
    }

    /// The same by the version that was seen.
    pub async fn post_as(&self, token: &str, path: &str, key: &str, version: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(token).header("idempotency-key", key);
        answer(request.header("if-match", version).json(body)).await
    }

    /// What a change is asked to do, of a POST that only asks.
    pub async fn ask(&self, token: &str, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).bearer_auth(token).json(body)).await
    }
}

/// What access tokens for the API are for.
pub fn audience(app: &TestApp) -> String {
    format!("{}/api/v1", app.issuer.as_str().trim_end_matches('/'))
}

async fn register(app: &TestApp, client_id: &str, changes: Value) -> RelyingParty {
    let metadata = web_client(client_id, changes);
    let now = app.clock.now();
    let row = ClientRow {
        metadata: metadata.clone(),
        secret_hash: Some(hash_client_secret(CLIENT_SECRET)),
        created_at: now,
        updated_at: now,
    };
    let mut tx = app.store.background().begin().await.unwrap();
    tx.client_put(&row).await.unwrap();
    tx.commit().await.unwrap();
    RelyingParty::discover(&app.address, &metadata, Some(CLIENT_SECRET), &app.clock).await
}

/// RFC 9457: a problem of this kind, in the form that all have.
pub fn assert_problem(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["type"], format!("urn:samesake:problem:{kind}"), "{}", answer.text);
    assert_eq!(answer.body["status"], status);
    assert!(answer.body["title"].as_str().is_some_and(|title| title.len() > 10));
    assert!(answer.headers.contains_key("x-request-id"));
}

/// A good answer, as JSON that no cache keeps.
pub fn assert_good(answer: &Answer) {
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(!answer.headers.contains_key("access-control-allow-origin"));
}

/// The customer IDs in a list.
pub fn ids(answer: &Answer) -> Vec<&str> {
    assert_good(answer);
    answer.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}
