//! No provider sends us where it likes (protocol rule 48): whatever its metadata, its redirects or the configuration name,
//! addresses that are not public are not asked, unless they are on the list of allowed ones.
//!
//! A trap listens on every address of this machine and counts who connects, so that a refusal is told from a failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use samesake::connector::ConnectorError;
use serde_json::{Value, json};

use super::Login;
use crate::harness::providers::generic::Generic;
use crate::harness::upstream::{BadAnswer, Endpoint, Fault, Upstream};

const NOT_PUBLIC: &str = "its address is not a public one, and not on the list of allowed ones";

struct Trap {
    port: u16,
    reached: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Trap {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let reached = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&reached);
        let server = tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { port, reached, server }
    }

    /// The trap, and other places of an installation's own network. 127.0.0.1 is where the stand-ins are allowed to be.
    fn addresses(&self) -> Vec<String> {
        let hosts =
            ["127.0.0.2", "127.2", "2130706434", "0x7f.0.0.2", "[::ffff:127.0.0.3]", "0.0.0.0", "[::]", "[::1]"];
        let elsewhere =
            ["10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "[fe80::1]", "[fd00::1]"];
        let all = hosts.into_iter().chain(elsewhere);
        let both = all.flat_map(|host| ["http", "https"].map(|scheme| format!("{scheme}://{host}:{}/x", self.port)));
        both.collect()
    }

    fn assert_untouched(&self) {
        assert_eq!(self.reached.load(Ordering::SeqCst), 0, "somebody was sent into our own network");
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn assert_refused(refused: Result<(), ConnectorError>, to: &str) {
    let Err(ConnectorError::Unavailable { reason }) = refused else { panic!("{to}: {refused:?}") };
    assert!(reason.ends_with(NOT_PUBLIC), "{to}: {reason}");
}

async fn provider() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.add_person("a", json!({"email": "a@b.example", "name": "A"}));
    upstream
}

#[tokio::test]
async fn no_metadata_lead_into_our_own_network() {
    let (upstream, trap) = (provider().await, Trap::start().await);
    for member in ["jwks_uri", "token_endpoint", "userinfo_endpoint"] {
        for to in trap.addresses() {
            upstream.faults().only(Fault::Metadata(member, Some(json!(to))));
            upstream.faults().add(Fault::LeanIdToken);
            assert_refused(Login::at(&upstream).run().await.map(drop), &format!("{member} {to}"));
        }
    }
    trap.assert_untouched();
}

/// Not even the configuration reaches there, without the list of allowed ones.
#[tokio::test]
async fn no_issuer_and_no_endpoint_in_our_own_network_is_asked() {
    let (upstream, trap) = (provider().await, Trap::start().await);
    let club = Generic::start(true).await;
    club.0.log_in_as(json!({"member": {"number": "7"}}));
    for to in trap.addresses() {
        let mut config = upstream.config("acme");
        config.issuer = to.clone();
        assert_refused(Login::with(config).run().await.map(drop), &to);
        for endpoint in ["token_endpoint", "userinfo_endpoint"] {
            let config = club.config(json!({endpoint: to}));
            assert_refused(Login::with(config).run().await.map(drop), &format!("{endpoint} {to}"));
        }
    }
    trap.assert_untouched();
}

/// A redirect is an answer like any other bad one, also to an address that may be asked.
#[tokio::test]
async fn no_redirect_is_followed() {
    let (upstream, trap) = (provider().await, Trap::start().await);
    let club = Generic::start(true).await;
    club.0.log_in_as(json!({"member": {"number": "7"}}));
    for to in trap.addresses().into_iter().chain([format!("http://127.0.0.1:{}/x", trap.port)]) {
        let redirect = || BadAnswer::RedirectTo(to.clone());
        for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Token, Endpoint::Userinfo] {
            upstream.faults().only(Fault::Answer(endpoint, redirect()));
            upstream.faults().add(Fault::LeanIdToken);
            assert!(Login::at(&upstream).run().await.is_err(), "{endpoint:?} {to}");
        }
        for path in ["/token", "/profile"] {
            club.0.spoil(path, redirect());
            assert!(Login::with(club.config(json!({}))).run().await.is_err(), "{path} {to}");
        }
    }
    trap.assert_untouched();
}

/// A name is judged by the address it has when we connect, whatever it had before (DNS rebinding): `localhost` is a name
/// that the configuration may hold and that leads here.
#[tokio::test]
async fn a_name_is_judged_by_its_address_when_we_connect() {
    use samesake::outbound::{Outbound, OutboundPolicy};
    let trap = Trap::start().await;
    let to = format!("https://localhost:{}", trap.port);
    let outbound = || Outbound::new(OutboundPolicy::default()).unwrap();
    let mut config = provider().await.config("acme");
    config.issuer = to.clone();
    assert_refused(Login::through(outbound(), config).run().await.map(drop), &to);
    let club = Generic::start(true).await;
    club.0.log_in_as(json!({"member": {"number": "7"}}));
    let config = club.config(json!({"token_endpoint": format!("{to}/token")}));
    assert_refused(Login::through(outbound(), config).run().await.map(drop), &to);
    trap.assert_untouched();
}

/// What a refusal says ends up in logs.
#[tokio::test]
async fn a_refusal_tells_nothing_of_the_address_but_its_host() {
    let upstream = provider().await;
    let to = "https://10.0.0.1/secret-path?secret=query";
    upstream.faults().only(Fault::Metadata("jwks_uri", Some(Value::from(to))));
    let refused = Login::at(&upstream).run().await.unwrap_err().to_string();
    assert!(refused.contains("10.0.0.1") && !refused.contains("secret"), "{refused}");
}
