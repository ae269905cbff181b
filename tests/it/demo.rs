//! `samesake demo`, as whoever tries Samesake for the first time sees it: in a real browser, at desk and on a phone.
//!
//! What it shows is the product's own behavior, so these are also the tests of the whole: shop, second app, back end,
//! personalization page and social provider around one gateway. Screenshots: target/screenshots/demo-*.png.

use std::future::Future;
use std::path::PathBuf;

use samesake::config::Config;
use samesake::demo::{Colors, Demo, Options, Urls};
use samesake::identity::candidates::{self, IndexState};
use samesake::store::Store;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::harness::browser::http_client;
use crate::harness::{Browser, Env, Page, Pair, Screen, WebDriver, html, until};

/// A demonstration on free ports, answering until it is stopped.
struct Running {
    urls: Urls,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(data_dir: Option<PathBuf>) -> Running {
        let demo = Demo::start(Options { port_base: 0, data_dir }).await.unwrap();
        let urls = demo.urls.clone();
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(demo.run_until(async { stopped.await.unwrap_or(()) }));
        Running { urls, stop, ended }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.ended.await.unwrap().unwrap();
    }
}

/// A browser at a running demonstration.
struct Visit {
    urls: Urls,
    browser: WebDriver,
    screen: Screen,
}

impl Visit {
    async fn open(&self, url: &str) {
        self.browser.open(url).await;
    }

    /// Clicks, and waits until the browser is at an address that begins like this.
    async fn click_to(&self, selector: &str, url: &str) {
        self.browser.click(selector).await;
        self.arrive(url).await;
    }

    async fn arrive(&self, url: &str) {
        until(url, async || self.url().await.starts_with(url) && self.is_loaded().await).await;
    }

    async fn url(&self) -> String {
        self.browser.client.current_url().await.unwrap().to_string()
    }

    async fn is_loaded(&self) -> bool {
        self.browser.run("return document.readyState", Vec::new()).await == "complete"
    }

    async fn text(&self, selector: &str) -> String {
        self.browser.find(selector).await.text().await.unwrap()
    }

    /// Saves a picture, and holds the page to the width of its screen.
    async fn look(&self, name: &str) {
        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        let over = self.browser.run(script, Vec::new()).await.as_i64().unwrap();
        assert!(over <= 0, "{name} is {over} pixels wider than the {:?}", self.screen);
        self.browser.screenshot(&format!("demo-{name}-{:?}", self.screen).to_lowercase()).await;
    }

    /// From the gateway's login page through Chirp, until the browser is back at `home`.
    async fn choose(&self, person: &str, home: &str) {
        self.click_to("button[value=chirp]", &self.urls.provider).await;
        self.click_to(&format!("button[value={person}]"), home).await;
    }

    async fn level(&self) -> String {
        self.open(&self.urls.personalization).await;
        self.text(".ladder .here strong").await
    }
}

/// Runs a visit and ends browser and demonstration behind it.
async fn visit<F: Future<Output = ()>>(screen: Screen, walk: impl FnOnce(std::sync::Arc<Visit>) -> F) {
    let env = Env::new(Pair::SqliteInProcess);
    let demo = Running::start(None).await;
    let browser = WebDriver::start(env.directory(), screen).await;
    let visit = std::sync::Arc::new(Visit { urls: demo.urls.clone(), browser, screen });
    walk(std::sync::Arc::clone(&visit)).await;
    let visit = std::sync::Arc::into_inner(visit).unwrap();
    visit.browser.close().await;
    demo.stop().await;
}

/// One login serves every app; each sees the same customer; one logout ends it everywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_login_serves_all_apps_and_one_logout_ends_it_in_all() {
    visit(Screen::Desktop, async |at| {
        let urls = &at.urls;
        assert_eq!(at.level().await, "anonymous");
        at.look("personalization-anonymous").await;

        at.open(&urls.shop).await;
        at.look("shop-signed-out").await;
        at.click_to(".pill.big", &urls.gateway).await;
        at.look("login").await;
        at.click_to("button[value=chirp]", &urls.provider).await;
        at.look("chirp").await;
        at.click_to("button[value=ronja]", &urls.shop).await;
        let customer_id = at.text(".id dd").await;
        assert_eq!(customer_id.len(), 36, "{customer_id}");
        assert_eq!(at.text(".who bdi").await, "Ronja Mattisdotter");
        at.look("shop-signed-in").await;

        at.browser.click(".inside form button").await;
        assert_eq!(at.text(".answer strong").await, "200 OK");
        assert!(at.text(".answer pre").await.contains(&format!("\"customer_id\": \"{customer_id}\"")));
        at.look("back-end").await;

        at.open(&urls.second).await;
        assert_eq!(at.url().await, format!("{}/", urls.second), "nothing was asked");
        assert_eq!(at.text(".id dd").await, customer_id);
        at.look("magazine").await;

        assert_eq!(at.level().await, "authenticated");
        assert!(!at.browser.text().await.contains(&customer_id), "a destination has its own subject");
        at.look("personalization-authenticated").await;
        at.open(&urls.gateway).await;
        at.look("gateway").await;

        at.open(&urls.shop).await;
        at.click_to("a[href='/logout']", &format!("{}/?notice=signed-out", urls.shop)).await;
        assert_eq!(at.text(".flash").await, "You are signed out, here and in the other apps.");
        at.open(&urls.second).await;
        at.arrive(&format!("{}/?notice=ended", urls.second)).await;
        at.open(&urls.second).await;
        at.arrive(&format!("{}/?notice=nobody", urls.second)).await;
        at.look("magazine-signed-out").await;
        assert_eq!(at.level().await, "anonymous");

        at.open(&urls.second).await;
        at.click_to(".pill.big", &urls.gateway).await;
        at.choose("birk", &urls.second).await;
        assert_ne!(at.text(".id dd").await, customer_id, "another person is another customer");
    })
    .await;
}

/// The page behind forward-auth brings a visitor through the gateway and back, and a sign-out does not lock it: what an
/// ended session left in the browser does not hide the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_behind_forward_auth_signs_in_by_itself_and_again() {
    visit(Screen::Desktop, async |at| {
        let (urls, home) = (&at.urls, format!("{}/", at.urls.personalization));
        for person in ["ronja", "birk"] {
            assert_eq!(at.level().await, "anonymous");
            at.click_to(".fresh a", &urls.gateway).await;
            at.choose(person, &home).await;
            assert_eq!(at.url().await, home, "back where the visitor was");
            assert_eq!(at.text(".ladder .here strong").await, "authenticated");
            at.open(&urls.gateway).await;
            at.click_to("a[href='/logout']", &urls.gateway).await;
            at.browser.click("form[action='/logout/confirm'] button.primary").await;
            at.browser.find(".emblem").await;
        }
        // Signed in by another app, with the cookie of the last session still there.
        at.open(&format!("{}/login", urls.shop)).await;
        at.choose("ronja", &urls.shop).await;
        assert_eq!(at.level().await, "authenticated");
    })
    .await;
}

/// A new account on a phone, the code from the mailbox; and no page is wider than the screen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_signs_up_with_a_mailed_code_and_every_page_fits_it() {
    visit(Screen::Phone, async |at| {
        let urls = &at.urls;
        at.open(&urls.mailbox()).await;
        at.look("mailbox-empty").await;
        at.open(&urls.shop).await;
        at.look("shop-signed-out").await;
        at.click_to(".pill.big", &urls.gateway).await;
        at.look("login").await;
        at.click_to(".after a", &format!("{}/sign-up", urls.gateway)).await;
        at.look("sign-up").await;
        at.browser.type_into("#email", "ann@mail.example").await;
        at.browser.type_into("#password", "eleven days on foot").await;
        at.click_to("form.fields button.primary", &format!("{}/sign-up/code", urls.gateway)).await;
        at.look("code").await;
        let waiting = at.url().await;
        at.open(&urls.mailbox()).await;
        // The page loads itself anew until the mail is there.
        let mail = at.text("article pre").await;
        at.look("mailbox").await;
        let code: String = mail.split(|c: char| !c.is_ascii_digit()).find(|word| word.len() == 6).unwrap().to_owned();
        at.open(&waiting).await;
        at.browser.type_into("#code", &code).await;
        at.click_to("form.fields button.primary", &urls.shop).await;
        assert_eq!(at.text(".who bdi").await, "ann@mail.example");
        at.look("shop-signed-in").await;
        at.open(&urls.second).await;
        at.look("magazine").await;
        assert_eq!(at.level().await, "authenticated");
        at.look("personalization").await;
        at.open(&urls.gateway).await;
        at.look("gateway").await;
        at.open(&format!("{}/logout", urls.gateway)).await;
        at.look("sign-out").await;
        at.open(&format!("{}/nowhere", urls.gateway)).await;
        at.look("not-found").await;
    })
    .await;
}

/// Whoever tries it has a pair to compare, to merge and to part again, and a second person for what is too risky for one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_has_pairs_to_merge_and_to_part_again() {
    let demo = Running::start(None).await;
    let browser = Browser::new();
    let login = browser.get(demo.urls.desk()).await;
    let fields = [("email", "astrid@fernweh.example"), ("password", "northern lights")];
    let queue = browser.submit(&login, "/login/password", &fields).await;
    assert_eq!(queue.heading(), "What waits for a decision", "{}", queue.text());
    for name in ["Tova Lindgren", "Katharina Oest"] {
        assert!(queue.contains(name), "{name}: {}", queue.text());
    }
    let (_, tova) = html::links(&queue.body).into_iter().find(|(words, _)| words.contains("Tova")).unwrap();
    let compare = browser.get(queue.url.join(&tova).unwrap()).await;
    let plan = browser.click(&compare, "Keep Tova Lindgren").await;
    let act = [("act", "merge"), ("reason", "the same phone")];
    let merged = browser.submit(&plan, "/admin/merges", &act).await;
    assert_eq!(merged.heading(), "They are one customer", "{}", merged.text());
    let undo = browser.click(&merged, "Undo").await;
    let undone = browser.submit(&undo, undo.url.path(), &[("reason", "to try it"), ("token", &token_of(&undo))]).await;
    assert_eq!(undone.heading(), "A merge that was undone", "{}", undone.text());
    demo.stop().await;
}

/// And something of everything else that the desk is for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_desk_has_a_hold_an_account_spoken_against_a_proposal_and_roles() {
    let demo = Running::start(None).await;
    let browser = Browser::new();
    let login = browser.get(demo.urls.desk()).await;
    let fields = [("email", "astrid@fernweh.example"), ("password", "northern lights")];
    let desk = browser.submit(&login, "/login/password", &fields).await;
    let customer = async |name: &str| {
        let found = browser.submit(&desk, "/admin/search", &[("q", name)]).await;
        browser.click(&found, name).await
    };
    let signe = customer("Signe Åkerman").await;
    assert!(signe.contains("Under a legal hold.") && signe.contains("Brand polar-club"), "{}", signe.text());
    let kata = customer("Katharina Oest").await;
    for words in ["Somebody should look.", "Chirp", "Let it log in", "proposed to merge the two"] {
        assert!(kata.contains(words), "{words}: {}", kata.text());
    }
    let proposal = browser.click(&kata, "Look at").await;
    assert_eq!(proposal.heading(), "A proposed merge", "{}", proposal.text());
    let roles = browser.click(&desk, "Roles").await;
    assert!(roles.contains("Liv at the telephone") && roles.contains("support"), "{}", roles.text());
    demo.stop().await;
}

fn token_of(page: &Page) -> String {
    let at = page.body.split("name=\"token\" value=\"").nth(1).unwrap();
    at.split('"').next().unwrap().to_owned()
}

/// The back end answers only to tokens that are for it; what it refuses, it says as RFC 6750 wants.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_back_end_refuses_whoever_brings_no_token_for_it() {
    let demo = Running::start(None).await;
    let orders = format!("{}/orders", demo.urls.back_end);
    for (authorization, challenge) in
        [(None, "Bearer"), (Some("Basic eDp5"), "Bearer"), (Some("Bearer x.y.z"), "Bearer error=\"invalid_token\"")]
    {
        let mut request = http_client().get(&orders);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401, "{authorization:?}");
        assert_eq!(answer.headers()["www-authenticate"], challenge);
    }
    demo.stop().await;
}

/// A port that is taken is named, with the part that wanted it and the way out; nothing else is begun.
#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let started = Demo::start(Options { port_base: port, data_dir: None }).await;
    let message = started.err().unwrap().to_string();
    assert!(message.starts_with(&format!("port {port}, wanted by the gateway, is taken;")), "{message}");
    assert!(message.contains("samesake demo --port-base "), "{message}");
}

/// Its data goes with it, unless a directory was named; and what is kept can be started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_behind_unless_asked_for() {
    let env = Env::new(Pair::SqliteInProcess);
    let demo = Demo::start(Options::default()).await.unwrap();
    let guide = demo.guide(Colors::Plain);
    let (_, rest) = guide.split_once("--config ").unwrap();
    let file = PathBuf::from(rest.lines().next().unwrap());
    let config = Config::load(Some(&file), []).unwrap();
    assert_eq!(config.check_production(), [], "`samesake serve` would take it: {guide}");
    demo.run_until(async {}).await.unwrap();
    assert!(!file.parent().unwrap().exists());

    let kept = env.directory().join("kept");
    for _ in 0..2 {
        Running::start(Some(kept.clone())).await.stop().await;
        let store = Store::connect(&format!("sqlite://{}", kept.join("samesake.db").display())).await.unwrap();
        // Whoever signs up is compared with those that it begins with.
        assert_eq!(candidates::index_state(&store).await.unwrap(), IndexState::Whole);
    }
}
