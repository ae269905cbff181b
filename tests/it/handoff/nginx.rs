//! A real nginx with `auth_request` in front of an app (rule 11): the walk of a browser, and what the app is told.

use axum::Router;
use axum::extract::Request;
use axum::response::Html;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use super::ANN;
use crate::harness::app::TestApp;
use crate::harness::browser::http_client;
use crate::harness::{Browser, Env, Nginx, Page, free_port, jwks};
use crate::on_both;

/// An app that shows what it is told: the page, and every header that might be an identity.
async fn app() -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let router = Router::new().fallback(async |request: Request| {
        let told = request.headers().iter().filter(|(name, _)| name.as_str().starts_with("samesake-"));
        let told: Vec<_> = told.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        Html(format!("<h1>{}</h1><p>{}</p>", request.uri().path(), told.join(" | ")))
    });
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// What an operator writes: everything is observed, the account asks for a login, the identity comes from us alone.
fn configuration(app: &Url, gateway: &Url) -> String {
    format!(
        "location / {{
            auth_request /observed;
            auth_request_set $identity $upstream_http_samesake_identity;
            proxy_set_header Samesake-Identity $identity;
            proxy_set_header Samesake-Level '';
            proxy_pass {app};
        }}
        location /account {{
            auth_request /guarded;
            auth_request_set $identity $upstream_http_samesake_identity;
            error_page 401 = @login;
            proxy_set_header Samesake-Identity $identity;
            proxy_set_header Samesake-Level '';
            proxy_pass {app};
        }}
        location = /observed {{
            internal;
            proxy_pass {gateway}forward-auth/shop;
            proxy_pass_request_body off;
            proxy_set_header Content-Length '';
        }}
        location = /guarded {{
            internal;
            proxy_pass {gateway}forward-auth/shop?policy=authenticated;
            proxy_pass_request_body off;
            proxy_set_header Content-Length '';
        }}
        location @login {{
            return 302 /.samesake/shop/start?rd=$scheme://$http_host$request_uri;
        }}
        location /.samesake/ {{
            proxy_pass {gateway_without_path};
            proxy_redirect off;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}",
        app = app.as_str().trim_end_matches('/'),
        gateway_without_path = gateway.as_str().trim_end_matches('/'),
    )
}

struct Shop {
    gateway: TestApp,
    nginx: Nginx,
    /// The app's domain, which is not the gateway's.
    origin: Url,
}

async fn shop(env: &Env) -> Shop {
    let port = free_port();
    let origin = Url::parse(&format!("http://localhost:{port}")).unwrap();
    let gateway =
        TestApp::builder(env).destination(json!({ "id": "shop", "origins": [origin.as_str()] })).start().await;
    gateway.customer(ANN, "Ann Example").await;
    let nginx = Nginx::start_at(port, env.directory(), &configuration(&app().await, &gateway.address)).await;
    Shop { gateway, nginx, origin }
}

impl Shop {
    fn url(&self, path: &str) -> Url {
        self.origin.join(path).unwrap()
    }

    /// The claims the app was given on this page: one identity, ours, and nothing else.
    async fn told(&self, page: &Page) -> Value {
        let told = page.text();
        let identity = told.split("samesake-").nth(1).unwrap_or_else(|| panic!("{} {told}", page.status));
        assert_eq!(told.matches("samesake-").count(), 1, "{told}");
        let jwt = identity.strip_prefix("identity: ").unwrap();
        let keys: Value = http_client().get(self.gateway.url("/jwks.json")).send().await.unwrap().json().await.unwrap();
        let (header, claims) = jwks::verify(&keys, jwt).unwrap();
        assert_eq!((&header["typ"], &claims["aud"]), (&json!("identity+jwt"), &json!("shop")));
        claims
    }
}

on_both! {
    async fn a_browser_walks_through_nginx(env: &Env) {
        let shop = shop(env).await;
        let browser = Browser::new();
        let page = browser.get(shop.url("/shoes?size=42")).await;
        assert_eq!(page.heading(), "/shoes");
        assert_eq!(shop.told(&page).await["level"], "anonymous");

        let orders = shop.url("/account/orders?year=2026&state=open");
        let page = shop.gateway.log_in(&browser, &orders, ANN).await;
        assert_eq!((page.url.clone(), page.heading().as_str()), (orders.clone(), "/account/orders"));
        let claims = shop.told(&page).await;
        assert_eq!(claims["level"], "authenticated");
        assert_eq!(page.header("samesake-identity"), None, "the browser is not shown it");

        let page = browser.get(shop.url("/shoes")).await;
        assert_eq!(shop.told(&page).await["sub"], claims["sub"], "known everywhere from now on");

        let page = browser.get(shop.gateway.url("/logout")).await;
        browser.submit(&page, "/logout/confirm", &[]).await;
        let page = browser.get(shop.url("/shoes")).await;
        assert_eq!(shop.told(&page).await["level"], "anonymous");
        let page = browser.get(&orders).await;
        assert_eq!(page.url.origin(), shop.gateway.issuer.origin(), "to the login again");
        assert_eq!(shop.nginx.errors(), "");
    }

    /// What a client says about itself never comes through.
    async fn identity_headers_of_the_client_are_replaced(env: &Env) {
        let shop = shop(env).await;
        let ann = Browser::new();
        let page = shop.gateway.log_in(&ann, shop.url("/account"), ANN).await;
        let stolen = page.text().split("samesake-identity: ").nth(1).unwrap().to_owned();
        let forger = Browser::new().with_header("samesake-identity", &stolen).with_header("samesake-level", "authenticated");
        let page = forger.get(shop.url("/shoes")).await;
        assert_eq!(shop.told(&page).await["level"], "anonymous");
        let page = forger.get(shop.url("/account")).await;
        assert_eq!(page.url.origin(), shop.gateway.issuer.origin(), "to the login");
        let known = ann.with_header("samesake-identity", "forged").with_header("samesake-level", "anonymous");
        let page = known.get(shop.url("/account")).await;
        assert_eq!(shop.told(&page).await["level"], "authenticated");
        let direct = forger.get(shop.url("/observed")).await;
        assert_eq!(direct.status.as_u16(), 404, "the look-up itself is not for clients");
        assert_eq!(shop.nginx.errors().matches("[error]").count(), 0);
    }
}
