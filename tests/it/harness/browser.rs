//! A browser without script: cookies, redirects, links and forms over real HTTP.
//!
//! It fetches from loopback only. A redirect that leaves loopback, or reaches an address given to `stop_at`, ends where
//! it points: that is how a test catches the redirect to an app that is not running. Knows no protocol but HTTP.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use hyper::body::{Frame, SizeHint};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use url::{Host, Url};

use super::cookies::{Cookie, Jar};
use super::html::{self, Form};
use super::unanswered;

/// A browser. Clones are further tabs: they share the cookies.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    jar: Arc<Mutex<Jar>>,
    headers: HeaderMap,
    stops: Vec<String>,
    /// What goes to this origin is sent to that address.
    detour: Option<(Url, Url)>,
}

/// Where the browser stands after a request and its redirects.
#[derive(Clone, Debug)]
pub struct Page {
    /// The address in the bar. After a redirect that was not followed, where that pointed.
    pub url: Url,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    /// Whether `url` was not fetched.
    pub stopped: bool,
    /// The addresses fetched on the way, the first one first.
    pub visited: Vec<Url>,
}

/// A request body that never comes.
#[derive(Debug, Default)]
pub struct NeverComes {
    /// `Content-Length`, if one is to be sent.
    pub announced: Option<u64>,
}

impl hyper::body::Body for NeverComes {
    type Data = hyper::body::Bytes;
    type Error = std::io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl From<NeverComes> for reqwest::Body {
    fn from(body: NeverComes) -> reqwest::Body {
        reqwest::Body::wrap(body)
    }
}

/// HTTP for tests: no proxy, no redirects, no store of root certificates to load.
pub fn http_client() -> Client {
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).tls_certs_only([]).build().unwrap()
}

impl Browser {
    pub fn new() -> Browser {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static("Mozilla/5.0 (X11; Linux x86_64) Test/1.0"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("text/html,application/xhtml+xml,*/*;q=0.8"));
        headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
        Browser { client: http_client(), jar: Arc::default(), headers, stops: Vec::new(), detour: None }
    }

    /// A header sent with every request from now on.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Browser {
        self.headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }

    /// Somebody else's browser, on the same connections.
    #[must_use]
    pub fn another(&self) -> Browser {
        Browser { jar: Arc::default(), ..self.clone() }
    }

    /// Redirects to addresses that begin so are not followed, even on loopback.
    #[must_use]
    pub fn stop_at(mut self, address: &Url) -> Browser {
        self.stops.push(address.to_string());
        self
    }

    /// The same browser, but its load balancer sends what is for `issuer` to another replica.
    #[must_use]
    pub fn via(mut self, issuer: &Url, replica: &Url) -> Browser {
        self.detour = Some((issuer.clone(), replica.clone()));
        self
    }

    /// Opens an address as if typed.
    pub async fn get(&self, url: impl AsRef<str>) -> Page {
        self.follow(Step::typed(Url::parse(url.as_ref()).unwrap())).await
    }

    /// Opens an address and follows no redirect.
    pub async fn get_one(&self, url: impl AsRef<str>) -> Page {
        self.fetch(&Step::typed(Url::parse(url.as_ref()).unwrap())).await
    }

    /// Opens an address and follows redirects until one points where `stop` says yes; that one is not fetched.
    pub async fn follow_until(&self, url: impl AsRef<str>, stop: impl Fn(&Url) -> bool) -> Page {
        self.follow_with(Step::typed(Url::parse(url.as_ref()).unwrap()), stop).await
    }

    /// Follows the link that says `words`.
    pub async fn click(&self, page: &Page, words: &str) -> Page {
        let links = html::links(&page.body);
        let link = links.iter().find(|(said, _)| said.contains(words));
        let (_, href) = link.unwrap_or_else(|| panic!("no link says {words:?}; there are {links:?}"));
        self.follow(Step::from_page(page, Method::GET, page.url.join(href).unwrap(), Vec::new())).await
    }

    /// Fills in and sends the form with this action or id, then follows. Fields not named keep what they hold; a
    /// button is pressed by naming it with its value.
    pub async fn submit(&self, page: &Page, form: &str, fields: &[(&str, &str)]) -> Page {
        self.follow(submission(page, form, fields)).await
    }

    /// The same, but no redirect is followed.
    pub async fn submit_one(&self, page: &Page, form: &str, fields: &[(&str, &str)]) -> Page {
        self.fetch(&submission(page, form, fields)).await
    }

    /// Posts a form that no page of ours holds, as an attacker's page does, and follows no redirect.
    pub async fn post_from(&self, origin: &str, url: &Url, fields: &[(&str, &str)]) -> Page {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let step = Step { method: Method::POST, url: url.clone(), fields, origin: Some(origin.to_owned()) };
        self.fetch(&step).await
    }

    /// Posts a form whose body never comes, as if from a page of ours.
    pub async fn post_without_body(&self, url: &Url, body: NeverComes) -> Page {
        let request = self.client.post(url.clone()).headers(self.headers.clone());
        let request = request.header(header::ORIGIN, url.origin().ascii_serialization());
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let response = request.body(body).send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.text().await.unwrap();
        Page { url: url.clone(), status, headers, body, stopped: false, visited: vec![url.clone()] }
    }

    /// The cookie of that name, if there is one.
    pub fn cookie(&self, name: &str) -> Option<Cookie> {
        self.jar.lock().unwrap().get(name).cloned()
    }

    /// All cookies.
    pub fn cookies(&self) -> Vec<Cookie> {
        self.jar.lock().unwrap().all().cloned().collect()
    }

    /// Puts a cookie into the jar: one stolen, or one kept from before.
    pub fn put_cookie(&self, cookie: Cookie) {
        self.jar.lock().unwrap().put(cookie);
    }

    /// Loses all cookies, or all of that name.
    pub fn forget_cookies(&self, name: Option<&str>) {
        self.jar.lock().unwrap().forget(name);
    }

    async fn follow(&self, step: Step) -> Page {
        self.follow_with(step, |_| false).await
    }

    async fn follow_with(&self, mut step: Step, stop: impl Fn(&Url) -> bool) -> Page {
        let mut visited = Vec::new();
        loop {
            let mut page = self.fetch(&step).await;
            visited.push(step.url.clone());
            let Some(target) = page.redirect() else {
                return Page { visited, ..page };
            };
            if stop(&target) || !is_loopback(&target) || self.stops.iter().any(|at| target.as_str().starts_with(at)) {
                (page.url, page.stopped) = (target, true);
                return Page { visited, ..page };
            }
            assert!(visited.len() < 20, "the redirects do not end: {visited:?}");
            step = step.redirected(page.status, target);
        }
    }

    async fn fetch(&self, step: &Step) -> Page {
        assert!(is_loopback(&step.url), "{} is not on loopback, and tests stay there", step.url);
        let mut url = step.url.clone();
        if let Some((issuer, replica)) = &self.detour
            && url.origin() == issuer.origin()
        {
            // A proxy in front ends TLS: behind it everything is http.
            url.set_scheme(replica.scheme()).unwrap();
            url.set_host(replica.host_str()).unwrap();
            url.set_port(replica.port()).unwrap();
        }
        let mut request = self.client.request(step.method.clone(), url).headers(self.headers.clone());
        request = request.header(header::HOST, step.url.authority());
        if let Some(cookies) = self.jar.lock().unwrap().header(&step.url) {
            request = request.header(header::COOKIE, cookies);
        }
        let origin = step.url.origin().ascii_serialization();
        let site = match &step.origin {
            None => "none",
            Some(from) if *from == origin => "same-origin",
            Some(_) => "cross-site",
        };
        request = request.header("sec-fetch-site", site).header("sec-fetch-mode", "navigate");
        if step.method == Method::POST {
            request = request.header(header::ORIGIN, step.origin.as_deref().unwrap_or("null")).form(&step.fields);
        }
        let response = request.send().await.unwrap_or_else(unanswered);
        let (status, headers) = (response.status(), response.headers().clone());
        for line in headers.get_all(header::SET_COOKIE) {
            self.jar.lock().unwrap().set(&step.url, line.to_str().unwrap());
        }
        let body = response.text().await.unwrap_or_else(unanswered);
        Page { url: step.url.clone(), status, headers, body, stopped: false, visited: vec![step.url.clone()] }
    }
}

impl Page {
    /// Where this answer redirects to, if it does.
    pub fn redirect(&self) -> Option<Url> {
        let location = self.headers.get(header::LOCATION).filter(|_| self.status.is_redirection())?;
        Some(self.url.join(location.to_str().unwrap()).unwrap())
    }

    /// A parameter of the address, such as `code` or `error`. Twice the same fails the test.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut values = self.url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let value = values.next();
        assert!(values.next().is_none(), "{name} stands twice in {}", self.url);
        value
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// What is to be read.
    pub fn text(&self) -> String {
        html::text(&self.body)
    }

    /// The first `h1`.
    pub fn heading(&self) -> String {
        html::text_of(&self.body, "h1").unwrap_or_default()
    }

    /// Whether these words are to be read.
    pub fn contains(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    pub fn forms(&self) -> Vec<Form> {
        html::forms(&self.body)
    }

    /// The form with this action or id that can take these fields.
    pub fn form(&self, name: &str, fields: &[(&str, &str)]) -> Form {
        let forms = self.forms();
        let is_named = |form: &Form| form.id == name || form.action.split('?').next() == Some(name);
        let form = forms.iter().find(|form| is_named(form) && form.takes(fields));
        form.cloned().unwrap_or_else(|| {
            panic!(
                "{} {} has no form {name:?} that takes {fields:?}; it has {forms:#?}\n{}",
                self.status,
                self.url,
                self.text()
            )
        })
    }
}

/// One request of the browser.
struct Step {
    method: Method,
    url: Url,
    fields: Vec<(String, String)>,
    /// The page it comes from; none if the address was typed.
    origin: Option<String>,
}

impl Step {
    fn typed(url: Url) -> Step {
        Step { method: Method::GET, url, fields: Vec::new(), origin: None }
    }

    fn from_page(page: &Page, method: Method, url: Url, fields: Vec<(String, String)>) -> Step {
        Step { method, url, fields, origin: Some(page.url.origin().ascii_serialization()) }
    }

    /// 307 and 308 repeat the request, body and all; everything else becomes a GET.
    fn redirected(self, status: StatusCode, target: Url) -> Step {
        let repeats = status == StatusCode::TEMPORARY_REDIRECT || status == StatusCode::PERMANENT_REDIRECT;
        if repeats { Step { url: target, ..self } } else { Step { origin: self.origin, ..Step::typed(target) } }
    }
}

fn submission(page: &Page, form: &str, fields: &[(&str, &str)]) -> Step {
    let form = page.form(form, fields);
    let mut target = page.url.join(&form.action).unwrap();
    let filled_in = form.filled_in(fields);
    if form.method == "post" {
        return Step::from_page(page, Method::POST, target, filled_in);
    }
    target.query_pairs_mut().clear().extend_pairs(&filled_in);
    Step::from_page(page, Method::GET, target, Vec::new())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
