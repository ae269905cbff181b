//! Where a customer is signed in, and ending it by the API (identity rules 19, 25 and 26).

use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use super::{ANN, BEN, Office, assert_good, assert_problem};
use crate::harness::relying_party::Tokens;
use crate::harness::{Browser, Env, Gateway, TestApp, invariants};
use crate::on_both;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0";

/// Signs in to the shop, in this browser.
async fn shop(app: &TestApp, browser: &Browser, email: &str, scope: &str) -> Tokens {
    let shop = app.relying_party("shop").await;
    let authorization = shop.authorization_with(&[("scope", scope)]);
    let callback = app.log_in(browser, &authorization.url, email).await;
    shop.finish(&authorization, &callback).await
}

async fn refreshes(app: &TestApp, tokens: &Tokens) -> bool {
    let answer = app.relying_party("shop").await.refresh(tokens.refresh_token.as_deref().unwrap()).await;
    answer.status.as_u16() == 200
}

async fn is_signed_in(app: &TestApp, browser: &Browser) -> bool {
    browser.get(app.url("/account")).await.url.path() == "/account"
}

async fn listed(office: &Office, customer: CustomerId) -> Vec<Value> {
    let answer = office.get(&office.robot(AdminRole::Viewer).await, &format!("/customers/{customer}/sessions")).await;
    assert_good(&answer);
    answer.body["items"].as_array().unwrap().clone()
}

on_both! {
    async fn where_a_customer_is_signed_in_is_listed_and_tells_no_secret(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        assert_eq!(listed(&office, ann).await, Vec::<Value>::new());
        let firefox = Browser::new().with_header("user-agent", FIREFOX);
        let tokens = shop(&office.app, &firefox, ANN, "openid").await;
        env.clock.advance(std::time::Duration::from_secs(60));
        let odd = Browser::new().with_header("user-agent", "<script>alert(1)</script>");
        office.app.log_in(&odd, office.app.url("/account"), ANN).await;
        let sessions = listed(&office, ann).await;
        let [newest, first] = sessions.as_slice() else { panic!("{sessions:?}") };
        assert_eq!((first["sid"].as_str(), &first["browser"]), (tokens.claims["sid"].as_str(), &json!("Firefox on Linux")));
        assert_eq!(first["apps"], json!([{ "client_id": "shop", "name": "The shop" }]));
        assert_eq!((&first["kind"], &first["via"], &first["amr"]), (&json!("browser"), &json!("email"), &json!(["pwd"])));
        assert_eq!((&first["customer"], &first["began_at"]), (&json!(ann), &first["proved_at"]));
        assert!(newest["browser"].is_null() && newest["apps"] == json!([]), "{newest}");
        assert!(newest["began_at"].as_str() > first["began_at"].as_str());
        let seen = office.get(&office.robot(AdminRole::Viewer).await, &format!("/customers/{ann}")).await;
        assert_eq!(seen.body["live_sessions"], 2);
        let text = json!(sessions).to_string();
        for secret in ["session:", "script", "link", &tokens.access_token, tokens.refresh_token.as_deref().unwrap()] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        // Page by page, each once.
        let viewer = office.robot(AdminRole::Viewer).await;
        let page = office.get(&viewer, &format!("/customers/{ann}/sessions?limit=1")).await;
        assert_eq!(page.body["items"], json!([newest]));
        let next = page.body["next"].as_str().unwrap();
        let page = office.get(&viewer, &format!("/customers/{ann}/sessions?limit=1&cursor={next}")).await;
        assert_eq!((&page.body["items"], page.body.get("next")), (&json!([first]), None));
    }

    /// Those of all who are this customer today; nobody else's; and every refresh token, `offline_access` too.
    async fn a_customer_is_signed_out_everywhere(env: &Env) {
        let app = TestApp::builder(env).web_client("shop").configure(|config| config.merge.approval_from_risk = 100);
        let office = Office::of(app.start().await).await;
        let app = &office.app;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let cleo = app.customer("cleo@example.com", "Cleo").await;
        let browsers = [Browser::new(), Browser::new(), Browser::new()];
        let of_ann = shop(app, &browsers[0], ANN, "openid").await;
        let of_ben = shop(app, &browsers[1], BEN, "openid offline_access").await;
        let of_cleo = shop(app, &browsers[2], "cleo@example.com", "openid").await;
        let merger = office.robot(AdminRole::Merger).await;
        let both = json!({ "survivor": ann, "absorbed": ben });
        let plan = office.ask(&merger, "/merges/plan", &both).await;
        let agreed = json!({ "survivor": ann, "absorbed": ben, "plan_hash": plan.body["hash"], "reason": "x" });
        assert_good(&office.post(&merger, "/merges", "m", &agreed).await);
        let (support, viewer) = (office.robot(AdminRole::Support).await, office.robot(AdminRole::Viewer).await);
        let (path, why) = (format!("/customers/{ben}/sessions/end"), json!({ "reason": "lost phone" }));
        assert_problem(&office.post(&viewer, &path, "k", &why).await, 403, "role-too-low");
        assert_problem(&office.post_as(&support, &path, "k", "\"0\"", &why).await, 412, "version-mismatch");
        assert_problem(&office.post(&support, &path, "k", &json!({ "reason": " " })).await, 422, "invalid-content");
        assert_eq!(listed(&office, ann).await.len(), 2, "nothing has happened yet");
        let ended = office.post(&support, &path, "k", &why).await;
        assert_good(&ended);
        assert_eq!(ended.body, json!({ "customer": ann, "sessions": 2, "refresh_tokens": 2, "repeated": false }));
        assert!(!is_signed_in(app, &browsers[0]).await && !is_signed_in(app, &browsers[1]).await);
        assert!(!refreshes(app, &of_ann).await && !refreshes(app, &of_ben).await);
        let userinfo = app.relying_party("shop").await.userinfo(&of_ann.access_token).await;
        assert_eq!(userinfo.status.as_u16(), 401, "what is bound to a session ends with it");
        assert!(is_signed_in(app, &browsers[2]).await && refreshes(app, &of_cleo).await, "nobody else’s: {cleo}");
        assert_eq!(office.post(&support, &path, "k", &why).await.body, ended.body, "the same request again");
        let again = office.post(&support, &path, "k2", &why).await;
        assert_eq!(again.body, json!({ "customer": ann, "sessions": 0, "refresh_tokens": 0, "repeated": true }));
        assert_eq!(listed(&office, ben).await, Vec::<Value>::new());
        let log = office.get(&support, &format!("/audit?customer={ann}&limit=100")).await;
        let entries: Vec<&Value> =
            log.body["items"].as_array().unwrap().iter().filter(|item| item["action"] == "session.ended").collect();
        let [entry] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(entry["detail"], json!({ "sessions": 2, "refresh_tokens": 2, "reason": "lost phone" }));
        assert_eq!(entry["actor"], "admin:client:robot-support");
        shop(app, &Browser::new(), ANN, "openid").await;
        assert_eq!(listed(&office, ann).await.len(), 1, "whoever signs in afterwards is not meant");
        for (nobody, kind, status) in [("019a0000-0000-7000-8000-000000000000", "not-found", 404), ("x", "not-found", 404)] {
            assert_problem(&office.post(&support, &format!("/customers/{nobody}/sessions/end"), "n", &why).await, status, kind);
        }
        invariants::check(env).await;
    }

    async fn one_session_ends_and_the_others_go_on(env: &Env) {
        let office = Office::start(env).await;
        let app = &office.app;
        let (ann, ben) = (app.customer(ANN, "Ann").await, app.customer(BEN, "Ben").await);
        let (one, other, of_ben) = (Browser::new(), Browser::new(), Browser::new());
        let tokens = [
            shop(app, &one, ANN, "openid offline_access").await,
            shop(app, &other, ANN, "openid").await,
            shop(app, &of_ben, BEN, "openid").await,
        ];
        let sid = |tokens: &Tokens| tokens.claims["sid"].as_str().unwrap().to_owned();
        let (support, why) = (office.robot(AdminRole::Support).await, json!({ "reason": "not theirs" }));
        let path = |customer, sid: &str| format!("/customers/{customer}/sessions/{sid}/end");
        for nothing in [sid(&tokens[2]), "x".to_owned(), "y".repeat(65), "%20".to_owned()] {
            assert_problem(&office.post(&support, &path(ann, &nothing), "n", &why).await, 404, "not-found");
        }
        assert!(is_signed_in(app, &of_ben).await && refreshes(app, &tokens[2]).await, "another customer’s is not theirs");
        let ended = office.post(&support, &path(ann, &sid(&tokens[0])), "k", &why).await;
        assert_eq!(ended.body, json!({ "customer": ann, "sessions": 1, "refresh_tokens": 1, "repeated": false }));
        assert!(!is_signed_in(app, &one).await && !refreshes(app, &tokens[0]).await);
        assert!(is_signed_in(app, &other).await && refreshes(app, &tokens[1]).await);
        assert_problem(&office.post(&support, &path(ann, &sid(&tokens[0])), "k2", &why).await, 404, "not-found");
        assert_problem(&office.post(&support, &path(ben, &sid(&tokens[1])), "k3", &why).await, 404, "not-found");
        invariants::check(env).await;
    }

    /// A login of the last half hour, as for all that hits a customer at once.
    async fn ending_sessions_wants_a_fresh_login(env: &Env) {
        let office = Office::start(env).await;
        let ann = office.app.customer(ANN, "Ann").await;
        office.admin(BEN, AdminRole::Support).await;
        let browser = Browser::new();
        office.sign_in(&browser, BEN).await;
        env.clock.advance(std::time::Duration::from_secs(31 * 60));
        let token = office.sign_in(&browser, BEN).await.access_token;
        let path = format!("/customers/{ann}/sessions/end");
        assert_problem(&office.post(&token, &path, "k", &json!({ "reason": "x" })).await, 401, "login-too-old");
    }

    /// The program has the database only; the running gateway ends the sessions.
    async fn the_program_signs_a_customer_out(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await.to_string();
        let gateway = Gateway::configured(env, "").await;
        let run = |arguments: &[&str]| {
            let output = gateway.run(arguments);
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
        };
        let tokens = shop(&app, &Browser::new(), ANN, "openid offline_access").await;
        let unknown = "019a0000-0000-7000-8000-000000000000";
        let refused = run(&["customer", "sign-out", unknown, "--reason", "x"]).unwrap_err();
        assert!(refused.contains("nobody is known by this ID"), "{refused}");
        let done = run(&["customer", "sign-out", &ann, "--reason", "lost phone"]).unwrap();
        assert!(done.contains("is signed out") && done.contains("1 with refresh tokens"), "{done}");
        assert!(!refreshes(&app, &tokens).await);
        invariants::check(env).await;
    }
}
