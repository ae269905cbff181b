//! The harness itself: each test has back ends of its own.

use std::time::Duration;

use crate::harness::{Browser, Env, Nginx, Screen, WebDriver};
use crate::{on_both, on_servers};

on_both! {
    /// Two tests never meet, in the database or in the key-value store, and both find it migrated.
    async fn each_test_has_its_own_back_ends(env: &Env) {
        let other = Env::new(env.pair);
        assert_ne!(env.database_url().await, other.database_url().await);
        for env in [env, &other] {
            assert!(!env.store().await.migrations_pending().await.unwrap());
            let taken = env.kv().await.set_new("key", b"value".to_vec(), Duration::from_secs(60)).await.unwrap();
            assert!(taken, "another test has been here");
            assert!(env.kv().await.get("key").await.unwrap().is_some(), "the test sees its own keys");
        }
        other.close().await;
    }
}

on_servers! {
    /// The browser without script goes through cookies, redirects, links and forms, and stops where the app is not.
    async fn the_browser_follows_and_stops(env: &Env) {
        let nginx = Nginx::start(
            env.directory(),
            r#"default_type text/html;
            location = / { add_header Set-Cookie "__Host-a=1; Path=/; Secure; HttpOnly"; return 302 /page?x=1; }
            location = /page {
                if ($cookie___Host_a = "2") { return 500; }
                return 200 "<h1>Hello</h1><p>$http_cookie $http_sec_fetch_site</p><a href='/bye'>Good bye</a>
                    <form method=get action=/form><input type=hidden name=flow value='a&amp;b'><input name=email></form>";
            }
            location = /form { return 303 https://app.example/callback?$args; }
            location = /bye { add_header Set-Cookie "__Host-a=; Path=/; Secure; Max-Age=0"; return 302 /page; }"#,
        )
        .await;
        let browser = Browser::new();
        let page = browser.get(&nginx.url).await;
        assert_eq!((page.heading().as_str(), page.visited.len()), ("Hello", 2));
        assert!(page.contains("__Host-a=1 none"), "{}", page.text());
        assert_eq!(browser.cookie("__Host-a").unwrap().value, "1");
        let callback = browser.submit(&page, "/form", &[("email", "ann@shop.example")]).await;
        assert!(callback.stopped);
        assert_eq!(callback.url.as_str(), "https://app.example/callback?flow=a%26b&email=ann%40shop.example");
        let page = browser.click(&page, "Good bye").await;
        assert!(page.contains("same-origin") && browser.cookies().is_empty(), "{}", page.text());
        assert_eq!(nginx.errors(), "");
    }

    /// The real browser opens a page and shows it.
    async fn the_real_browser_shows_a_page(env: &Env) {
        let page = r#"<meta name=viewport content="width=device-width"><h1>Hello</h1>"#;
        let server = format!("location / {{ default_type text/html; return 200 '{page}'; }}");
        let nginx = Nginx::start(env.directory(), &server).await;
        let browser = WebDriver::start(env.directory(), Screen::Phone).await;
        browser.open(&nginx.url).await;
        assert_eq!(browser.find("h1").await.text().await.unwrap(), "Hello");
        assert_eq!(browser.run("return window.innerWidth", Vec::new()).await, 390);
        let picture = browser.screenshot("harness").await;
        assert!(std::fs::metadata(picture).unwrap().len() > 1000);
        browser.close().await;
    }
}
