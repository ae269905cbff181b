//! The released program as a process: on the servers of the run, and on its embedded defaults.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use samesake::protocol::client_metadata::ClientMetadata;
use serde_json::{Value, json};
use url::Url;

use crate::cpu::Processes;
use crate::harness::app::{CLIENT_SECRET, web_client};
use crate::harness::browser::http_client;
use crate::harness::env::{redis_url, required};
use crate::harness::upstream::Upstream;
use crate::harness::{Env, free_port};

/// The one app that signs customers in.
pub fn shop() -> ClientMetadata {
    web_client("shop", json!({}))
}

/// A gateway on Postgres and Redis, stopped on drop.
pub struct Gateway {
    pub issuer: Url,
    pub cpu: Processes,
    pub postgres: Processes,
    pub redis: Processes,
    _process: Process,
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Gateway {
    /// Starts it and waits until it is ready.
    pub async fn start(env: &Env, upstream: &Upstream) -> Gateway {
        let port = free_port();
        let issuer = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let configuration = configuration(env, upstream, port).await;
        let file = env.directory().join("samesake.toml");
        std::fs::write(&file, toml::to_string(&configuration).unwrap()).unwrap();
        let mut process = serve(&["--config", &file.display().to_string()]);
        ready(&issuer, &mut process).await;
        Gateway {
            issuer,
            cpu: Processes::of(process.0.id()),
            postgres: Processes::of_postgres(&required("SAMESAKE_TEST_POSTGRES")).await,
            redis: Processes::of_redis(&redis_url()).await,
            _process: process,
        }
    }
}

/// Everything not named here is as the defaults are, the cost of a password above all.
async fn configuration(env: &Env, upstream: &Upstream, port: u16) -> Value {
    let mut client = serde_json::to_value(shop()).unwrap();
    client["client_secret"] = CLIENT_SECRET.into();
    client.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let google = upstream.config("google");
    json!({
        "unsafe_allow": ["http_issuer", "connector_http", "master_key", "database_plaintext", "redis_plaintext"],
        "server": {
            "listen": format!("127.0.0.1:{port}"),
            "issuer": format!("http://127.0.0.1:{port}"),
            // Every login comes from a household of its own, as far as the throttle can see.
            "trusted_proxies": ["127.0.0.0/8"],
        },
        "database": { "url": env.database_url().await },
        "redis": { "url": redis_url(), "prefix": env.redis_prefix() },
        "secrets": { "master_key": "c2FtZXNha2UtYmVuY2gtbWFzdGVyLWtleS0zMmJ5dGU=" },
        "password": { "sign_up": false },
        "mail": { "transport": "none" },
        "outbound": { "allow": ["127.0.0.1"] },
        "log": { "level": "warn" },
        "clients": [client],
        "connectors": [{
            "id": google.id,
            "name": google.name,
            "kind": "oidc",
            "issuer": google.issuer,
            "client_id": google.client_id,
            "client_secret": google.client_secret.expose(),
        }],
        "destinations": [{ "id": "recommendations", "origins": [format!("http://localhost:{port}")] }],
    })
}

/// The program without a configuration file: how soon it answers and how little it needs.
pub struct Embedded {
    pub first_start: Duration,
    pub next_start: Duration,
    /// Resident memory in MiB once it is ready.
    pub resident: f64,
}

impl Embedded {
    /// Starts it twice: the first start makes the database and the keys.
    pub async fn measure(env: &Env) -> Embedded {
        let directory = env.directory().join("embedded");
        let (first_start, _) = start_embedded(&directory).await;
        let (next_start, resident) = start_embedded(&directory).await;
        Embedded { first_start, next_start, resident }
    }
}

async fn start_embedded(directory: &Path) -> (Duration, f64) {
    let listen = format!("127.0.0.1:{}", free_port());
    let began = Instant::now();
    let mut process = serve(&["--data-dir", &directory.display().to_string(), "--listen", &listen]);
    ready(&Url::parse(&format!("http://{listen}")).unwrap(), &mut process).await;
    (began.elapsed(), Processes::of(process.0.id()).resident())
}

fn serve(arguments: &[&str]) -> Process {
    let mut command = Command::new(binary());
    command.arg("serve").args(arguments).env("RUST_LOG", "warn").stdin(Stdio::null()).stdout(Stdio::null());
    let child = command.spawn();
    Process(child.unwrap_or_else(|error| panic!("{} does not start: {error}", binary().display())))
}

fn binary() -> PathBuf {
    std::env::var_os("SAMESAKE_BENCH_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_samesake").into(), PathBuf::from)
}

/// Asks every millisecond, for ten seconds.
async fn ready(issuer: &Url, process: &mut Process) {
    let (http, health) = (http_client(), issuer.join("/health/ready").unwrap());
    let mut again = tokio::time::interval(Duration::from_millis(1));
    let answered = async {
        while !http.get(health.clone()).send().await.is_ok_and(|answer| answer.status().is_success()) {
            assert!(process.0.try_wait().unwrap().is_none(), "the gateway ended by itself");
            again.tick().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), answered).await;
    assert!(in_time.is_ok(), "the gateway is not ready after ten seconds");
}
