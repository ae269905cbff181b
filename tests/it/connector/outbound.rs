//! The guard on outgoing requests (spec/protocol.md rules 48 and 49).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Redirect;
use axum::routing::{get, post};
use samesake::outbound::{
    Method, Outbound, OutboundError, OutboundPolicy, OutboundRequest, OutboundResponse, StatusCode, header,
};
use url::Url;

use crate::harness::upstream::faults::{drip, flood};

/// A server on loopback that counts who reaches it.
struct Target {
    address: SocketAddr,
    reached: Arc<AtomicUsize>,
    server: tokio::task::JoinHandle<()>,
}

impl Target {
    async fn start() -> Self {
        let reached = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let count = |State(reached): State<Arc<AtomicUsize>>| async move {
            reached.fetch_add(1, Ordering::SeqCst);
            "reached"
        };
        let router = Router::new()
            .route("/", get(count))
            .route("/redirect", get(|| async { Redirect::temporary("/") }))
            .route("/hundred", get(|| async { "x".repeat(100) }))
            .route("/flood", get(|| async { flood() }))
            .route("/drip", get(|| async { drip() }))
            .route("/silent", get(|| async { std::future::pending::<()>().await }))
            .route("/echo", post(|headers: HeaderMap, body: Bytes| async move { format!("{headers:?} {body:?}") }))
            .with_state(Arc::clone(&reached));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, reached, server }
    }

    fn url(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }

    fn reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn outbound(allow: &[&str]) -> Outbound {
    let timeout = Duration::from_millis(500);
    let allow = allow.iter().map(|entry| (*entry).to_owned()).collect();
    Outbound::new(OutboundPolicy { allow, connect_timeout: timeout, timeout }).unwrap()
}

async fn fetch(outbound: &Outbound, url: &str, max_bytes: usize) -> Result<OutboundResponse, OutboundError> {
    outbound.send(OutboundRequest::get_json(Url::parse(url).unwrap(), max_bytes)).await
}

#[tokio::test]
async fn addresses_that_are_not_public_are_not_reached_in_any_spelling() {
    let target = Target::start().await;
    let outbound = outbound(&[]);
    let port = target.address.port();
    for host in ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.01", "[::1]", "[::ffff:127.0.0.1]", "0"]
        .into_iter()
        .chain(["10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "0xa9fea9fe", "100.64.0.1", "[fe80::1]"])
        .chain(["[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1", "255.255.255.255"])
    {
        for scheme in ["http", "https"] {
            let refused = fetch(&outbound, &format!("{scheme}://{host}:{port}/"), 100).await;
            assert!(matches!(refused, Err(OutboundError::Refused { .. })), "{scheme}://{host}: {refused:?}");
        }
    }
    assert_eq!(target.reached(), 0);
}

/// A public name of a private address: what counts is the address at the moment of connecting.
#[tokio::test]
async fn a_name_that_resolves_to_loopback_is_not_reached() {
    let target = Target::start().await;
    let port = target.address.port();
    for url in [format!("https://localhost:{port}/"), format!("https://LocalHost:{port}/")] {
        let refused = fetch(&outbound(&[]), &url, 100).await;
        let Err(OutboundError::Refused { reason, .. }) = refused else { panic!("{url}: {refused:?}") };
        assert_eq!(reason, "its address is not a public one, and not on the list of allowed ones");
    }
    let other_name = fetch(&outbound(&["idp.internal"]), &format!("https://localhost:{port}/"), 100).await;
    assert!(matches!(other_name, Err(OutboundError::Refused { .. })), "{other_name:?}");
    assert_eq!(target.reached(), 0);
}

#[tokio::test]
async fn what_the_list_of_allowed_ones_names_is_reached() {
    let target = Target::start().await;
    for (allow, host) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
        ("localhost", "localhost"),
        ("LocalHost", "localhost"),
    ] {
        let answer = fetch(&outbound(&[allow]), &target.url(host, "/"), 100).await.unwrap();
        assert_eq!((answer.status, answer.body.as_ref()), (StatusCode::OK, b"reached".as_slice()), "{allow} {host}");
    }
    assert_eq!(target.reached(), 5);
    // Being reachable is not being trusted without TLS: that takes the name itself.
    let plain = fetch(&outbound(&["127.0.0.0/8"]), &target.url("localhost", "/"), 100).await;
    assert!(matches!(plain, Err(OutboundError::Refused { .. })), "{plain:?}");
}

#[tokio::test]
async fn redirects_are_handed_back_and_not_followed() {
    let target = Target::start().await;
    let answer = fetch(&outbound(&["127.0.0.1"]), &target.url("127.0.0.1", "/redirect"), 100).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(answer.headers[header::LOCATION], "/");
    assert_eq!(target.reached(), 0);
}

#[tokio::test]
async fn answers_are_read_up_to_the_limit_and_no_further() {
    let target = Target::start().await;
    let outbound = outbound(&["127.0.0.1"]);
    let too_large = |max_bytes| Err(OutboundError::TooLarge { host: "127.0.0.1".to_owned(), max_bytes });
    let read = async |path: &str, max_bytes| {
        fetch(&outbound, &target.url("127.0.0.1", path), max_bytes).await.map(|answer| answer.body.len())
    };
    assert_eq!(read("/hundred", 100).await, Ok(100));
    assert_eq!(read("/hundred", 99).await, too_large(99));
    assert_eq!(read("/flood", 100_000).await, too_large(100_000));
}

#[tokio::test]
async fn time_is_limited_as_a_whole() {
    let target = Target::start().await;
    let outbound = outbound(&["127.0.0.1"]);
    for path in ["/silent", "/drip"] {
        // The target of itself never comes to an end.
        let refused = fetch(&outbound, &target.url("127.0.0.1", path), 1_000_000).await;
        assert!(matches!(refused, Err(OutboundError::Timeout { .. })), "{path}: {refused:?}");
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_made() {
    let target = Target::start().await;
    let url = Url::parse(&target.url("127.0.0.1", "/echo")).unwrap();
    let mut request = OutboundRequest { method: Method::POST, ..OutboundRequest::get_json(url, 2000) };
    request.headers.insert("x-trace", "7".parse().unwrap());
    request.body = "a=b".into();
    let answer = outbound(&["127.0.0.1"]).send(request).await.unwrap();
    let echo = String::from_utf8(answer.body.to_vec()).unwrap();
    for part in ["\"x-trace\": \"7\"", "\"accept\": \"application/json\"", "\"user-agent\": \"samesake/", "b\"a=b\""] {
        assert!(echo.contains(part), "{part} in {echo}");
    }
}

/// What is said about a failure ends up in logs: no path, no query.
#[tokio::test]
async fn failures_name_the_host_and_not_the_path() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outbound = outbound(&["127.0.0.1"]);
    for url in [
        format!("http://{nobody}/secret-path?code=secret"),
        "https://does-not-exist.invalid/secret-path?code=secret".to_owned(),
        "http://10.0.0.1/secret-path?code=secret".to_owned(),
    ] {
        let error = fetch(&outbound, &url, 100).await.unwrap_err();
        let host = Url::parse(&url).unwrap().host_str().unwrap().to_owned();
        let printed = format!("{error} {error:?}");
        assert!(printed.contains(&host) && !printed.contains("secret"), "{printed}");
    }
}
