//! Joining profiles is not joining keys (rules 25, 26 and 46), as browsers, apps and destinations meet it.

use std::time::Duration;

use samesake::board;
use samesake::config::MergedSessions;
use samesake::events::{self, Actor};
use samesake::identity::address::EmailAddress;
use samesake::identity::addresses::{self, Added};
use samesake::identity::linking::Mailbox;
use samesake::identity::merge::{self, Outcome, PlanRequest, Planned, Terms, UndoRequest, Undone, sessions};
use samesake::identity::namespace::{Namespace, Rules};
use samesake::identity::not_same;
use samesake::ids::{CustomerId, GrantId};
use samesake::store::Link;
use serde_json::{Value, json};

use super::{Board, added, at, by_customer, by_operator, done, link, undo_request};
use crate::harness::app::web_client;
use crate::harness::relying_party::Tokens;
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants, jwks, until};
use crate::identity::log_in_as;
use crate::oidc::device::tv_client;
use crate::on_both;
use crate::store::samples::grant;

pub const ANN: &str = "ann@shop.example";

/// Ann with a password, Bob with an account at a provider, and an app and a destination that know both.
pub struct House {
    pub upstream: Upstream,
    pub app: TestApp,
    pub rp: RelyingParty,
    pub ann: CustomerId,
    pub bob: CustomerId,
    pub ann_tokens: Tokens,
    pub bob_tokens: Tokens,
}

pub fn sub(tokens: &Tokens) -> &str {
    tokens.claims["sub"].as_str().unwrap()
}

impl House {
    pub async fn start(env: &Env) -> House {
        let upstream = Upstream::start_at(env.clock.clone(), crate::harness::upstream::Algorithm::Es256).await;
        upstream.add_person("bob-1", json!({"name": "Bob Own"}));
        let app = TestApp::builder(env)
            .web_client("shop")
            .client(web_client("tv", tv_client(&json!({ "sector": "shop" }))), None)
            .connector(upstream.config("google"))
            .destination(json!({"id": "data", "origins": ["http://localhost"]}))
            .start()
            .await;
        let rp = app.relying_party("shop").await;
        let ann = app.customer(ANN, "Ann Example").await;
        let bob_tokens = log_in_as(&rp, &upstream, "google", "bob-1").await;
        let store = app.store.background();
        let found = store.begin_read().await.unwrap().link_resolve("social:google", "bob-1").await.unwrap();
        let ann_tokens = as_ann(&app, &rp, &Browser::new()).await;
        House { upstream, app, rp, ann, bob: found.unwrap(), ann_tokens, bob_tokens }
    }

    pub async fn merge(&self) -> samesake::ids::MergeId {
        let request = by_operator(self.ann, self.bob);
        let (store, config) = (self.app.store.background(), &self.app.app.config.merge);
        done(merge::execute(&store, config, &request, Terms::default(), self.app.clock.now()).await.unwrap()).merge
    }

    pub async fn as_bob(&self, browser: &Browser) -> Tokens {
        self.upstream.choose("bob-1");
        let authorization = self.rp.authorization();
        let page = browser.get(&authorization.url).await;
        let callback = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        self.rp.finish(&authorization, &callback).await
    }

    pub async fn userinfo(&self, tokens: &Tokens) -> Value {
        self.rp.userinfo(&tokens.access_token).await.body
    }

    /// The statement for this browser, once its level is this.
    pub async fn statement(&self, browser: &Browser, level: &str) -> Value {
        let ask = async || browser.get_one(self.app.url("/forward-auth/data")).await;
        until(&format!("the level {level}"), async || ask().await.header("samesake-level") == Some(level)).await;
        jwks::peek(ask().await.header("samesake-identity").unwrap()).1
    }
}

pub async fn as_ann(app: &TestApp, rp: &RelyingParty, browser: &Browser) -> Tokens {
    let authorization = rp.authorization_with(&[("prompt", "login")]);
    let callback = app.log_in(browser, &authorization.url, ANN).await;
    rp.finish(&authorization, &callback).await
}

on_both! {
    /// A wrong merge never hands the survivor's account to the absorbed side.
    async fn the_absorbed_side_sees_only_itself_until_it_proves_the_survivor(env: &Env) {
        let house = House::start(env).await;
        let before = Browser::new();
        house.as_bob(&before).await;
        let merge = house.merge().await;

        let (ann, bob) = (as_ann(&house.app, &house.rp, &Browser::new()).await, house.as_bob(&Browser::new()).await);
        assert_eq!((sub(&ann), sub(&bob)), (sub(&house.ann_tokens), sub(&house.bob_tokens)), "each keeps its own");
        assert_eq!(bob.claims.get("acr"), None);
        let seen = house.userinfo(&bob).await;
        assert_eq!((&seen["name"], seen.get("email"), seen.get("merged_from")), (&json!("Bob Own"), None, None));
        let joined = house.userinfo(&ann).await;
        assert_eq!((&joined["email"], &joined["merged_from"]), (&json!(ANN), &json!([sub(&bob)])));
        // A token from before the merge opens no more than its own side either.
        assert_eq!(house.userinfo(&house.bob_tokens).await["name"], "Bob Own");
        assert_eq!(house.userinfo(&house.bob_tokens).await.get("email"), None);

        let account = before.get(house.app.url("/account")).await;
        assert!(!account.text().contains("ann@shop.example"), "{}", account.text());
        let statement = house.statement(&before, "identified").await;
        assert_eq!((&statement["ambiguous"], statement.get("auth_time")), (&json!(true), None));

        // A password of the survivor's in the same browser: from here on the ways in are one.
        as_ann(&house.app, &house.rp, &before).await;
        let whole = house.as_bob(&Browser::new()).await;
        assert_eq!(sub(&whole), sub(&ann));
        assert_eq!(house.userinfo(&whole).await["email"], json!(ANN));
        let graph = invariants::check(env).await;
        assert!(graph.events.iter().any(|event| event.kind == "customer.keys_joined"));

        // And back: each is alone again, nobody's session counts.
        let (store, config) = (house.app.store.background(), &house.app.app.config.merge);
        let now = house.app.clock.now();
        merge::undo(&store, config, &undo_request(merge), None, now).await.unwrap();
        let alone = house.as_bob(&Browser::new()).await;
        assert_eq!((sub(&alone), house.userinfo(&alone).await.get("email")), (sub(&bob), None));
        house.statement(&before, "anonymous").await;
        invariants::check(env).await;
    }

    /// Rule 25: what an absorbed side does at an app that is new to both is never the survivor's.
    async fn a_side_gets_a_subject_of_its_own_where_it_is_new(env: &Env) {
        let house = House::start(env).await;
        house.merge().await;
        let browser = Browser::new();
        house.as_bob(&browser).await;
        let of_bob = house.statement(&browser, "identified").await["sub"].clone();
        let browser = Browser::new();
        as_ann(&house.app, &house.rp, &browser).await;
        let of_ann = house.statement(&browser, "authenticated").await["sub"].clone();
        assert_ne!(of_ann, of_bob);
        let graph = invariants::check(env).await;
        assert_eq!(graph.subjects.iter().filter(|subject| subject.own_side).count(), 1);
    }

    /// Rule 26: the survivor's session stays, the absorbed one's asks again; families keep their `sub`; a code from
    /// before redeems after.
    async fn sessions_fall_and_families_keep_their_subject(env: &Env) {
        let house = House::start(env).await;
        let (ann, bob) = (Browser::new(), Browser::new());
        as_ann(&house.app, &house.rp, &ann).await;
        let bobs = house.as_bob(&bob).await;
        let authorization = house.rp.authorization();
        let callback = bob.get(&authorization.url).await;
        assert!(callback.stopped, "a live session needs no login");
        house.app.clock.advance(Duration::from_secs(1));
        let now = house.app.clock.now();
        let store = house.app.store.background();
        let request = by_customer(house.ann, house.bob, now);
        let config = &house.app.app.config.merge;
        done(merge::execute(&store, config, &request, Terms::default(), now).await.unwrap());

        let late = house.rp.finish(&authorization, &callback).await;
        assert_eq!(sub(&late), sub(&house.ann_tokens), "both sides were proved: it is the whole customer");
        let again = house.rp.authorization();
        assert!(ann.get(&again.url).await.stopped, "the survivor goes on");
        let again = house.rp.authorization();
        assert!(!bob.get(&again.url).await.stopped, "the absorbed one signs in again");
        let answer = house.rp.refresh(bobs.refresh_token.as_deref().unwrap()).await;
        let refreshed = house.rp.token_response(answer).await;
        assert_eq!(house.rp.id_token(&refreshed.id_token).await["sub"], *sub(&bobs));
        invariants::check(env).await;
    }

    /// Rule 25, OpenID Connect Core §3.1.2.1: one side of a merge is not who the other is, and the whole is who each was.
    async fn a_hint_of_the_survivor_is_not_one_of_the_absorbed_side(env: &Env) {
        let house = House::start(env).await;
        house.merge().await;
        let (ann, bob) = (Browser::new(), Browser::new());
        as_ann(&house.app, &house.rp, &ann).await;
        house.as_bob(&bob).await;
        let silent = async |browser: &Browser, hint: &Tokens| {
            let authorization = house.rp.authorization_with(&[("prompt", "none"), ("id_token_hint", &hint.id_token)]);
            let callback = browser.get(&authorization.url).await;
            match callback.parameter("code") {
                Some(_) => Ok(sub(&house.rp.finish(&authorization, &callback).await).to_owned()),
                None => Err(house.rp.error(&authorization, &callback)),
            }
        };
        let subs = (Ok(sub(&house.ann_tokens).to_owned()), Ok(sub(&house.bob_tokens).to_owned()));
        assert_eq!(silent(&bob, &house.ann_tokens).await, Err("login_required".to_owned()));
        assert_eq!((silent(&ann, &house.ann_tokens).await, silent(&bob, &house.bob_tokens).await), subs);
        assert_eq!(silent(&ann, &house.bob_tokens).await, subs.0, "Bob is a part of Ann by now");
        // Nor does it sign the other side out without a word.
        bob.get(house.rp.end_session(&[("id_token_hint", &house.ann_tokens.id_token)])).await;
        assert_eq!(silent(&bob, &house.bob_tokens).await, subs.1);
    }

    /// Rule 9, for one side of a merge: what others may have prepared there ends, and nothing of the other side.
    async fn a_first_proof_by_mail_ends_what_its_side_gave_and_no_more(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        let proof = Some("connector:google".to_owned());
        let vouched = Link { proof, ..link(Namespace::Email, "bob@hub.example", bob, at(0)) };
        let mut tx = board.store.begin().await.unwrap();
        assert!(tx.link_insert(&vouched).await.unwrap());
        events::record(&mut tx, bob, Actor::Customer, added(&vouched), at(0)).await.unwrap();
        for (code, customer) in [("anns", ann), ("bobs", bob)] {
            assert!(tx.grant_insert(&grant(code, customer), None).await.unwrap());
        }
        tx.commit().await.unwrap();
        board.merge(ann, bob, at(1)).await;
        let address = EmailAddress::parse("bob@hub.example").unwrap();
        let rules = Rules { namespaces: &board.config.namespaces, now: at(2) };
        let mut tx = board.store.begin().await.unwrap();
        let proved = addresses::add(&mut tx, bob, &address, rules).await.unwrap();
        assert_eq!(proved, Added::Proved { customer: bob, mailbox: Mailbox::ProvedFirst });
        tx.commit().await.unwrap();
        let mut tx = board.store.begin_read().await.unwrap();
        let mut ended = Vec::new();
        for code in ["anns", "bobs"] {
            ended.push(tx.grant_find(GrantId::of_code(code)).await.unwrap().unwrap().revoked_at);
        }
        assert_eq!(ended, [None, Some(at(2))]);
        drop(tx);
        invariants::check(env).await;
    }

    /// Rules 19, 32 and 46: an account that goes along by choice opens nothing of the one it was with until now.
    async fn an_account_that_goes_along_leaves_no_way_into_the_other(env: &Env) {
        let house = House::start(env).await;
        house.upstream.add_person("bob-2", json!({"name": "Bob Two"}));
        let merge = house.merge().await;
        house.app.clock.advance(Duration::from_secs(1));
        let board = Board::new(house.app.store.background());
        let namespace = Namespace::Social("google".to_owned());
        let link = board.link(house.ann, namespace, "bob-2", house.app.clock.now()).await;
        let by_link = log_in_as(&house.rp, &house.upstream, "google", "bob-2").await;
        assert_eq!(sub(&by_link), sub(&house.ann_tokens));
        let (config, now) = (&house.app.app.config.merge, house.app.clock.now());
        let request = UndoRequest { take: vec![link], ..undo_request(merge) };
        let undone = merge::undo(&board.store, config, &request, None, now).await.unwrap();
        assert!(matches!(undone, Undone::Done { repeated: false, .. }), "{undone:?}");
        let refused = house.rp.refresh(by_link.refresh_token.as_deref().unwrap()).await;
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_grant"), "{}", refused.text);
        let anns = house.rp.refresh(house.ann_tokens.refresh_token.as_deref().unwrap()).await;
        assert_eq!(anns.status.as_u16(), 200, "what came otherwise goes on: {}", anns.text);
        let now_bobs = log_in_as(&house.rp, &house.upstream, "google", "bob-2").await;
        assert_eq!(sub(&now_bobs), sub(&house.bob_tokens));
        invariants::check(env).await;
    }

    /// Whoever is still in a browser after an undoing has ended their session has proved nothing there.
    async fn an_ended_session_joins_no_keys(env: &Env) {
        let house = House::start(env).await;
        let shared = Browser::new();
        house.as_bob(&shared).await;
        let merge = house.merge().await;
        house.app.clock.advance(Duration::from_secs(1));
        let (store, config, now) = (house.app.store.background(), &house.app.app.config.merge, house.app.clock.now());
        merge::undo(&store, config, &undo_request(merge), None, now).await.unwrap();
        not_same::lift(&store, house.ann, house.bob, Actor::System, now).await.unwrap();
        house.merge().await;
        as_ann(&house.app, &house.rp, &shared).await;
        let bob = house.as_bob(&Browser::new()).await;
        assert_eq!(house.userinfo(&bob).await.get("email"), None, "Bob's keys open Bob's own side");
        invariants::check(env).await;
    }

    /// OpenID Connect Core §12.2: a family keeps its `sub` or ends, also where an undoing gave the `sub` back to the
    /// other customer and its own has none at that app.
    async fn a_family_whose_subject_went_with_the_other_customer_ends(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), crate::harness::upstream::Algorithm::Es256).await;
        upstream.add_person("bob-1", json!({"name": "Bob Own"}));
        let app = TestApp::builder(env).web_client("club").connector(upstream.config("google")).start().await;
        let rp = app.relying_party("club").await;
        let ann = app.customer(ANN, "Ann Example").await;
        let bobs = log_in_as(&rp, &upstream, "google", "bob-1").await;
        let store = app.store.background();
        let bob = store.begin_read().await.unwrap().link_resolve("social:google", "bob-1").await.unwrap().unwrap();
        let (now, config) = (app.clock.now(), &app.app.config.merge);
        let request = by_customer(ann, bob, now);
        let merge = done(merge::execute(&store, config, &request, Terms::default(), now).await.unwrap()).merge;
        let anns = as_ann(&app, &rp, &Browser::new()).await;
        assert_eq!(sub(&anns), sub(&bobs), "the club knew Bob, and knows the customer by his name");
        merge::undo(&store, config, &undo_request(merge), None, app.clock.now()).await.unwrap();
        let refused = rp.refresh(anns.refresh_token.as_deref().unwrap()).await;
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_grant"), "{}", refused.text);
        let kept = rp.token_response(rp.refresh(bobs.refresh_token.as_deref().unwrap()).await).await;
        assert_eq!(sub(&kept), sub(&bobs));
        assert_ne!(sub(&as_ann(&app, &rp, &Browser::new()).await), sub(&bobs), "Ann is somebody new there");
        invariants::check(env).await;
    }

    /// Rules 26 and 28: what is asked for this merge goes before what is configured, and is part of what is agreed to.
    async fn sessions_are_kept_downgraded_or_ended_as_asked(env: &Env) {
        let house = House::start(env).await;
        let (store, config) = (house.app.store.background(), &house.app.app.config.merge);
        for policy in [MergedSessions::Keep, MergedSessions::Downgrade, MergedSessions::End] {
            let browser = Browser::new();
            let tokens = house.as_bob(&browser).await;
            house.app.clock.advance(Duration::from_secs(1));
            let now = house.app.clock.now();
            let counts = sessions::count(&store, Some(house.app.app.kv()), house.bob, now).await.unwrap().but(&[]);
            assert!(counts.sso.is_some_and(|sso| sso > 0) && counts.refresh_tokens > 0, "{counts:?}");
            let asked = |sessions| PlanRequest { sessions, ..by_customer(house.ann, house.bob, now) };
            let hash = async |sessions| match merge::plan(&store, config, &asked(sessions), now).await.unwrap() {
                Outcome::Done(Planned::New(plan)) => (plan.sessions, plan.hash()),
                other => panic!("{other:?}"),
            };
            let (planned, agreed) = hash(Some(policy)).await;
            assert_eq!((planned, hash(None).await.0), (policy, MergedSessions::Downgrade));
            assert_eq!(hash(None).await.1 == agreed, policy == MergedSessions::Downgrade, "it is part of the plan");
            // Another login changes the count, not the plan.
            house.as_bob(&Browser::new()).await;
            assert_eq!(hash(Some(policy)).await.1, agreed);
            let more = sessions::count(&store, Some(house.app.app.kv()), house.bob, now).await.unwrap().but(&[]);
            assert!(more.sso > counts.sso && more.refresh_tokens > counts.refresh_tokens, "{more:?}");
            let terms = Terms { hash: Some(&agreed), idempotency_key: None };
            let merge = done(merge::execute(&store, config, &asked(Some(policy)), terms, now).await.unwrap()).merge;
            let goes_on = browser.get(&house.rp.authorization().url).await.stopped;
            assert_eq!(goes_on, policy == MergedSessions::Keep, "{policy:?}");
            let refreshed = house.rp.refresh(tokens.refresh_token.as_deref().unwrap()).await;
            assert_eq!(refreshed.status == 200, policy != MergedSessions::End, "{policy:?}: {}", refreshed.text);
            merge::undo(&store, config, &undo_request(merge), None, now).await.unwrap();
            let lift = not_same::lift(&store, house.ann, house.bob, Actor::System, now).await;
            lift.unwrap();
            house.app.clock.advance(Duration::from_secs(1));
        }
        invariants::check(env).await;
    }

    /// Rule 28: with nothing in between, what was previewed is what happens; whoever has to sign in again is not counted
    /// a second time.
    async fn sessions_that_count_no_more_are_not_counted(env: &Env) {
        let house = House::start(env).await;
        let (store, config) = (house.app.store.background(), &house.app.app.config.merge);
        let count = async |root: CustomerId, rows: &[CustomerId]| {
            let counts = sessions::count(&store, Some(house.app.app.kv()), root, house.app.clock.now()).await.unwrap();
            (counts.but(rows).sso.unwrap(), counts.of(rows).sso.unwrap())
        };
        let signed_in = async |customer: CustomerId| {
            house.as_bob(&Browser::new()).await;
            let members = store.begin_read().await.unwrap().members_of(customer).await.unwrap();
            board::sessions::live(house.app.app.kv(), &members, house.app.clock.now()).await.unwrap().len()
        };
        assert_eq!((count(house.ann, &[]).await.0, count(house.bob, &[]).await.0), (1, 1));
        house.app.clock.advance(Duration::from_secs(1));
        let now = house.app.clock.now();
        let asked = PlanRequest { sessions: Some(MergedSessions::Downgrade), ..by_customer(house.ann, house.bob, now) };
        let merge = done(merge::execute(&store, config, &asked, Terms::default(), now).await.unwrap()).merge;
        assert_eq!(count(house.ann, &[house.bob]).await, (1, 0), "Bob's has to sign in again");
        assert_eq!(signed_in(house.ann).await, 2, "and has");
        assert_eq!(count(house.ann, &[house.bob]).await, (1, 1));
        house.app.clock.advance(Duration::from_secs(1));
        let now = house.app.clock.now();
        merge::undo(&store, config, &undo_request(merge), None, now).await.unwrap();
        assert_eq!((count(house.ann, &[]).await.0, count(house.bob, &[]).await.0), (0, 0), "all have ended");
        assert_eq!(signed_in(house.bob).await, 1);
        invariants::check(env).await;
    }

    /// Rule 23: an app that knew both is told the `sub` retired there, for a while; one that knew one of them hears
    /// nothing.
    async fn who_knew_both_is_told_the_retired_subject_for_a_while(env: &Env) {
        let house = House::start(env).await;
        let before = as_ann(&house.app, &house.rp, &Browser::new()).await;
        assert_eq!(before.claims.get("merged_from"), None);
        house.merge().await;
        let told = as_ann(&house.app, &house.rp, &Browser::new()).await;
        let retired = json!([sub(&house.bob_tokens)]);
        assert_eq!((sub(&told), &told.claims["merged_from"]), (sub(&house.ann_tokens), &retired));
        assert_eq!(house.userinfo(&told).await["merged_from"], retired);
        let refreshed = house.rp.refresh(told.refresh_token.as_deref().unwrap()).await;
        let refreshed = house.rp.token_response(refreshed).await;
        assert_eq!(house.rp.id_token(&refreshed.id_token).await["merged_from"], retired);
        // One side alone is told nothing of the other.
        assert_eq!(house.as_bob(&Browser::new()).await.claims.get("merged_from"), None);
        house.app.clock.advance(house.app.app.config.merge.told_for);
        let later = as_ann(&house.app, &house.rp, &Browser::new()).await;
        assert_eq!((later.claims.get("merged_from"), house.userinfo(&later).await.get("merged_from")), (None, None));
        invariants::check(env).await;
    }
}
