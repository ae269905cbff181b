//! A receiver of events on a free port, which remembers everything and answers as it is told.
//!
//! It checks what every receiver must: the signature, and that nothing it is busy with comes a second time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use samesake::secret;
use serde_json::Value;
use tokio::sync::watch;
use url::Url;

/// What all receivers of the tests share with the gateway.
pub const SECRET: &str = "whsec_c2FtZXNha2UtdGVzdC13ZWJob29rLXNlY3JldC0zMmI=";

/// One delivery as it arrived.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub text: String,
    pub body: Value,
    /// What was answered.
    pub status: u16,
}

impl Delivery {
    pub fn kind(&self) -> &str {
        self.body["type"].as_str().unwrap()
    }

    pub fn sequence(&self) -> i64 {
        self.body["sequence"].as_i64().unwrap()
    }

    /// The customer and the event's number among theirs; for an internal receiver.
    pub fn place(&self) -> (String, i64) {
        let data = &self.body["data"];
        (data["customer_id"].as_str().unwrap().to_owned(), data["customer_seq"].as_i64().unwrap())
    }
}

/// How to answer.
#[derive(Clone, Debug)]
pub enum Reply {
    Status(u16),
    /// With one more header.
    With(u16, &'static str, &'static str),
    /// Longer than anybody wants to read.
    Flood,
    /// Not at all.
    Hang,
}

type Rule = Box<dyn Fn(&Value) -> Reply + Send>;

struct Model {
    received: Vec<Delivery>,
    rule: Rule,
    busy: HashSet<String>,
    /// Something that must not be.
    faults: Vec<String>,
    /// While there, answers wait for it to be opened: all, or those to deliveries that say this.
    gate: Option<(Option<&'static str>, watch::Receiver<bool>)>,
}

/// The running receiver; it stops when dropped.
pub struct Receiver {
    pub url: Url,
    model: Arc<Mutex<Model>>,
    server: tokio::task::JoinHandle<()>,
}

impl Receiver {
    /// One that takes everything.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/events", listener.local_addr().unwrap())).unwrap();
        let model = Model {
            received: Vec::new(),
            rule: Box::new(|_| Reply::Status(204)),
            busy: HashSet::new(),
            faults: Vec::new(),
            gate: None,
        };
        let model = Arc::new(Mutex::new(model));
        let router = Router::new().route("/events", post(receive)).with_state(Arc::clone(&model));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, model, server }
    }

    /// From now on answers by this rule.
    pub fn answer(&self, rule: impl Fn(&Value) -> Reply + Send + 'static) {
        self.model().rule = Box::new(rule);
    }

    /// From now on takes everything.
    pub fn take_all(&self) {
        self.answer(|_| Reply::Status(204));
    }

    /// From now on keeps requests waiting for their answer until `true` is sent: all, or those whose `kind` this is.
    pub fn close_gate(&self, kind: Option<&'static str>) -> watch::Sender<bool> {
        let (sender, receiver) = watch::channel(false);
        self.model().gate = Some((kind, receiver));
        sender
    }

    /// Everything that arrived, in that order, with what has been answered.
    pub fn received(&self) -> Vec<Delivery> {
        let model = self.model();
        assert!(model.faults.is_empty(), "{:#?}", model.faults);
        model.received.clone()
    }

    /// Those that were taken.
    pub fn taken(&self) -> Vec<Delivery> {
        let mut received = self.received();
        received.retain(|delivery| delivery.status < 300);
        received
    }

    /// The names of the events that were taken.
    pub fn kinds(&self) -> Vec<String> {
        self.taken().iter().map(|delivery| delivery.kind().to_owned()).collect()
    }

    /// How many are waiting for their answer.
    pub fn busy(&self) -> usize {
        self.model().busy.len()
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Takes an entry out of those the receiver is busy with, however the request ends.
struct Busy(Arc<Mutex<Model>>, String);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().unwrap().busy.remove(&self.1);
    }
}

async fn receive(State(model): State<Arc<Mutex<Model>>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    let (id, timestamp, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let (reply, gate) = {
        let mut model = model.lock().unwrap();
        if !is_signed(&id, &timestamp, &signature, &text) {
            model.faults.push(format!("{signature} is not the signature of {id} {timestamp} {text}"));
        }
        if !model.busy.insert(id.clone()) {
            model.faults.push(format!("{id} came while it was being taken: {text}"));
        }
        let is_held = |kind: &Option<&str>| kind.is_none_or(|kind| body["data"]["kind"] == kind);
        ((model.rule)(&body), model.gate.clone().filter(|(kind, _)| is_held(kind)))
    };
    let busy = Busy(Arc::clone(&model), id.clone());
    if let Some((_, mut gate)) = gate {
        gate.wait_for(|open| *open).await.ok();
    }
    let (status, answer) = match reply {
        Reply::Status(status) => (status, code(status).into_response()),
        Reply::With(status, name, value) => (status, (code(status), [(name, value)]).into_response()),
        Reply::Flood => (200, "x".repeat(3_000_000).into_response()),
        Reply::Hang => (0, Response::default()),
    };
    model.lock().unwrap().received.push(Delivery { id, timestamp, signature, text, body, status });
    if status == 0 {
        std::future::pending::<()>().await;
    }
    drop(busy);
    answer
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap()
}

/// As Standard Webhooks describes it to receivers: one signature of several is enough.
fn is_signed(id: &str, timestamp: &str, signatures: &str, text: &str) -> bool {
    let key = secret::from_base64(SECRET.strip_prefix("whsec_").unwrap()).unwrap();
    let tag = secret::hmac_sha256(&key, &[format!("{id}.{timestamp}.{text}").as_bytes()]);
    let expected = format!("v1,{}", secret::base64(&tag));
    !id.contains('.') && signatures.split(' ').any(|signature| signature == expected)
}
