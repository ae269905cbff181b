//! Events that an app fetches itself, page by page and as a stream (spec/identity.md rule 31, spec/handoff.md rules 16 to
//! 18).

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Response;
use samesake::events::{self, Actor, Event};
use samesake::identity::merge::Undone;
use samesake::ids::CustomerId;
use samesake::oidc::client::hash_client_secret;
use samesake::store::ClientRow;
use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{start, webhook};
use crate::harness::app::{CLIENT_SECRET, web_client};
use crate::harness::browser::http_client;
use crate::harness::relying_party::{Answer, answer};
use crate::harness::{Browser, Env, RelyingParty, TestApp, until};
use crate::identity::merge::Board;
use crate::{on_both, on_servers};

const ANN: &str = "ann@shop.example";
const BOB: &str = "bob@shop.example";

pub fn audience(app: &TestApp) -> String {
    format!("{}/api/v1", app.issuer.as_str().trim_end_matches('/'))
}

/// An app with a back end that fetches events.
pub async fn register(app: &TestApp, client_id: &str) -> RelyingParty {
    let changes = json!({
        "subject_type": "pairwise", "scope": "openid profile events stock", "resources": [audience(app)],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
    });
    let (metadata, now) = (web_client(client_id, changes), app.clock.now());
    let secret_hash = Some(hash_client_secret(CLIENT_SECRET));
    let row = ClientRow { metadata: metadata.clone(), secret_hash, created_at: now, updated_at: now };
    let mut tx = app.store.background().begin().await.unwrap();
    tx.client_put(&row).await.unwrap();
    tx.commit().await.unwrap();
    app.app.reload_clients().await.unwrap();
    RelyingParty::discover(&app.address, &metadata, Some(CLIENT_SECRET), &app.clock).await
}

pub async fn token(party: &RelyingParty, audience: &str, scope: &str) -> String {
    let asked = [("grant_type", "client_credentials"), ("resource", audience), ("scope", scope)];
    let asked: Vec<_> = asked.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let answer = party.token(&asked).await;
    answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned()
}

pub async fn fetch(app: &TestApp, token: &str, query: &str) -> Answer {
    answer(http_client().get(app.url(&format!("/api/v1/events{query}"))).bearer_auth(token)).await
}

/// Everything behind a cursor, however many answers it takes.
async fn all(app: &TestApp, token: &str, mut after: i64, limit: usize) -> (Vec<Value>, i64) {
    let mut events = Vec::new();
    loop {
        let page = fetch(app, token, &format!("?after={after}&limit={limit}")).await;
        assert_eq!((page.status.as_u16(), &page.headers["cache-control"]), (200, &"no-store".parse().unwrap()));
        let found = page.body["events"].as_array().unwrap();
        assert!(found.len() <= limit);
        events.extend(found.iter().cloned());
        after = page.body["next"].as_i64().unwrap();
        if page.body["more"] == false {
            return (events, after);
        }
    }
}

async fn happen(app: &TestApp, customer: CustomerId, event: Event) {
    let mut tx = app.store.background().begin().await.unwrap();
    events::record(&mut tx, customer, Actor::System, event, app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

pub async fn log_in(app: &TestApp, party: &RelyingParty, email: &str) -> String {
    let authorization = party.authorization_with(&[("scope", "openid profile")]);
    let callback = app.log_in(&Browser::new(), &authorization.url, email).await;
    party.finish(&authorization, &callback).await.claims["sub"].as_str().unwrap().to_owned()
}

fn subs(events: &[Value], kind: &str) -> Vec<Value> {
    events.iter().filter(|event| event["type"] == kind).map(|event| event["data"].clone()).collect()
}

/// What a stream says, event by event.
struct Stream {
    response: Response,
    text: String,
    last: String,
}

impl Stream {
    async fn open(app: &TestApp, token: &str, after: &str) -> Stream {
        let request = http_client().get(app.url("/api/v1/events?after=0")).bearer_auth(token);
        let request = request.header("accept", "text/event-stream").header("last-event-id", after);
        let response = request.send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &"text/event-stream".parse().unwrap())
        );
        Stream { response, text: String::new(), last: after.to_owned() }
    }

    /// The next event; `None` if the stream has ended.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                let (id, kind, data) = (line("id: "), line("event: "), line("data: "));
                self.text = rest.to_owned();
                if let Some(id) = id {
                    self.last = id;
                }
                if let Some(data) = data {
                    let event: Value = serde_json::from_str(&data).unwrap();
                    assert_eq!(event["sequence"].to_string(), self.last);
                    assert_eq!(event["type"].as_str(), kind.as_deref());
                    return Some(event);
                }
                continue;
            }
            let waited = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
            let chunk = waited.unwrap_or_else(|_| panic!("nothing came; so far: {}", self.text)).unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

on_both! {
    /// What a webhook of the same app is told, under the same IDs; and nothing of what another app knows.
    async fn an_app_fetches_its_own_events_as_often_as_it_asks(env: &Env) {
        let receiver = Receiver::start().await;
        let builder = TestApp::builder(env).configure(webhook("shop-hook", &receiver, json!({"sector": "shop.example"})));
        let app = start(builder).await;
        let (shop, club) = (register(&app, "shop").await, register(&app, "club").await);
        let (ann, bob) = (app.customer(ANN, "Ann").await, app.customer(BOB, "Bob").await);
        let (at_shop, bob_at_shop) = (log_in(&app, &shop, ANN).await, log_in(&app, &shop, BOB).await);
        let at_club = log_in(&app, &club, ANN).await;
        happen(&app, ann, Event::CredentialAdded { kind: "passkey" }).await;
        let board = Board::new(app.store.background());
        let merge = board.merge(ann, bob, app.clock.now()).await;
        happen(&app, ann, Event::ConflictOpened { kind: "not for apps".to_owned() }).await;
        assert!(matches!(board.undo(merge.merge, app.clock.now()).await, Undone::Done { .. }));

        let audience = audience(&app);
        let (shop_token, club_token) = (token(&shop, &audience, "events").await, token(&club, &audience, "events").await);
        let (events, next) = all(&app, &shop_token, 0, 100).await;
        assert_eq!(subs(&events, "credential.added").last(), Some(&json!({"sub": at_shop, "kind": "passkey"})));
        assert_eq!(subs(&events, "customer.merged"), [json!({"sub": at_shop, "merged_from": [bob_at_shop]})]);
        assert_eq!(subs(&events, "customer.unmerged"), [json!({"restored": bob_at_shop, "parted_from": at_shop})]);
        let (hers, _) = all(&app, &club_token, 0, 100).await;
        assert_eq!(subs(&hers, "credential.added"), [json!({"sub": at_club, "kind": "passkey"})]);
        assert!(subs(&hers, "customer.merged").is_empty());
        for (text, own, others) in [(json!(events).to_string(), &at_shop, &at_club), (json!(hers).to_string(), &at_club, &at_shop)] {
            assert!(text.contains(own.as_str()));
            for secret in [others.as_str(), &ann.to_string(), &bob.to_string(), ANN, "not for apps"] {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
        }
        // The same again, one at a time and from the middle; and nothing more behind the end.
        assert_eq!(all(&app, &shop_token, 0, 1).await, (events.clone(), next));
        let second = events[1]["sequence"].as_i64().unwrap();
        assert_eq!(all(&app, &shop_token, second, 2).await.0, events[2..]);
        assert_eq!(all(&app, &shop_token, next, 100).await, (vec![], next));
        let merges = fetch(&app, &shop_token, "?types=customer.merged").await;
        assert_eq!(merges.body["events"].as_array().unwrap().len(), 1);

        until("the webhook to be told the last", async || {
            receiver.taken().iter().any(|told| told.body["sequence"] == events.last().unwrap()["sequence"])
        })
        .await;
        let told: BTreeSet<(String, String)> =
            receiver.taken().iter().map(|told| (told.id.clone(), told.body["data"].to_string())).collect();
        let fetched: BTreeSet<(String, String)> = events
            .iter()
            .map(|event| (event["id"].as_str().unwrap().to_owned(), event["data"].to_string()))
            .collect();
        assert_eq!(told, fetched);
    }

    /// A cursor from another installation, or from before a database was put back: whoever kept it would wait for what
    /// has been.
    async fn a_cursor_behind_the_last_event_is_refused(env: &Env) {
        let app = TestApp::builder(env).start().await;
        let shop = register(&app, "shop").await;
        app.customer("ann@shop.example", "Ann").await;
        log_in(&app, &shop, "ann@shop.example").await;
        let token = token(&shop, &audience(&app), "events").await;
        let last = fetch(&app, &token, "").await.body["next"].as_i64().unwrap();
        assert_eq!(fetch(&app, &token, &format!("?after={last}")).await.body["next"], last);
        let refused = fetch(&app, &token, &format!("?after={}", last + 1)).await;
        assert_eq!((refused.status.as_u16(), &refused.body["type"]), (400, &json!("urn:samesake:problem:invalid-cursor")));
        assert!(refused.text.contains(&last.to_string()), "{}", refused.text);
        let stream = http_client().get(app.url("/api/v1/events")).bearer_auth(&token);
        let stream = stream.header("accept", "text/event-stream").header("last-event-id", (last + 1).to_string());
        assert_eq!(stream.send().await.unwrap().status().as_u16(), 400);
    }

    async fn a_stream_goes_on_where_it_was_cut_off(env: &Env) {
        let app = TestApp::builder(env).start().await;
        let shop = register(&app, "shop").await;
        let ann = app.customer(ANN, "Ann").await;
        let sub = log_in(&app, &shop, ANN).await;
        let token = token(&shop, &audience(&app), "events").await;
        let (before, _) = all(&app, &token, 0, 100).await;
        let mut stream = Stream::open(&app, &token, "0").await;
        for expected in &before {
            assert_eq!(stream.next().await.as_ref(), Some(expected));
        }
        for kind in ["passkey", "recovery"] {
            happen(&app, ann, Event::CredentialAdded { kind }).await;
            let data = stream.next().await.unwrap()["data"].clone();
            assert_eq!(data, json!({"sub": sub, "kind": kind}));
        }
        let (last, number) = (stream.last.clone(), before.len());
        drop(stream);
        happen(&app, ann, Event::CredentialRemoved { kind: "passkey" }).await;
        let mut stream = Stream::open(&app, &token, &last).await;
        assert_eq!(stream.next().await.unwrap()["type"], "credential.removed", "nothing twice, nothing lost");
        let (after, _) = all(&app, &token, 0, 100).await;
        assert_eq!(after.len(), number + 3);
        // It lasts as long as its token.
        app.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(stream.next().await, None);
    }

    async fn events_are_for_clients_with_a_token_of_their_own(env: &Env) {
        let app = TestApp::builder(env).start().await;
        let shop = register(&app, "shop").await;
        app.customer(ANN, "Ann").await;
        let audience = audience(&app);
        let good = token(&shop, &audience, "events").await;
        assert_eq!(fetch(&app, &good, "").await.status, 200);
        // Ann's token, although the app has asked for everything it may have.
        let authorization = shop.authorization_with(&[("resource", &audience)]);
        let callback = app.log_in(&Browser::new(), &authorization.url, ANN).await;
        let anns = shop.finish(&authorization, &callback).await.access_token;
        for (token, status, kind) in [
            (anns, 403, "insufficient-scope"),
            (token(&shop, &audience, "stock").await, 403, "insufficient-scope"),
            (token(&shop, "", "events").await, 401, "unauthenticated"),
            ("nonsense".to_owned(), 401, "unauthenticated"),
        ] {
            let refused = fetch(&app, &token, "").await;
            assert_eq!((refused.status.as_u16(), &refused.body["type"]), (status, &json!(format!("urn:samesake:problem:{kind}"))));
            assert!(refused.headers.contains_key("www-authenticate"));
        }
        for query in ["?after=-1", "?after=x", "?limit=0", "?limit=101", "?cursor=1", "?after=1&after=2", "?types=Links"] {
            let refused = fetch(&app, &good, query).await;
            assert_eq!((refused.status.as_u16(), &refused.body["type"]), (400, &json!("urn:samesake:problem:invalid-request")), "{query}");
        }
        let odd = http_client().get(app.url("/api/v1/events")).bearer_auth(&good).header("last-event-id", "x");
        assert_eq!(answer(odd.header("accept", "text/event-stream")).await.status, 400);
        app.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(fetch(&app, &good, "").await.status, 401);
    }
}

on_servers! {
    /// Of two replicas that both number and serve, neither passes over what the other has.
    async fn two_replicas_show_an_app_the_same_events(env: &Env) {
        let app = TestApp::builder(env).start().await;
        let replica = app.replica(env).await;
        let shop = register(&app, "shop").await;
        replica.app.reload_clients().await.unwrap();
        let ann = app.customer(ANN, "Ann").await;
        log_in(&app, &shop, ANN).await;
        let token = token(&shop, &audience(&app), "events").await;
        let mut streams = [Stream::open(&app, &token, "0").await, Stream::open(&replica, &token, "0").await];
        let recorded = (0..20).map(|_| happen(&app, ann, Event::CredentialAdded { kind: "passkey" }));
        let polled = (0..20).map(|number| all(if number % 2 == 0 { &app } else { &replica }, &token, 0, 7));
        let (_, pages) = futures::join!(futures::future::join_all(recorded), futures::future::join_all(polled));
        let (events, _) = all(&app, &token, 0, 100).await;
        assert_eq!(subs(&events, "credential.added").iter().filter(|data| data["kind"] == "passkey").count(), 20);
        for (page, _) in pages {
            assert_eq!(page, events[..page.len()], "whoever looked early saw the beginning");
        }
        for stream in &mut streams {
            for expected in &events {
                assert_eq!(stream.next().await.as_ref(), Some(expected));
            }
        }
    }
}
