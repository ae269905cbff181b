//! Outgoing HTTP: the only user of reqwest.
//!
//! Every address that somebody else chose (discovery documents, JWKS, logout and webhook URIs) is fetched through
//! here, so that none of them reaches into the installation's own network (spec/protocol.md rules 48 and 49): the
//! address is judged when the name is resolved, at the moment of connecting; redirects are not followed; no proxy
//! is used; time and answer size are bounded. It must not know what is fetched, or why.

mod tally;

use std::error::Error;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
pub use reqwest::header;
pub use reqwest::header::HeaderMap;
pub use reqwest::{Method, StatusCode};
use url::{Host, Url};

pub use self::tally::{Count, Tally};
use crate::config::OutboundConfig;

/// What outgoing requests may do.
#[derive(Clone, Debug)]
pub struct OutboundPolicy {
    /// Host names, IP addresses and CIDR ranges that may be reached although they are not public. Only hosts named
    /// here may be spoken to without TLS.
    pub allow: Vec<String>,
    /// For one TCP and TLS handshake.
    pub connect_timeout: Duration,
    /// For the whole exchange: resolving, connecting, sending, and reading the last byte of the answer.
    pub timeout: Duration,
}

impl Default for OutboundPolicy {
    fn default() -> Self {
        Self { allow: Vec::new(), connect_timeout: Duration::from_secs(3), timeout: Duration::from_secs(8) }
    }
}

impl From<&OutboundConfig> for OutboundPolicy {
    fn from(config: &OutboundConfig) -> Self {
        Self { allow: config.allow.clone(), connect_timeout: config.connect_timeout, timeout: config.timeout }
    }
}

/// One request. Redirect answers come back as they are.
#[derive(Clone, Debug)]
pub struct OutboundRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// A longer answer is an error, not a truncated body.
    pub max_bytes: usize,
}

impl OutboundRequest {
    /// A GET that accepts JSON.
    pub fn get_json(url: Url, max_bytes: usize) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, header::HeaderValue::from_static("application/json"));
        Self { method: Method::GET, url, headers, body: Bytes::new(), max_bytes }
    }
}

/// The whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct OutboundResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer. No variant carries the path or query of the URL, which may hold secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboundError {
    /// The URL or the address behind its name is one we do not speak to.
    #[error("{host}: {reason}")]
    Refused { host: String, reason: &'static str },
    /// The answer was not complete in time.
    #[error("{host}: no complete answer in time")]
    Timeout { host: String },
    /// The answer is longer than the caller allowed.
    #[error("{host}: the answer is longer than {max_bytes} bytes")]
    TooLarge { host: String, max_bytes: usize },
    /// The name does not resolve, nobody listens, the certificate is wrong, or the answer is not HTTP.
    #[error("{host}: {reason}")]
    Failed { host: String, reason: String },
}

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum OutboundSetupError {
    #[error("`{0}` is not a host name, an IP address or a CIDR range")]
    Allow(String),
    #[error("the HTTP client cannot be built; are CA certificates installed?")]
    Client(#[from] reqwest::Error),
}

/// The outgoing HTTP client. Clones share connections.
#[derive(Clone)]
pub struct Outbound {
    client: reqwest::Client,
    guard: Arc<Guard>,
    timeout: Duration,
    tally: Option<Arc<Tally>>,
}

impl Outbound {
    /// Builds the client.
    ///
    /// # Errors
    /// If an entry of the allow-list cannot be read, or the system has no CA certificates.
    pub fn new(policy: OutboundPolicy) -> Result<Self, OutboundSetupError> {
        let guard = Arc::new(Guard::parse(&policy.allow)?);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .dns_resolver(Arc::new(GuardedResolver(Arc::clone(&guard))))
            .connect_timeout(policy.connect_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .user_agent(concat!("samesake/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, guard, timeout: policy.timeout, tally: None })
    }

    /// The same client with another limit for the whole exchange.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The same client, of which is counted how its requests go.
    #[must_use]
    pub fn counted(&self, tally: Arc<Tally>) -> Self {
        Self { tally: Some(tally), ..self.clone() }
    }

    /// Sends one request and reads the whole answer, of any status.
    ///
    /// # Errors
    /// See [`OutboundError`].
    pub async fn send(&self, request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        self.guard.check_url(&request.url).map_err(|reason| OutboundError::Refused { host: host.clone(), reason })?;
        let outcome = match tokio::time::timeout(self.timeout, self.exchange(request, &host)).await {
            Ok(result) => result,
            Err(_) => Err(OutboundError::Timeout { host }),
        };
        if let Some(tally) = &self.tally {
            tally.note(&outcome);
        }
        outcome
    }

    async fn exchange(&self, request: OutboundRequest, host: &str) -> Result<OutboundResponse, OutboundError> {
        let max_bytes = request.max_bytes;
        let too_large = || OutboundError::TooLarge { host: host.to_owned(), max_bytes };
        let mut response = self
            .client
            .request(request.method, request.url)
            .headers(request.headers)
            .body(request.body)
            .send()
            .await
            .map_err(|error| failure(host, &error))?;
        if response.content_length().is_some_and(|length| length > max_bytes as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(host, &error))? {
            if body.len() + chunk.len() > max_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        let headers = std::mem::take(response.headers_mut());
        Ok(OutboundResponse { status: response.status(), headers, body: body.freeze() })
    }
}

/// Names the innermost cause, without the URL that reqwest prints.
fn failure(host: &str, error: &reqwest::Error) -> OutboundError {
    let host = host.to_owned();
    let mut innermost: Option<&(dyn Error + 'static)> = None;
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<ForbiddenAddress>() {
            return OutboundError::Refused { host, reason: NOT_PUBLIC };
        }
        innermost = Some(inner);
        cause = inner.source();
    }
    if error.is_timeout() {
        return OutboundError::Timeout { host };
    }
    let reason = innermost.map_or_else(|| "the request failed".to_owned(), ToString::to_string);
    OutboundError::Failed { host, reason }
}

const NOT_PUBLIC: &str = "its address is not a public one, and not on the list of allowed ones";

/// A resolver's answer of which no address may be used.
#[derive(Debug, thiserror::Error)]
#[error("{NOT_PUBLIC}")]
struct ForbiddenAddress;

/// Decides which hosts and addresses may be reached.
struct Guard {
    hosts: Vec<String>,
    ranges: Vec<IpNet>,
}

impl Guard {
    fn parse(allow: &[String]) -> Result<Self, OutboundSetupError> {
        let mut guard = Self { hosts: Vec::new(), ranges: Vec::new() };
        for entry in allow {
            let entry = entry.trim();
            if let Ok(range) = entry.parse::<IpNet>() {
                guard.ranges.push(range);
            } else if let Ok(ip) = entry.parse::<IpAddr>() {
                guard.ranges.push(IpNet::from(ip));
            } else {
                match Host::parse(entry) {
                    Ok(Host::Domain(name)) => guard.hosts.push(without_final_dot(&name).to_owned()),
                    Ok(Host::Ipv4(ip)) => guard.ranges.push(IpNet::from(IpAddr::V4(ip))),
                    Ok(Host::Ipv6(ip)) => guard.ranges.push(IpNet::from(IpAddr::V6(ip))),
                    Err(_) => return Err(OutboundSetupError::Allow(entry.to_owned())),
                }
            }
        }
        Ok(guard)
    }

    /// Judges what can be judged before the name is resolved. The connector asks no resolver about an address, so
    /// addresses are judged here; the URL parser has already read decimal, octal and hexadecimal spellings.
    fn check_url(&self, url: &Url) -> Result<(), &'static str> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err("a URL with a user name or password is not fetched");
        }
        let named = match url.host() {
            None => return Err("the URL names no host"),
            Some(Host::Domain(name)) => self.allows_host(name),
            Some(Host::Ipv4(ip)) => self.check_literal(IpAddr::V4(ip))?,
            Some(Host::Ipv6(ip)) => self.check_literal(IpAddr::V6(ip))?,
        };
        match url.scheme() {
            "https" => Ok(()),
            "http" if named => Ok(()),
            "http" => Err("only hosts on the list of allowed ones are spoken to without TLS"),
            _ => Err("the URL is not an https URL"),
        }
    }

    /// Whether the address is on the list; an error if it may not be reached at all.
    fn check_literal(&self, ip: IpAddr) -> Result<bool, &'static str> {
        let listed = self.allows_address(ip);
        if listed || is_public(ip) { Ok(listed) } else { Err(NOT_PUBLIC) }
    }

    fn allows_host(&self, name: &str) -> bool {
        let name = without_final_dot(name);
        self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
    }

    fn allows_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.ranges.iter().any(|range| range.contains(&ip))
    }

    fn may_connect(&self, name: &str, ip: IpAddr) -> bool {
        self.allows_host(name) || self.allows_address(ip) || is_public(ip)
    }
}

fn without_final_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Resolves by the system and hands on only addresses that may be reached. The connection goes to exactly these
/// addresses, so a name that answers differently the second time (DNS rebinding) gains nothing.
struct GuardedResolver(Arc<Guard>);

impl reqwest::dns::Resolve for GuardedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let guard = Arc::clone(&self.0);
        let resolving: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let usable: Vec<SocketAddr> =
                found.into_iter().filter(|address| guard.may_connect(name.as_str(), address.ip())).collect();
            if usable.is_empty() {
                return Err(ForbiddenAddress.into());
            }
            Ok(Box::new(usable.into_iter()) as reqwest::dns::Addrs)
        });
        resolving
    }
}

/// Whether an address belongs to the public Internet, by the IANA special-purpose registries (RFC 6890).
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = match ip.octets() {
        [0 | 10 | 127, ..] => true,                   // this network, private use, loopback
        [100, second, ..] => second & 0xc0 == 64,     // shared address space of carriers (RFC 6598)
        [169, 254, ..] => true,                       // link-local, where clouds keep their metadata service
        [172, second, ..] => second & 0xf0 == 16,     // private use
        [192, 0, 0 | 2, _] => true,                   // protocol assignments, documentation
        [192, 88, 99, _] => true,                     // 6to4 relays
        [192, 168, ..] => true,                       // private use
        [198, 18 | 19, ..] => true,                   // benchmarks
        [198, 51, 100, _] | [203, 0, 113, _] => true, // documentation
        [224..=255, ..] => true,                      // multicast, reserved, broadcast
        _ => false,
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    match ip.segments() {
        // RFC 6052: NAT64 reaches the IPv4 address in the last 32 bits.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            is_public_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false, // Teredo and the like, documentation
        [0x2002, ..] => false,                                              // 6to4 hides an IPv4 address
        [0x3fff, second, ..] if second < 0x1000 => false,                   // documentation (RFC 9637)
        [first, ..] => first & 0xe000 == 0x2000,                            // global unicast is 2000::/3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str]) -> Guard {
        let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
        Guard::parse(&allow).unwrap()
    }

    fn verdict(guard: &Guard, url: &str) -> Result<(), &'static str> {
        guard.check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for ip in ["1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.0.1", "198.20.0.1"]
            .into_iter()
            .chain(["2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2a00:1450::1"])
        {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9", "169.254.169.254"]
            .into_iter()
            .chain(["172.16.0.1", "172.31.255.255", "192.0.0.8", "192.168.1.1", "198.18.0.1", "224.0.0.1"])
            .chain(["240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254"])
            .chain(["::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "fc00::1", "fd12::1"])
            .chain(["fe80::1", "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1"])
        {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn every_spelling_of_a_forbidden_address_is_refused() {
        let guard = guard(&[]);
        for host in ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "[::1]", "10.0.0.5"]
            .into_iter()
            .chain(["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "169.254.169.254", "2852039166", "100.64.0.1", "0"])
            .chain(["127.0.0.1.", "①②⑦.0.0.1"])
        {
            assert_eq!(verdict(&guard, &format!("https://{host}/x")), Err(NOT_PUBLIC), "{host}");
        }
    }

    #[test]
    fn plain_http_and_other_schemes_and_credentials_are_refused() {
        let guard = guard(&["idp.internal"]);
        assert_eq!(verdict(&guard, "https://example.com/"), Ok(()));
        assert!(verdict(&guard, "http://example.com/").is_err());
        assert!(verdict(&guard, "http://1.1.1.1/").is_err());
        assert!(verdict(&guard, "ftp://example.com/").is_err());
        assert!(verdict(&guard, "file:///etc/passwd").is_err());
        assert!(verdict(&guard, "https://user@example.com/").is_err());
        assert_eq!(verdict(&guard, "http://idp.internal/"), Ok(()));
        assert_eq!(verdict(&guard, "http://IDP.internal.:8080/"), Ok(()));
        assert!(verdict(&guard, "http://evil.idp.internal/").is_err());
    }

    #[test]
    fn the_list_of_allowed_ones_takes_names_addresses_and_ranges() {
        let guard = guard(&["Idp.Internal", "127.0.0.1", "::1", "10.1.0.0/16", "[fd00::7]"]);
        for url in ["http://127.0.0.1:9/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "https://10.1.2.3/"] {
            assert_eq!(verdict(&guard, url), Ok(()), "{url}");
        }
        assert_eq!(verdict(&guard, "http://[fd00::7]/"), Ok(()));
        for url in ["https://127.0.0.2/", "https://10.2.0.1/", "https://[fd00::8]/"] {
            assert_eq!(verdict(&guard, url), Err(NOT_PUBLIC), "{url}");
        }
        assert!(guard.may_connect("idp.internal", "192.168.0.9".parse().unwrap()));
        assert!(guard.may_connect("elsewhere.example", "10.1.9.9".parse().unwrap()));
        assert!(!guard.may_connect("elsewhere.example", "192.168.0.9".parse().unwrap()));
    }

    #[test]
    fn an_entry_that_is_none_of_these_is_refused_by_name() {
        for entry in ["http://idp.internal/", "10.0.0.0/64", "a b", ""] {
            let refused = Guard::parse(&[entry.to_owned()]).map(|_| ());
            assert!(matches!(refused, Err(OutboundSetupError::Allow(named)) if named == entry), "{entry}");
        }
    }
}
