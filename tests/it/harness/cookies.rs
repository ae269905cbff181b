//! A cookie jar as RFC 6265bis wants it of a browser, as far as one browser at one site can tell.
//!
//! Domain, Path, Secure, Max-Age and the `__Host-` and `__Secure-` prefixes are kept; SameSite is only remembered, for
//! tests to look at. A loopback address counts as secure, as it does in browsers. Knows nothing of requests.

use std::collections::BTreeMap;

use url::{Host, Url};

/// A cookie as it was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    pub name: String,
    pub value: String,
    /// The host that set it, or the domain it named.
    pub domain: String,
    /// Whether it goes to that host alone.
    pub host_only: bool,
    pub path: String,
    pub secure: bool,
    pub http_only: bool,
    pub same_site: Option<String>,
    /// Seconds, if it outlives the browser.
    pub max_age: Option<i64>,
}

/// The cookies of one browser.
#[derive(Debug, Default)]
pub struct Jar {
    cookies: BTreeMap<(String, String, String), Cookie>,
}

impl Jar {
    /// Takes in one `Set-Cookie` line. What a browser would refuse fails the test: we do not mean to send it.
    pub fn set(&mut self, url: &Url, line: &str) {
        let cookie = parse(url, line);
        let key = (cookie.domain.clone(), cookie.path.clone(), cookie.name.clone());
        if cookie.max_age.is_some_and(|seconds| seconds <= 0) {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, cookie);
        }
    }

    /// The `Cookie` header for a request, if there is one; longer paths first.
    pub fn header(&self, url: &Url) -> Option<String> {
        let mut going: Vec<&Cookie> = self.cookies.values().filter(|cookie| goes_to(cookie, url)).collect();
        going.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> = going.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub fn get(&self, name: &str) -> Option<&Cookie> {
        self.cookies.values().find(|cookie| cookie.name == name)
    }

    pub fn all(&self) -> impl Iterator<Item = &Cookie> {
        self.cookies.values()
    }

    pub fn put(&mut self, cookie: Cookie) {
        self.cookies.insert((cookie.domain.clone(), cookie.path.clone(), cookie.name.clone()), cookie);
    }

    /// Forgets all cookies of that name, or all.
    pub fn forget(&mut self, name: Option<&str>) {
        self.cookies.retain(|_, cookie| name.is_some_and(|name| cookie.name != name));
    }
}

fn parse(url: &Url, line: &str) -> Cookie {
    let mut parts = line.split(';').map(str::trim);
    let (name, value) =
        parts.next().and_then(|pair| pair.split_once('=')).unwrap_or_else(|| panic!("no cookie: {line}"));
    let mut cookie = Cookie {
        name: name.to_owned(),
        value: value.to_owned(),
        domain: url.host_str().unwrap_or_default().to_owned(),
        host_only: true,
        path: default_path(url),
        secure: false,
        http_only: false,
        same_site: None,
        max_age: None,
    };
    let mut names_path = false;
    for attribute in parts {
        let (attribute, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match attribute.to_ascii_lowercase().as_str() {
            "path" => {
                names_path = value == "/";
                cookie.path = if value.starts_with('/') { value.to_owned() } else { default_path(url) };
            }
            "domain" => {
                let domain = value.trim_start_matches('.').to_ascii_lowercase();
                assert!(is_within(url.host_str().unwrap_or_default(), &domain), "foreign domain: {line}");
                (cookie.domain, cookie.host_only) = (domain, false);
            }
            "secure" => cookie.secure = true,
            "httponly" => cookie.http_only = true,
            "samesite" => cookie.same_site = Some(value.to_owned()),
            "max-age" => cookie.max_age = Some(value.parse().unwrap_or_else(|_| panic!("bad Max-Age: {line}"))),
            // Only the past is understood, which deletes; we send Max-Age with everything that lasts.
            "expires" if value.contains("1970") => cookie.max_age = cookie.max_age.or(Some(0)),
            _ => {}
        }
    }
    let host_prefix = !name.starts_with("__Host-") || (cookie.secure && cookie.host_only && names_path);
    let secure_prefix = !name.starts_with("__Secure-") || cookie.secure;
    assert!(host_prefix && secure_prefix, "a browser refuses this for its name: {line}");
    assert!(!cookie.secure || is_trustworthy(url), "a browser refuses Secure from {url}: {line}");
    assert!(
        cookie.same_site.as_deref() != Some("None") || cookie.secure,
        "a browser refuses SameSite=None without Secure: {line}"
    );
    cookie
}

fn default_path(url: &Url) -> String {
    match url.path().rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => folder.to_owned(),
        _ => "/".to_owned(),
    }
}

fn goes_to(cookie: &Cookie, url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let to_host = if cookie.host_only { host == cookie.domain } else { is_within(host, &cookie.domain) };
    let path = url.path();
    let to_path = path
        .strip_prefix(&cookie.path)
        .is_some_and(|rest| rest.is_empty() || cookie.path.ends_with('/') || rest.starts_with('/'));
    to_host && to_path && (!cookie.secure || is_trustworthy(url))
}

fn is_within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn is_trustworthy(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    };
    url.scheme() == "https" || loopback
}

#[test]
fn a_cookie_goes_where_it_belongs() {
    let url = |text: &str| Url::parse(text).unwrap();
    let mut jar = Jar::default();
    jar.set(&url("http://127.0.0.1:81/login/x"), "__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60");
    jar.set(&url("http://127.0.0.1:81/login/x"), "b=2");
    jar.set(&url("https://id.shop.example/"), "c=3; Domain=shop.example; Path=/app; Secure");
    assert_eq!(jar.header(&url("http://127.0.0.1:99/")).as_deref(), Some("__Host-a=1"));
    assert_eq!(jar.header(&url("http://127.0.0.1:99/login")).as_deref(), Some("b=2; __Host-a=1"));
    assert_eq!(jar.header(&url("http://127.0.0.1:99/loginx")).as_deref(), Some("__Host-a=1"));
    assert_eq!(jar.header(&url("https://shop.example/app/1")).as_deref(), Some("c=3"));
    assert_eq!(jar.header(&url("http://shop.example/app/1")), None);
    assert_eq!(jar.header(&url("https://myshop.example/app")), None);
    assert!(jar.get("__Host-a").unwrap().http_only);
    jar.set(&url("http://127.0.0.1:81/"), "__Host-a=; Path=/; Secure; Max-Age=0");
    assert_eq!(jar.header(&url("http://127.0.0.1/")), None);
}
