//! A real browser, headless Chromium, for what only a browser shows: layout, focus, cookies as they are really kept.
//!
//! One chromedriver and one fresh profile per test. Screenshots go to target/screenshots, for people to look at.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use reqwest::Method;
use samesake::secret::from_base64;
use serde_json::{Value, json};
use url::Url;

use super::free_port;

/// A browser under our control. `close` it at the end; dropped without, it is killed.
pub struct WebDriver {
    /// The whole of fantoccini's face.
    pub client: Client,
    driver: Child,
}

/// A window as wide and high as the device's.
#[derive(Clone, Copy, Debug)]
pub enum Screen {
    Desktop,
    Phone,
}

impl WebDriver {
    /// Starts a browser with its profile in `directory`.
    pub async fn start(directory: &Path, screen: Screen) -> WebDriver {
        let port = free_port();
        let mut driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver does not start ({error}): run tests/run, which installs it"));
        wait_for_start(&mut driver).await;
        let profile = directory.join(format!("chromium-{port}"));
        let (width, height) = match screen {
            Screen::Desktop => (1280, 900),
            Screen::Phone => (390, 844),
        };
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-default-browser-check",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-search-engine-choice-screen",
            "--password-store=basic",
            "--lang=en",
            &format!("--window-size={width},{height}"),
            &format!("--user-data-dir={}", profile.display()),
        ];
        let mut options = json!({ "args": arguments });
        if matches!(screen, Screen::Phone) {
            // Headless windows have a least width; the emulation does not.
            options["mobileEmulation"] =
                json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 2.0, "touch": true } });
        }
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".to_owned(), options);
        let session = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await;
        match session {
            Ok(client) => WebDriver { client, driver },
            Err(error) => {
                driver.kill().ok();
                driver.wait().ok();
                panic!("chromium does not start: {error}");
            }
        }
    }

    /// Opens an address and waits until it is loaded.
    pub async fn open(&self, url: impl AsRef<str>) {
        self.client.goto(url.as_ref()).await.unwrap();
    }

    /// Types into the element that the CSS selector finds.
    pub async fn type_into(&self, selector: &str, text: &str) {
        self.find(selector).await.send_keys(text).await.unwrap();
    }

    /// Clicks the element that the CSS selector finds.
    pub async fn click(&self, selector: &str) {
        self.find(selector).await.click().await.unwrap();
    }

    /// Waits for the element that the CSS selector finds.
    pub async fn find(&self, selector: &str) -> fantoccini::elements::Element {
        let found = self.client.wait().for_element(Locator::Css(selector)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("{selector}: {error}\n{}", self.text().await),
        }
    }

    /// What is to be read on the page.
    pub async fn text(&self) -> String {
        self.client.find(Locator::Css("body")).await.unwrap().text().await.unwrap()
    }

    /// What a script in the page answers; `arguments` are the script's.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.unwrap()
    }

    /// Saves what the window shows as target/screenshots/NAME.png.
    pub async fn screenshot(&self, name: &str) -> PathBuf {
        keep(name, &self.client.screenshot().await.unwrap())
    }

    /// Saves the whole page, however long it is, as target/screenshots/NAME.png.
    pub async fn screenshot_of_all(&self, name: &str) -> PathBuf {
        let size = "const page = document.documentElement; return [page.clientWidth, page.scrollHeight]";
        let size = self.run(size, vec![]).await;
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": size[1], "scale": 1 });
        let answer = self.client.issue_cmd(Capture(clip)).await.unwrap();
        keep(name, &from_base64(answer["data"].as_str().unwrap()).unwrap())
    }

    /// Ends the browser and its driver.
    pub async fn close(mut self) {
        self.client.clone().close().await.unwrap();
        self.driver.kill().ok();
        self.driver.wait().ok();
    }
}

impl Drop for WebDriver {
    fn drop(&mut self) {
        if matches!(self.driver.try_wait(), Ok(Some(_))) {
            return;
        }
        // On this signal chromedriver takes the browser down with it; a kill would leave that running.
        let asked = Command::new("kill").args(["-TERM", &self.driver.id().to_string()]).status();
        if asked.is_err() {
            self.driver.kill().ok();
        }
        self.driver.wait().ok();
    }
}

/// The DevTools command for a picture of a part of the page, seen or not.
#[derive(Debug)]
struct Capture(Value);

impl WebDriverCompatibleCommand for Capture {
    fn endpoint(&self, base_url: &Url, session_id: Option<&str>) -> Result<Url, url::ParseError> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": self.0 });
        (Method::POST, Some(json!({ "cmd": "Page.captureScreenshot", "params": params }).to_string()))
    }
}

fn keep(name: &str, picture: &[u8]) -> PathBuf {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join(format!("{name}.png"));
    std::fs::write(&file, picture).unwrap();
    file
}

/// chromedriver says on its standard output that it listens.
async fn wait_for_start(driver: &mut Child) {
    let output = BufReader::new(driver.stdout.take().unwrap());
    let started = tokio::task::spawn_blocking(move || {
        let mut lines = output.lines().map_while(Result::ok);
        let started = lines.any(|line| line.contains("started successfully"));
        // Somebody has to read what follows, or the pipe fills.
        std::thread::spawn(move || lines.for_each(drop));
        started
    });
    assert!(started.await.unwrap(), "chromedriver does not start");
}
