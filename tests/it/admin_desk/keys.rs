//! A real browser steered by keys alone: Tab, Enter and access keys, with a picture of each page for people to look at.

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::harness::app::PASSWORD;
use crate::harness::{TestApp, WebDriver, until};

/// A browser that is steered by keys.
pub struct Keys<'a> {
    pub app: &'a TestApp,
    pub browser: WebDriver,
    /// Stands in the names of the pictures.
    pub screen: &'static str,
}

impl Keys<'_> {
    pub async fn press(&self, keys: &str) {
        let focused = self.browser.client.active_element().await.unwrap();
        focused.send_keys(keys).await.unwrap();
    }

    pub async fn is_true(&self, script: &str, arguments: Vec<Value>) -> bool {
        self.browser.client.execute(script, arguments).await.is_ok_and(|answer| answer == json!(true))
    }

    /// Goes on by Tab until what the selector means has the focus, and sees that the focus is seen.
    pub async fn tab_to(&self, selector: &str) {
        let here = "const at = document.activeElement; return at.matches(arguments[0]) \
                    && getComputedStyle(at).outlineStyle !== 'none'";
        for _ in 0..150 {
            if self.is_true(here, vec![json!(selector)]).await {
                return;
            }
            self.press(&Key::Tab.to_string()).await;
        }
        panic!("no Tab leads to {selector}: {}", self.browser.text().await);
    }

    /// Presses a key that leads to another page, and waits for that: the old one carries a mark.
    pub async fn leave_by(&self, key: Key) {
        self.browser.run("document.documentElement.dataset.left = 'yes'", vec![]).await;
        self.press(&key.to_string()).await;
        let there = "return document.readyState === 'complete' && !document.documentElement.dataset.left";
        until("the next page", async || self.is_true(there, vec![]).await).await;
    }

    /// Tabs to a link or button and presses Enter.
    pub async fn follow(&self, selector: &str) {
        self.tab_to(selector).await;
        self.leave_by(Key::Enter).await;
    }

    /// Tabs to a field and types.
    pub async fn enter(&self, selector: &str, text: &str) {
        self.tab_to(selector).await;
        self.press(text).await;
    }

    /// The page that is open says this, fits the window, and is kept as a picture.
    pub async fn at(&self, name: &str, heading: &str) {
        let said = self.browser.run("return document.querySelector('h1').textContent", vec![]).await;
        assert_eq!(said, heading, "{name}: {}", self.browser.text().await);
        let fits = "const page = document.documentElement; return page.scrollWidth <= page.clientWidth";
        assert!(self.is_true(fits, vec![]).await, "{name} scrolls sideways");
        // As high as the page is, so that the picture has all of it.
        self.browser.screenshot_of_all(&format!("desk-{name}-{}", self.screen)).await;
    }

    pub async fn open(&self, path: &str) {
        self.browser.open(self.app.url(path)).await;
    }

    pub async fn sign_in(&self, email: &str) {
        self.open("/admin").await;
        self.enter("input[name=email]", email).await;
        self.enter("input[name=password]", PASSWORD).await;
        self.leave_by(Key::Enter).await;
    }

    /// Presses the access key `key`, with the modifier that Chromium wants for it.
    pub async fn access(&self, key: char) {
        let alt = char::from(Key::Alt);
        let actions = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: alt })
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key })
            .then(KeyAction::Up { value: alt });
        self.browser.client.perform_actions(actions).await.unwrap();
    }

    /// Presses an access key that leads to another page, and waits for that.
    pub async fn leave_by_access(&self, key: char) {
        self.browser.run("document.documentElement.dataset.left = 'yes'", vec![]).await;
        self.access(key).await;
        let there = "return document.readyState === 'complete' && !document.documentElement.dataset.left";
        until("the next page", async || self.is_true(there, vec![]).await).await;
    }

    /// Goes through the whole page by Tab, from its beginning: each thing that can be used is come by, in its order, seen
    /// to have the focus, and named.
    pub async fn tab_through(&self, name: &str) {
        let reset = "document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex'); \
                     window.scrollTo(0, 0)";
        self.browser.run(reset, vec![]).await;
        let all = "return [...document.querySelectorAll('a[href],button,input,textarea,select,summary,[tabindex=\"0\"]')] \
                   .filter(one => one.type !== 'hidden' && one.checkVisibility() && (one.type !== 'radio' || one.checked || \
                   !document.querySelector(`input[name=\"${one.name}\"]:checked`) && \
                   one === document.querySelector(`input[name=\"${one.name}\"]`))) \
                   .map((one, at) => { one.dataset.at = at; return at; }).length";
        let count = self.browser.run(all, vec![]).await.as_u64().unwrap();
        let within = "const at = document.activeElement; return at.type === 'date' && at.dataset.at === arguments[0]";
        for at in 0..count {
            self.press(&Key::Tab.to_string()).await;
            // A field for a date has day, month, year and calendar to stop at.
            while at > 0 && self.is_true(within, vec![json!((at - 1).to_string())]).await {
                self.press(&Key::Tab.to_string()).await;
            }
            let here = "const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect(); \
                        const named = at.getAttribute('aria-label') || at.getAttribute('aria-labelledby') \
                        || at.textContent.trim() || (at.labels && at.labels.length); \
                        return [at.dataset.at, style.outlineStyle !== 'none' && style.outlineWidth !== '0px', \
                        box.width > 1 && box.bottom > 0 && box.top < innerHeight, Boolean(named), at.outerHTML.slice(0, 200)]";
            let seen = self.browser.run(here, vec![]).await;
            let place = seen[0].as_str().unwrap_or("nowhere");
            assert_eq!(
                (place, &seen[1], &seen[2], &seen[3]),
                (at.to_string().as_str(), &json!(true), &json!(true), &json!(true)),
                "{name}, stop {at}: order, ring, in view, named: {seen}"
            );
        }
    }
}
