//! What every handler knows about its request: one `now`, one request ID, the client's address, the cookies.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum_extra::extract::CookieJar;
use ipnet::IpNet;

use crate::app::App;
use crate::clock::Timestamp;
use crate::secret;

/// The peer's address, put into the request by the server.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The ID that stands in the answer, on error pages and in the logs.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

impl RequestId {
    /// A new random one.
    pub fn random() -> Self {
        Self(secret::base64url(&crate::clock::random::<12>()))
    }
}

/// One request's circumstances.
#[derive(Clone, Debug)]
pub struct Context {
    pub now: Timestamp,
    pub request_id: String,
    /// The client's address, as far as the trusted proxies tell it.
    pub client: IpAddr,
    pub cookies: CookieJar,
    /// The `Origin` header, if there is one.
    pub origin: Option<String>,
}

impl FromRequestParts<App> for Context {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Self {
            now: app.clock.now(),
            request_id: request_id(&parts.extensions),
            client: client_address(&parts.extensions, &parts.headers, &app.config.server.trusted_proxies),
            cookies: CookieJar::from_headers(&parts.headers),
            origin: text("origin").map(str::to_owned),
        })
    }
}

/// The ID that the outermost layer gave the request.
pub fn request_id(extensions: &Extensions) -> String {
    extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// The last address in `X-Forwarded-For` that is not a trusted proxy's; headers from other peers are not believed.
fn client_address(extensions: &Extensions, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = extensions.get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip().to_canonical());
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|network| network.contains(ip));
    if !is_trusted(&peer) {
        return peer;
    }
    let forwarded: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|part| part.trim().parse::<IpAddr>().ok())
        .map(|ip| ip.to_canonical())
        .collect();
    forwarded.iter().rev().find(|ip| !is_trusted(ip)).or(forwarded.first()).copied().unwrap_or(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &str) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(Peer(SocketAddr::new(peer.parse().unwrap(), 1)));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        client_address(&extensions, &headers, &["10.0.0.0/8".parse().unwrap()]).to_string()
    }

    #[test]
    fn forwarded_addresses_are_believed_only_from_trusted_proxies() {
        assert_eq!(address("198.51.100.7", "203.0.113.9"), "198.51.100.7");
        assert_eq!(address("10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(address("10.0.0.1", "1.2.3.4, 203.0.113.9, 10.0.0.2"), "203.0.113.9");
        assert_eq!(address("::ffff:10.0.0.1", "203.0.113.9"), "203.0.113.9");
        assert_eq!(address("10.0.0.1", "nonsense"), "10.0.0.1");
    }
}
