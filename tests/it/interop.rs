//! Logins with clients that others wrote, the way their users call them: tests/interop has the programs.
//!
//! They read the specifications with other eyes than ours. Postgres and Redis only: what differs between them and us
//! is on the wire, not in the back ends.

use serde_json::{Value, json};

use crate::harness::app::{CLIENT_SECRET, PASSWORD, web_client};
use crate::harness::{Apache, Browser, Env, Nginx, TestApp, apache, free_port, jwks, program};
use crate::on_servers;

const ANN: &str = "ann@example.com";
const REDIRECT_URI: &str = "https://shop.example/callback";

/// A gateway with Ann and the client `shop` in this form.
async fn gateway(env: &Env, client: Value, secret: Option<&str>) -> TestApp {
    let app = TestApp::builder(env).client(web_client("shop", client), secret).start().await;
    app.customer(ANN, "Ann Example").await;
    app
}

/// Has a program log Ann in and answers what it learned.
async fn login(app: &TestApp, name: &str, secret: &str) -> Value {
    let variables = [
        ("ISSUER", app.app.config.server.issuer_text()),
        ("CLIENT_ID", "shop"),
        ("CLIENT_SECRET", secret),
        ("REDIRECT_URI", REDIRECT_URI),
        ("POST_LOGOUT_REDIRECT_URI", "https://shop.example/"),
        ("EMAIL", ANN),
        ("PASSWORD", PASSWORD),
    ];
    program::run(name, &variables).await
}

fn assert_is_ann(learned: &Value) {
    assert_eq!(learned["userinfo"]["email"], ANN, "{learned}");
    assert_eq!(learned["userinfo"]["name"], "Ann Example");
    assert_eq!(learned["userinfo"]["sub"], learned["claims"]["sub"]);
}

on_servers! {
    async fn openid_client_signs_in_refreshes_and_logs_out(env: &Env) {
        let app = gateway(env, json!({}), Some(CLIENT_SECRET)).await;
        let learned = login(&app, "openid_client.mjs", CLIENT_SECRET).await;
        assert_is_ann(&learned);
        let end_session = learned["end_session"].as_str().unwrap();
        let page = Browser::new().get(end_session).await;
        assert_eq!(page.url.as_str(), "https://shop.example/?state=bye", "{}", page.text());
    }

    async fn openid_client_signs_in_without_a_secret(env: &Env) {
        let client = json!({ "token_endpoint_auth_method": "none", "id_token_signed_response_alg": "ES256" });
        let app = gateway(env, client, None).await;
        assert_is_ann(&login(&app, "openid_client.mjs", "").await);
    }

    /// A third-party app: the customer is asked.
    async fn authlib_signs_in_and_refreshes(env: &Env) {
        let app = gateway(env, json!({ "first_party": false }), Some(CLIENT_SECRET)).await;
        assert_is_ann(&login(&app, "authlib_client.py", CLIENT_SECRET).await);
    }

    async fn apache_signs_in_for_the_app_behind_it(env: &Env) {
        let port = free_port();
        let client = json!({ "redirect_uris": [apache::redirect_uri(port)] });
        let app = gateway(env, client, Some(CLIENT_SECRET)).await;
        // mod_auth_openidc's header names have underscores, which nginx drops unless told.
        let backend = "underscores_in_headers on; location / { default_type text/html; return 200 '<h1>$http_oidc_claim_email</h1>'; }";
        let backend = Nginx::start(env.directory(), backend).await;
        let apache = Apache::start(env.directory(), port, &app.issuer, ("shop", CLIENT_SECRET), &backend.url).await;
        let page = app.log_in(&Browser::new(), apache.url.join("/app/cart").unwrap(), ANN).await;
        assert_eq!(page.heading(), ANN, "{} {}\n{}", page.status, page.url, apache.errors());
        assert_eq!(page.url, apache.url.join("/app/cart").unwrap());
    }

    /// Back ends check tokens with what they have: jose and PyJWT, every algorithm we sign with.
    async fn other_libraries_verify_our_tokens(env: &Env) {
        let algorithms = ["RS256", "PS256", "ES256", "EdDSA"];
        let mut builder = TestApp::builder(env);
        for algorithm in algorithms {
            let signed_with = json!({
                "access_token_signed_response_alg": algorithm,
                "id_token_signed_response_alg": algorithm,
            });
            builder = builder.client(web_client(algorithm, signed_with), Some(CLIENT_SECRET));
        }
        let app = builder.start().await;
        app.customer(ANN, "Ann Example").await;
        for algorithm in algorithms {
            let party = app.relying_party(algorithm).await;
            let authorization = party.authorization();
            let callback = app.log_in(&Browser::new(), &authorization.url, ANN).await;
            let tokens = party.finish(&authorization, &callback).await;
            let access_token = party.jwt(&tokens.access_token).await.1;
            let audience = jwks::audiences(&access_token)[0];
            for (token, typ, audience) in
                [(&tokens.access_token, "at+jwt", audience), (&tokens.id_token, "JWT", algorithm)]
            {
                let verify = async |library, audience| {
                    let variables = [
                        ("TOKEN", token.as_str()),
                        ("JWKS_URI", party.metadata["jwks_uri"].as_str().unwrap()),
                        ("ISSUER", party.issuer.as_str()),
                        ("AUDIENCE", audience),
                        ("TYP", typ),
                        ("ALGORITHM", algorithm),
                    ];
                    program::execute(library, &variables).await
                };
                for library in ["verify_jose.mjs", "verify_pyjwt.py"] {
                    let claims = program::printed(library, &verify(library, audience).await);
                    assert_eq!(claims["sub"], tokens.claims["sub"]);
                    assert!(!verify(library, "another audience").await.status.success(), "{library} is careless");
                }
            }
        }
    }
}
