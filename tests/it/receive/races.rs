//! A login and an ending at the same time: no session outlives what it came from (identity 19, protocol 34).

use std::collections::HashMap;
use std::time::Duration;

use samesake::clock::Clock;
use samesake::http::session_store::KvSessionStore;
use samesake::ids::{CustomerId, LinkId, Sid};
use samesake::kv::Kv;
use samesake::session::{self, Authentication, FOR_EVER, Of, RECORD_FIELD, SsoSession};
use serde_json::json;
use time::OffsetDateTime;
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};

use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::{on_both, on_servers};

/// A session of the browser as a login leaves it.
fn session(clock: &Clock, sid: &Sid, link: LinkId) -> SsoSession {
    let now = clock.now();
    let authentication = Authentication {
        auth_time: now,
        acr: None,
        amr: vec![],
        via: "social:google".to_owned(),
        link: Some(link),
        upstream: Some(session::upstream_session("google", "up-1")),
    };
    let expires_at = now + Duration::from_secs(3600);
    let (sid, customer) = (sid.clone(), CustomerId::new(now));
    SsoSession { sid, customer, authentication, created_at: now, last_seen: now, expires_at, browser: None }
}

/// Logging in again, in the same session.
fn renewed(session: &SsoSession, clock: &Clock) -> SsoSession {
    clock.advance(Duration::from_millis(1));
    let mut session = session.clone();
    session.authentication.auth_time = clock.now();
    session
}

/// Writes it as the session layer does; under which ID.
async fn create(store: &KvSessionStore, session: &SsoSession) -> Id {
    let expires_at = i128::from(session.expires_at.micros()) * 1000;
    let data = HashMap::from([(RECORD_FIELD.to_owned(), json!(session))]);
    let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(expires_at).unwrap();
    let mut record = Record { id: Id::default(), data, expiry_date };
    store.create(&mut record).await.unwrap();
    record.id
}

async fn is_live(kv: &Kv, sid: &Sid) -> bool {
    kv.get(&session::sid_key(sid.as_str())).await.unwrap().is_some()
}

on_both! {
    /// Two tabs of one browser that log in again at once make two records of one session, and either may be the one whose
    /// cookie the browser keeps.
    async fn every_record_of_a_session_ends_with_it(env: &Env) {
        let kv = env.kv().await;
        let store = KvSessionStore::new(kv.clone(), env.clock.clone());
        let (sid, link) = (Sid::random(), LinkId::new(env.clock.now()));
        let first = session(&env.clock, &sid, link);
        let mut records = vec![create(&store, &first).await];
        for _ in 0..2 {
            records.push(create(&store, &renewed(&first, &env.clock)).await);
        }
        session::end(&kv, &sid).await.unwrap();
        for id in &records {
            assert!(store.load(id).await.unwrap().is_none());
        }
        assert!(!is_live(&kv, &sid).await);
    }

    /// A logout is final: logging in again at the same moment does not bring the `sid` back.
    async fn logging_in_again_does_not_bring_an_ended_session_back(env: &Env) {
        let kv = env.kv().await;
        let store = KvSessionStore::new(kv.clone(), env.clock.clone());
        let (sid, link) = (Sid::random(), LinkId::new(env.clock.now()));
        let first = session(&env.clock, &sid, link);
        create(&store, &first).await;
        session::end(&kv, &sid).await.unwrap();
        let late = create(&store, &renewed(&first, &env.clock)).await;
        assert!(store.load(&late).await.unwrap().is_none());
        assert!(!is_live(&kv, &sid).await);
    }

    /// The login had found its link before it was removed, and writes its session after.
    async fn a_login_that_an_unlink_overtakes_has_no_session(env: &Env) {
        let kv = env.kv().await;
        let store = KvSessionStore::new(kv.clone(), env.clock.clone());
        let link = LinkId::new(env.clock.now());
        for of in [Of::Link(link), Of::Upstream(session::upstream_session("google", "up-1"))] {
            let sid = Sid::random();
            let late = session(&env.clock, &sid, link);
            session::end_all(&kv, &of, env.clock.now()).await.unwrap();
            let id = create(&store, &late).await;
            assert!(store.load(&id).await.unwrap().is_none(), "{of:?}");
            assert!(!is_live(&kv, &sid).await, "{of:?}");
            // Who logs in afterwards is not meant.
            env.clock.advance(Duration::from_secs(1));
            let sid = Sid::random();
            let id = create(&store, &session(&env.clock, &sid, link)).await;
            assert!(store.load(&id).await.unwrap().is_some() && is_live(&kv, &sid).await, "{of:?}");
        }
        // A link that was removed does not come back: nobody logs in by it at any time.
        session::end_all(&kv, &Of::Link(link), FOR_EVER).await.unwrap();
        env.clock.advance(Duration::from_secs(1));
        let sid = Sid::random();
        create(&store, &session(&env.clock, &sid, link)).await;
        assert!(!is_live(&kv, &sid).await);
        assert!(session::sids_of(&kv, &Of::Link(link), FOR_EVER).await.unwrap().is_empty());
    }
}

on_both! {
    /// Somebody is signed out everywhere while a login of theirs is on its last step, and once more in a session that goes on.
    async fn a_login_that_a_sign_out_everywhere_overtakes_has_no_session(env: &Env) {
        let kv = env.kv().await;
        let store = KvSessionStore::new(kv.clone(), env.clock.clone());
        let (sid, link) = (Sid::random(), LinkId::new(env.clock.now()));
        let early = session(&env.clock, &sid, link);
        let id = create(&store, &early).await;
        let late = SsoSession { sid: Sid::random(), ..early.clone() };
        session::end_all(&kv, &Of::Customer(early.customer), env.clock.now()).await.unwrap();
        assert!(store.load(&id).await.unwrap().is_none() && !is_live(&kv, &sid).await);
        let id = create(&store, &late).await;
        assert!(store.load(&id).await.unwrap().is_none() && !is_live(&kv, &late.sid).await);
        // Who logs in afterwards is not meant, and neither is anybody else.
        let other = session(&env.clock, &Sid::random(), link);
        for session in [renewed(&SsoSession { sid: Sid::random(), ..early }, &env.clock), other] {
            let session = SsoSession { created_at: session.authentication.auth_time, ..session };
            create(&store, &session).await;
            assert!(is_live(&kv, &session.sid).await);
        }
    }
}

on_servers! {
    /// Whatever comes first, afterwards no session rests on the link that is gone.
    async fn logins_at_the_same_time_as_an_unlink_leave_no_session_of_the_link(env: &Env) {
        let google = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let hub = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        hub.add_person("hub-1", json!({"name": "Ann"}));
        let builder = TestApp::builder(env).web_client("shop").connector(google.config("google"));
        let app = builder.connector(hub.config("hub")).start().await;
        let replica = app.replica(env).await;
        for round in 0..6 {
            // A new account each time: who logs in after the unlink is a new customer.
            let subject = format!("ann-{round}");
            google.add_person(&subject, json!({"name": "Ann"}));
            google.choose(&subject);
            let desk = Browser::new();
            let page = desk.get(app.url("/account")).await;
            let page = desk.submit(&page, "/login/social", &[("connector", "hub")]).await;
            let page = desk.submit(&page, "/account/connect", &[("connector", "google")]).await;
            assert_eq!(page.url.path(), "/account", "round {round}: {}", page.text());
            let graph = invariants::check(env).await;
            let link = uuid::Uuid::parse_str(&graph.live("social:google", &subject)[0].id).unwrap();
            let login = async |at: &TestApp| {
                let browser = Browser::new().via(&app.issuer, &at.address);
                let page = browser.get(app.url("/account")).await;
                browser.submit(&page, "/login/social", &[("connector", "google")]).await
            };
            let unlink = async {
                let page = desk.submit(&page, "/account/disconnect", &[("link", &link.to_string())]).await;
                assert_eq!(page.url.path(), "/account", "round {round}: {}", page.text());
            };
            futures::join!(login(&app), login(&replica), unlink, login(&app), login(&replica));
            let of = Of::Link(LinkId(link));
            assert_eq!(session::sids_of(&app.kv, &of, FOR_EVER).await.unwrap(), [], "round {round}");
        }
        invariants::check(env).await;
    }
}
