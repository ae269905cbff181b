//! A provider that others wrote, as an upstream: tests/interop/oidc_provider.mjs in a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use super::browser::http_client;
use super::program::beside_its_packages;
use super::{Browser, Page, TestApp};

const CLIENT_ID: &str = "samesake at the club";
const CLIENT_SECRET: &str = "a secret of the club: / + % 0123456789";

/// The running provider, stopped on drop.
pub struct ForeignProvider {
    pub issuer: String,
    algorithm: &'static str,
    process: Child,
}

impl ForeignProvider {
    /// Starts it with a key of this algorithm.
    pub async fn start(algorithm: &'static str) -> ForeignProvider {
        let script = beside_its_packages("oidc_provider.mjs");
        let start = move || {
            let mut command = Command::new("node");
            command
                .arg(script)
                .env("ALGORITHM", algorithm)
                .env("CLIENT_ID", CLIENT_ID)
                .env("CLIENT_SECRET", CLIENT_SECRET);
            // It ends with its standard input: also when this process is killed.
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut process =
                command.spawn().unwrap_or_else(|error| panic!("node does not start ({error}): run tests/run"));
            let mut line = String::new();
            BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
            (process, line)
        };
        let (process, line) = tokio::task::spawn_blocking(start).await.unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        ForeignProvider { issuer: said["issuer"].as_str().unwrap().to_owned(), algorithm, process }
    }

    /// How the product is told about it; `more` replaces or adds keys.
    pub fn config(&self, more: Value) -> ConnectorConfig {
        let mut config = json!({
            "id": "club", "name": "The Club", "kind": "oidc", "issuer": self.issuer, "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET, "email_trust": "verified",
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(config).unwrap()
    }

    /// Registers the gateway there (RFC 7591), now that it has an address.
    pub async fn register(&self, app: &TestApp) {
        let metadata = json!({
            "redirect_uris": [app.url("/callback/club")],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "client_secret_basic",
            "id_token_signed_response_alg": self.algorithm,
        });
        let answer = http_client().post(format!("{}/reg", self.issuer)).json(&metadata).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, 201, "{body}");
    }

    /// From its login page through its consent, if it asks for that, and back to us.
    pub async fn log_in(&self, browser: &Browser, page: &Page, name: &str) -> Page {
        assert!(page.url.as_str().starts_with(&self.issuer), "{} {}", page.url, page.text());
        let action = page.forms().remove(0).action;
        let mut page = browser.submit(page, &action, &[("login", name), ("password", "any")]).await;
        while page.url.as_str().starts_with(&self.issuer) && !page.stopped {
            let action = page.forms().first().unwrap_or_else(|| panic!("{} {}", page.url, page.text())).action.clone();
            page = browser.submit(&page, &action, &[]).await;
        }
        page
    }
}

impl Drop for ForeignProvider {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
